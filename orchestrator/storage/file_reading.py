"""A file of the blob storage that is open for reading, and the system's errors made ours.

It knows no keys and no folders.
"""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import StorageFull, StorageUnavailable
from orchestrator.storage.base import MissingObject, UnreadableObject

CACHED_READ_BYTES_MAX = 512 * 1024
_AHEAD_BYTES = 2 * 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OpenFile:
    """A file that is open for reading, by one thread at a time."""

    def __init__(self, file: int, key: str) -> None:
        self._file = file
        self._key = key
        self._lock = threading.Lock()
        self._buffer: memoryview | None = None

    def read_cached(self, start: int, length: int) -> bytes | None:
        """What `read` would return, if it is in the page cache; else None.

        It raises nothing: errors are left to `read`, and so are reads so long that their copy would
        hold up other requests.
        """
        if length > CACHED_READ_BYTES_MAX or sys.platform != "linux":
            return None
        if self._buffer is None:
            self._buffer = memoryview(bytearray(CACHED_READ_BYTES_MAX))
        buffer = self._buffer[:length]
        try:
            size = os.preadv(self._file, [buffer], start, os.RWF_NOWAIT)
        except OSError:
            return None
        return bytes(buffer) if size == length else None

    def read(self, start: int, length: int) -> bytes:
        """Exactly so many bytes. The system reads what follows while they are sent."""
        with self._lock, reading(self._key):
            if sys.platform == "linux":
                os.posix_fadvise(self._file, start + length, _AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
            data = os.pread(self._file, length, start)
            while 0 < len(data) < length:
                more = os.pread(self._file, length - len(data), start + len(data))
                if not more:
                    break
                data += more
        if len(data) < length:
            raise MissingObject(self._key)
        return data

    def close(self) -> None:
        """May be called again."""
        with self._lock:
            file, self._file = self._file, -1
            if file >= 0:
                os.close(file)

    def __del__(self) -> None:
        """The caller of `open_to_read` was cancelled before it had the file."""
        self.close()


def open_to_read(path: Path, key: str) -> OpenFile:
    """Open the file. If there is none, MissingObject names the `key`."""
    with reading(key):
        return OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC), key)


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Translate the errors of a read: what the disk cannot read is lost for this object alone."""
    with translated(key):
        try:
            yield
        except OSError as error:
            if error.errno == errno.EIO:
                raise UnreadableObject(key) from error
            raise


@contextmanager
def translated(key: str | None = None) -> Iterator[None]:
    """The one place where errors of the system become errors of the domain.

    `key` is the file that may be missing.
    """
    try:
        yield
    except FileNotFoundError as error:
        if key is not None:
            raise MissingObject(key) from error
        raise StorageUnavailable("The blob storage cannot be used now.") from error
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise StorageUnavailable("The blob storage cannot be used now.") from error
