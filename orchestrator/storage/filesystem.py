"""Blob storage in a folder, durable when it says so; it knows no blobs and no database.

    identity                  which storage this is
    objects/ab/abcd….<uuid>   an object with the key `abcd…/<uuid>`
    incoming/<uuid>           an object that is being written
    stages/<stage>            the bytes of a resumable upload so far

Durable means: the file is synced, then renamed, then the folder that has its name is synced. A
crash before the rename leaves a file in `incoming`, a crash after it an object that no row names;
neither was acknowledged, and verification finds both.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.core.digest import CasId
from orchestrator.core.durable_file import sync_folder, sync_folder_and_above, write_private
from orchestrator.core.identifier import new_id
from orchestrator.core.threads import Threads
from orchestrator.storage.base import StoredObject
from orchestrator.storage.file_reading import open_to_read, reading, translated
from orchestrator.storage.file_writing import (
    FileWriter,
    ObjectNames,
    object_path,
    unlink,
    write_all,
)

_STAGE_READ_BYTES = 1024 * 1024
#: So many reads out of the page cache, half a millisecond together, before other requests run.
_CACHED_READS_IN_LINE_MAX = 4


class FilesystemStorage:
    """Objects and stages below one folder.

    Only `set_identity` makes the folders: where a disk was not mounted, there are none, and nothing
    is written in its place.
    """

    def __init__(self, folder: Path, threads: Threads) -> None:
        self.folder: Path | None = folder
        self._threads = threads
        self._root = folder
        self._objects = folder / "objects"
        self._names = ObjectNames(self._objects)
        self._incoming = folder / "incoming"
        self._stages = folder / "stages"

    async def create(self, expected: CasId | None, media_type: str) -> FileWriter:  # noqa: ARG002 - all storages are called so.
        """A new file in `incoming`; what it becomes is not known to it yet."""
        return await self._threads.run(self._create)

    async def read(
        self, key: str, start: int, lengths: Sequence[int]
    ) -> AsyncGenerator[bytes, None]:
        """The open file stays readable even if the object is deleted meanwhile.

        What is in the page cache is copied in line: a thread would cost more than the copy.
        """
        file = await self._threads.run(open_to_read, self._path(key), key)
        try:
            for number, length in enumerate(lengths):
                if number % _CACHED_READS_IN_LINE_MAX == 0:
                    await asyncio.sleep(0)  # Some readers never wait for anything in between.
                cached = file.read_cached(start, length)
                yield (
                    await self._threads.run(file.read, start, length) if cached is None else cached
                )
                start += length
        finally:
            self._threads.run_later(file.close)

    async def size(self, key: str) -> int:
        """The size of the file; it is not opened."""
        return await self._threads.run(self._size, key)

    async def delete(self, key: str) -> None:
        """Remove the file; the folder is not synced. A file that a crash brings back is one that no
        row names.
        """
        await self._threads.run(unlink, self._path(key))

    async def list_objects(self, after: str, limit: int) -> list[StoredObject]:
        """Folder by folder, so that a page costs what it shows."""
        return await self._threads.run(self._list_objects, after, limit)

    async def presigned_url(self, key: str, seconds: int) -> str | None:  # noqa: ARG002 - all storages are called so.
        """A file has no address."""
        return None

    async def append(self, stage: str, offset: int, data: bytes) -> None:
        """Write into the one file of the stage, and sync it."""
        await self._threads.run(self._append, stage, offset, data)

    async def read_stage(self, stage: str, size_bytes: int) -> AsyncGenerator[bytes, None]:
        """In pieces of 1 MiB."""
        file = await self._threads.run(open_to_read, self._stages / stage, stage)
        try:
            for start in range(0, size_bytes, _STAGE_READ_BYTES):
                yield await self._threads.run(
                    file.read, start, min(_STAGE_READ_BYTES, size_bytes - start)
                )
        finally:
            self._threads.run_later(file.close)

    async def promote(self, stage: str, size_bytes: int, cas_id: CasId) -> str | None:
        """A stage becomes an object by its rename."""
        return await self._threads.run(self._promote, stage, size_bytes, cas_id)

    async def drop_stage(self, stage: str) -> None:
        """Remove the file, if it is there."""
        await self._threads.run(unlink, self._stages / stage)

    async def list_stages(self, after: str, limit: int) -> list[StoredObject]:
        """In the order of their names."""
        return await self._threads.run(self._list_stages, after, limit)

    async def sweep(self, before: datetime) -> int:
        """Remove files in `incoming` that nobody has written to since then."""
        return await self._threads.run(self._sweep, before)

    async def identity(self) -> str | None:
        """The content of the file `identity`; a folder that was not mounted has none."""
        return await self._threads.run(self._identity)

    async def set_identity(self, identity: str) -> None:
        """Make the folders and write the file `identity`."""
        await self._threads.run(self._set_identity, identity)

    # ------------------------------------------------------------------ in threads, may block

    def _create(self) -> FileWriter:
        path = self._incoming / new_id().hex
        with translated():
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return FileWriter(self._names, path, file, self._threads)

    def _size(self, key: str) -> int:
        with reading(key):
            return self._path(key).stat().st_size

    def _append(self, stage: str, offset: int, data: bytes) -> None:
        with translated():
            path = self._stages / stage
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(file, offset)
                write_all(file, data, offset)
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
            return self._names.give(path, file, cas_id)
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
            try:
                file = (self._root / "identity").open("rb")
            except FileNotFoundError:
                return None
            with file:
                if sys.platform == "linux":
                    # From the disk and not from the page cache: this is the check that it answers.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return file.read().decode().strip()

    def _set_identity(self, identity: str) -> None:
        with translated():
            for folder in (self._root, self._objects, self._incoming, self._stages):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Two servers that start together write the same, each by way of a file of its own.
            temporary = self._incoming / new_id().hex
            write_private(temporary, identity)
            temporary.rename(self._root / "identity")
            sync_folder_and_above(self._root)

    def _path(self, key: str) -> Path:
        return object_path(self._objects, key)


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
