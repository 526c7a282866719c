"""The blobs of a backup that are files: `blobs/ab/<hex>`, plain bytes under their BLAKE3."""

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

from blake3 import blake3

from orchestrator.core.digest import CasId
from orchestrator.core.durable_file import sync_folder
from orchestrator.core.identifier import new_id
from orchestrator.core.threads import Threads

_READ_BYTES = 1024 * 1024
#: Called now and then with the stage, how much of it is done, and of how much; 0: not known.
Watch = Callable[[str, int, int], None]


class BlobFiles:
    """A folder of files, each of which is whole as soon as it has its name."""

    def __init__(self, folder: Path, incoming: Path, threads: Threads) -> None:
        self._folder = folder
        self._incoming = incoming
        self._threads = threads

    def clear(self) -> None:
        """Make the folders, and remove what an interrupted backup was writing."""
        for folder in (self._folder, self._incoming):
            folder.mkdir(mode=0o700, exist_ok=True)
        for unfinished in self._incoming.iterdir():
            unfinished.unlink()

    def path(self, cas_id: CasId) -> Path:
        """Where the blob is, if it is there."""
        name = cas_id.raw[1:].hex()
        return self._folder / name[:2] / name

    def has(self, cas_id: CasId, size_bytes: int) -> bool:
        """Whether a file of this name and size is there; its bytes are not read."""
        try:
            return self.path(cas_id).stat().st_size == size_bytes
        except FileNotFoundError:
            return False

    async def chunks(self, cas_id: CasId) -> AsyncGenerator[bytes, None]:
        """The bytes as they are; nothing is checked."""
        with self.path(cas_id).open("rb", buffering=0) as file:
            while chunk := await self._threads.run(file.read, _READ_BYTES):
                yield chunk

    async def remove_damaged(self, watch: Watch) -> int:
        """Read all files, and remove those whose bytes are not of their name; returns how many."""
        removed = 0
        for number, path in enumerate(self._files()):
            watch("verify", number, 0)
            if not await self._threads.run(_is_whole, path):
                path.unlink()
                removed += 1
        return removed

    def begin(self) -> "BlobFile":
        """A file without its name."""
        path = self._incoming / new_id().hex
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return BlobFile(self, path, file, self._threads)

    def sync(self) -> None:
        """Make all names durable, also those that an interrupted backup gave."""
        for shard in self._folder.iterdir():
            sync_folder(shard)
        sync_folder(self._folder)

    def remove_unless(self, named: Callable[[bytes], bool]) -> int:
        """Remove all that are not named; returns how many.

        A file that a crash brings back is removed the next time.
        """
        removed = 0
        for path in self._files():
            if not named(b"\x01" + bytes.fromhex(path.name)):
                path.unlink()
                removed += 1
        return removed

    def _files(self) -> Iterator[Path]:
        for shard in sorted(self._folder.iterdir()):
            yield from sorted(shard.iterdir())


class BlobFile:
    """A blob that is being written; it ends with `commit` or with `drop`."""

    def __init__(self, files: BlobFiles, path: Path, descriptor: int, threads: Threads) -> None:
        self._files = files
        self._threads = threads
        self._path = path
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._hasher = blake3()

    async def write(self, data: bytes) -> None:
        """Append."""
        await self._threads.run(self._write, data)

    async def commit(self, cas_id: CasId) -> bool:
        """Give the file its name. If its bytes are not of that name: False, and nothing is left."""
        if self._hasher.digest() != cas_id.raw[1:]:
            self.drop()
            return False
        await self._threads.run(self._commit, self._files.path(cas_id))
        return True

    def drop(self) -> None:
        """Leave nothing behind; may be called again, and after `commit`."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self._hasher.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _commit(self, path: Path) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # The name becomes durable with all others, before a snapshot counts on it.
        self._path.rename(path)


def _is_whole(path: Path) -> bool:
    hasher = blake3(max_threads=blake3.AUTO).update_mmap(path)
    return hasher.hexdigest() == path.name
