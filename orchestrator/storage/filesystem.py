"""Blob storage in a folder, durable when it says so; it knows no blobs and no database.

    identity                  which storage this is
    objects/ab/abcd….<uuid>   an object with the key `abcd…/<uuid>`
    incoming/<uuid>           an object that is being written
    stages/<stage>            the bytes of a resumable upload so far

Durable means: the file is synced, then renamed, then the folder that has its name is synced. A
crash before the rename leaves a file in `incoming`, a crash after it an object that no row names;
nobody was told of either, and verification finds both.
"""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.core.digest import CasId
from orchestrator.core.durable_file import sync_folder, write_private
from orchestrator.core.identifier import new_id
from orchestrator.core.threads import in_thread, run_later
from orchestrator.storage.base import StoredObject
from orchestrator.storage.file_reading import open_to_read, translated

_STAGE_READ_BYTES = 1024 * 1024
#: Reads out of the page cache, half a millisecond together, before other requests have a turn.
_CACHED_READS_IN_LINE_MAX = 4


class FilesystemStorage:
    """Objects and stages below one folder.

    Only `set_identity` makes the folders: where a disk was not mounted, there are none, and nothing
    is written in its place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Path | None = folder
        self._root = folder
        self._objects = folder / "objects"
        self._incoming = folder / "incoming"
        self._stages = folder / "stages"

    async def create(self, expected: CasId | None, media_type: str) -> "FileWriter":  # noqa: ARG002
        """A file of its own; the name it may have later plays no part in it yet."""
        return await in_thread(self._create)

    async def read(
        self, key: str, start: int, lengths: Sequence[int]
    ) -> AsyncGenerator[bytes, None]:
        """The open file stays readable even if the object is deleted meanwhile.

        What is in the page cache is copied in line: a thread would cost more than the copy.
        """
        file = await in_thread(open_to_read, self._path(key), key)
        try:
            for number, length in enumerate(lengths):
                if number % _CACHED_READS_IN_LINE_MAX == 0:
                    await asyncio.sleep(0)  # Not every reader waits for anything in between.
                cached = file.read_cached(start, length)
                yield await in_thread(file.read, start, length) if cached is None else cached
                start += length
        finally:
            run_later(file.close)

    async def size(self, key: str) -> int:
        """As the file system says."""
        return await in_thread(self._size, key)

    async def delete(self, key: str) -> None:
        """The folder is synced by whoever writes the next object into it: a deleted file that a
        crash brings back is one that no row names.
        """
        await in_thread(_unlink, self._path(key))

    async def list_objects(self, after: str, limit: int) -> list[StoredObject]:
        """Folder by folder, so that a page costs what it shows."""
        return await in_thread(self._list_objects, after, limit)

    async def presigned_url(self, key: str, seconds: int) -> str | None:  # noqa: ARG002
        """A file has no address."""
        return None

    async def append(self, stage: str, offset: int, data: bytes) -> None:
        """One file for each stage."""
        await in_thread(self._append, stage, offset, data)

    async def read_stage(self, stage: str, size_bytes: int) -> AsyncGenerator[bytes, None]:
        """In pieces of 1 MiB."""
        file = await in_thread(open_to_read, self._stages / stage, stage)
        try:
            for start in range(0, size_bytes, _STAGE_READ_BYTES):
                yield await in_thread(file.read, start, min(_STAGE_READ_BYTES, size_bytes - start))
        finally:
            run_later(file.close)

    async def promote(self, stage: str, size_bytes: int, cas_id: CasId) -> str | None:
        """A stage becomes an object by its rename."""
        return await in_thread(self._promote, stage, size_bytes, cas_id)

    async def drop_stage(self, stage: str) -> None:
        """Like `delete`."""
        await in_thread(_unlink, self._stages / stage)

    async def list_stages(self, after: str, limit: int) -> list[StoredObject]:
        """In the order of their names."""
        return await in_thread(self._list_stages, after, limit)

    async def sweep(self, before: datetime) -> int:
        """Files in `incoming` that nobody has written to since then."""
        return await in_thread(self._sweep, before)

    async def identity(self) -> str | None:
        """In the file `identity`; a folder that was not mounted has none."""
        return await in_thread(self._identity)

    async def set_identity(self, identity: str) -> None:
        """Writes the file."""
        await in_thread(self._set_identity, identity)

    # ------------------------------------------------------------------ in threads, may block

    def _create(self) -> "FileWriter":
        path = self._incoming / new_id().hex
        with translated():
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return FileWriter(self, path, file)

    def settle(self, path: Path, file: int, cas_id: CasId) -> str:
        """Make a written file an object: sync it, name it, sync the name."""
        name = cas_id.raw[1:].hex()
        key = f"{name}/{new_id().hex}"
        target = self._path(key)
        with translated():
            os.fsync(file)
            # A crash here leaves the file in `incoming`, or a stage as it was.
            if not target.parent.is_dir():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                sync_folder(self._objects)
            path.rename(target)
            # A crash here may lose the name; the row that would need it is not written yet.
            sync_folder(target.parent)
        return key

    def _size(self, key: str) -> int:
        with translated(key):
            return self._path(key).stat().st_size

    def _append(self, stage: str, offset: int, data: bytes) -> None:
        with translated():
            path = self._stages / stage
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(file, offset)
                _write_all(file, data, offset)
                os.fsync(file)
            finally:
                os.close(file)
            if offset == 0:
                sync_folder(self._stages)

    def _promote(self, stage: str, size_bytes: int, cas_id: CasId) -> str:
        path = self._stages / stage
        with translated(stage):
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            with translated():
                os.ftruncate(file, size_bytes)
                # A new object, however long ago the last bytes came: no row names it yet, and
                # verification deletes old ones of that kind.
                os.utime(file)
            return self.settle(path, file, cas_id)
        finally:
            os.close(file)

    def _list_objects(self, after: str, limit: int) -> list[StoredObject]:
        found: list[StoredObject] = []
        with translated():
            shards = sorted(path.name for path in _entries(self._objects))
            for shard in shards:
                if shard < after[:2]:
                    continue
                keys = sorted(
                    path.name.replace(".", "/") for path in _entries(self._objects / shard)
                )
                for key in keys:
                    if key > after and (entry := _stat(self._path(key), key)):
                        found.append(entry)
                    if len(found) == limit:
                        return found
        return found

    def _list_stages(self, after: str, limit: int) -> list[StoredObject]:
        with translated():
            names = sorted(path.name for path in _entries(self._stages) if path.name > after)
            found = (_stat(self._stages / name, name) for name in names)
            return [entry for entry in found if entry][:limit]

    def _sweep(self, before: datetime) -> int:
        swept = 0
        with translated():
            for path in _entries(self._incoming):
                entry = _stat(path, path.name)
                if entry and entry.modified_at < before:
                    path.unlink(missing_ok=True)
                    swept += entry.size_bytes
        return swept

    def _identity(self) -> str | None:
        with translated():
            path = self._root / "identity"
            return path.read_text().strip() if path.exists() else None

    def _set_identity(self, identity: str) -> None:
        with translated():
            for folder in (self._root, self._objects, self._incoming, self._stages):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Two servers that start together write the same, each by way of a file of its own.
            temporary = self._incoming / new_id().hex
            write_private(temporary, identity)
            temporary.rename(self._root / "identity")
            sync_folder(self._root)
            sync_folder(self._root.parent)

    def _path(self, key: str) -> Path:
        return self._objects / key[:2] / key.replace("/", ".")


class FileWriter:
    """A file in `incoming` until it has its name."""

    def __init__(self, storage: FilesystemStorage, path: Path, file: int) -> None:
        self._storage = storage
        self._path = path
        self._file = file
        self._size = 0
        # A thread goes on after its caller was cancelled. Nobody may close the file before it
        # has ended: the number could be another file's by then, and be written to.
        self._lock = threading.Lock()

    async def write(self, data: bytes) -> None:
        """Into the page cache; `commit` makes it durable."""
        await in_thread(self._write, data)

    async def commit(self, cas_id: CasId) -> str:
        """Returns when the object would survive a power cut."""
        return await in_thread(self._commit, cas_id)

    async def abort(self) -> None:
        """Closes and removes the file."""
        await in_thread(self._abort)

    def _write(self, data: bytes) -> None:
        with self._lock, translated():
            if self._file < 0:
                raise ValueError("a write after the end")
            _write_all(self._file, data)
            _begin_to_sync(self._file, self._size, len(data))
            self._size += len(data)

    def _commit(self, cas_id: CasId) -> str:
        with self._lock:
            key = self._storage.settle(self._path, self._file, cas_id)
            self._close()
        return key

    def _abort(self) -> None:
        with self._lock:
            self._close()
        _unlink(self._path)

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        """Whoever asked for the file was cancelled before he had it."""
        self._close()


def _write_all(file: int, data: bytes, offset: int | None = None) -> None:
    rest = memoryview(data)
    while rest:
        if offset is None:
            written = os.write(file, rest)
        else:
            written = os.pwrite(file, rest, offset)
            offset += written
        rest = rest[written:]


def _begin_to_sync(file: int, start: int, length: int) -> None:
    """Let the disk work on these bytes while more of them come: the sync at the end of 64 MiB then
    took 7 ms instead of 30. It promises nothing; the sync does.

    On Linux this advice begins to write what is dirty, and drops what is clean; nothing is, here.
    """
    if sys.platform == "linux":
        os.posix_fadvise(file, start, length, os.POSIX_FADV_DONTNEED)


def _unlink(path: Path) -> None:
    with translated():
        path.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    # Somebody else's file between our folders is no folder.
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def _stat(path: Path, key: str) -> StoredObject | None:
    """None if it was removed meanwhile."""
    with suppress(FileNotFoundError):
        found = path.stat()
        return StoredObject(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
    return None
