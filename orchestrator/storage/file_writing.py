"""A file of the blob storage that is being written, until it is durable under its key.

It knows no stages and reads nothing.
"""

import os
import sys
import threading
from pathlib import Path

from orchestrator.core.digest import CasId
from orchestrator.core.durable_file import sync_folder
from orchestrator.core.identifier import new_id
from orchestrator.core.threads import Threads
from orchestrator.storage.file_reading import translated


class FileWriter:
    """A file in `incoming` until it has its name."""

    def __init__(self, objects: "ObjectNames", path: Path, file: int, threads: Threads) -> None:
        self._objects = objects
        self._path = path
        self._file = file
        self._threads = threads
        self._size = 0
        # A thread goes on after its caller was cancelled. The file may not be closed before the
        # thread has ended: its number could be another file's by then, and be written to.
        self._lock = threading.Lock()

    async def write(self, data: bytes) -> None:
        """Into the page cache; `commit` makes it durable."""
        await self._threads.run(self._write, data)

    async def commit(self, cas_id: CasId) -> str:
        """Returns when the object would survive a power cut."""
        return await self._threads.run(self._commit, cas_id)

    async def abort(self) -> None:
        """Closes and removes the file."""
        await self._threads.run(self._abort)

    def _write(self, data: bytes) -> None:
        with self._lock, translated():
            if self._file < 0:
                raise ValueError("a write after the end")
            write_all(self._file, data)
            _begin_to_sync(self._file, self._size, len(data))
            self._size += len(data)

    def _commit(self, cas_id: CasId) -> str:
        with self._lock:
            key = self._objects.give(self._path, self._file, cas_id)
            self._close()
        return key

    def _abort(self) -> None:
        with self._lock:
            self._close()
        unlink(self._path)

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        """The caller of `create` was cancelled before it had the file."""
        self._close()


def object_path(objects: Path, key: str) -> Path:
    """Where the object of this key is below the folder of all objects."""
    return objects / key[:2] / key.replace("/", ".")


class ObjectNames:
    """Makes written files objects, in the folder of all objects."""

    def __init__(self, objects: Path) -> None:
        self._objects = objects
        #: Folders in it whose names are durable, as this process made sure.
        self._durable: set[Path] = set()

    def give(self, path: Path, file: int, cas_id: CasId) -> str:
        """Sync the file, name it, sync the name. Returns the key."""
        key = f"{cas_id.raw[1:].hex()}/{new_id().hex}"
        target = object_path(self._objects, key)
        with translated():
            os.fsync(file)
            # A crash here leaves the file in `incoming`, or a stage as it was.
            self._make_durable(target.parent)
            path.rename(target)
            # A crash here may lose the name; the row that would need it is not written yet.
            sync_folder(target.parent)
        return key

    def _make_durable(self, folder: Path) -> None:
        """A folder that is there may be another writer's, which has not synced its name yet."""
        if not folder.is_dir():
            self._durable.discard(folder)
            folder.mkdir(mode=0o700, exist_ok=True)
        if folder not in self._durable:
            sync_folder(self._objects)
            self._durable.add(folder)


def unlink(path: Path) -> None:
    """Remove a file; one that is not there is no error."""
    with translated():
        path.unlink(missing_ok=True)


def write_all(file: int, data: bytes, offset: int | None = None) -> None:
    """At this offset, or where the file stands."""
    rest = memoryview(data)
    while rest:
        if offset is None:
            written = os.write(file, rest)
        else:
            written = os.pwrite(file, rest, offset)
            offset += written
        rest = rest[written:]


def _begin_to_sync(file: int, start: int, length: int) -> None:
    """Let the disk write these bytes while more of them come: the sync at the end of 64 MiB then
    takes 7 ms instead of 30. It promises nothing; the sync does.

    On Linux this advice begins to write dirty pages and drops clean ones; here all are dirty.
    """
    if sys.platform == "linux":
        os.posix_fadvise(file, start, length, os.POSIX_FADV_DONTNEED)
