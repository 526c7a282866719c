"""The blobs of a backup that are files: `blobs/ab/<hex>`, plain bytes under their BLAKE3."""

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

from blake3 import blake3

from orchestrator.core.digest import CasId
from orchestrator.core.durable_file import sync_folder
from orchestrator.core.identifier import new_id
from orchestrator.core.threads import in_thread

_READ_BYTES = 1024 * 1024
#: Told now and then: what is done, how much of it, and of how much; 0 is unknown.
Watch = Callable[[str, int, int], None]


class BlobFiles:
    """Files that are whole as soon as they have their name."""

    def __init__(self, folder: Path, incoming: Path) -> None:
        self._folder = folder
        self._incoming = incoming

    def clear(self) -> None:
        """Make the folders; what an interrupted backup was writing is worth nothing."""
        for folder in (self._folder, self._incoming):
            folder.mkdir(mode=0o700, exist_ok=True)
        for unfinished in self._incoming.iterdir():
            unfinished.unlink()

    def path(self, cas_id: CasId) -> Path:
        """Where the blob is, if it is there."""
        name = cas_id.raw[1:].hex()
        return self._folder / name[:2] / name

    def has(self, cas_id: CasId, size_bytes: int) -> bool:
        """Whether it is there, by its name and its size: the bytes are not read."""
        try:
            return self.path(cas_id).stat().st_size == size_bytes
        except FileNotFoundError:
            return False

    async def chunks(self, cas_id: CasId) -> AsyncGenerator[bytes, None]:
        """The bytes as they are; nothing is checked."""
        with self.path(cas_id).open("rb", buffering=0) as file:
            while chunk := await in_thread(file.read, _READ_BYTES):
                yield chunk

    async def remove_damaged(self, watch: Watch) -> int:
        """Read all of them; returns how many are not those of their name, and are gone."""
        removed = 0
        for number, path in enumerate(self._files()):
            watch("verify", number, 0)
            if not await in_thread(_is_whole, path):
                path.unlink()
                removed += 1
        return removed

    def begin(self) -> "BlobFile":
        """A file without its name."""
        path = self._incoming / new_id().hex
        return BlobFile(self, path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def sync(self) -> None:
        """Make all names durable, also those that an interrupted backup gave."""
        for shard in self._folder.iterdir():
            sync_folder(shard)
        sync_folder(self._folder)

    def remove_unless(self, named: Callable[[bytes], bool]) -> int:
        """Returns how many were removed. One that a crash brings back is removed next time."""
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
    """A blob that is being written; it ends with `keep` or with `drop`."""

    def __init__(self, files: BlobFiles, path: Path, descriptor: int) -> None:
        self._files = files
        self._path = path
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._hasher = blake3()

    async def write(self, data: bytes) -> None:
        """Append."""
        await in_thread(self._write, data)

    async def keep(self, cas_id: CasId) -> bool:
        """Give it its name, or drop it and return False if the bytes are not those of the name."""
        if self._hasher.digest() != cas_id.raw[1:]:
            self.drop()
            return False
        await in_thread(self._keep, self._files.path(cas_id))
        return True

    def drop(self) -> None:
        """Leave nothing; may be called again."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self._hasher.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _keep(self, path: Path) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # The name becomes durable with all others, before a snapshot counts on it.
        self._path.rename(path)


def _is_whole(path: Path) -> bool:
    hasher = blake3(max_threads=blake3.AUTO).update_mmap(path)
    return hasher.hexdigest() == path.name
