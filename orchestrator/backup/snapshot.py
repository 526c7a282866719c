"""One snapshot of a backup: its table files and its manifest, checked when they are read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
from blake3 import blake3

from orchestrator.backup.copy_text import as_bytes, as_time, read_rows
from orchestrator.backup.error import BackupRefused
from orchestrator.core.digest import CasId
from orchestrator.core.durable_file import sync_folder
from orchestrator.models.upkeep.backup import FORMAT, FolderMark, SnapshotManifest, TableFile

MANIFEST = "manifest.json"
SUMS = "B3SUMS"
BLOBS = "cas_blob"
_TRUE = "t"


class SnapshotBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `cas_blob` at the moment of the snapshot, without the bytes."""

    cas_id: CasId
    size_bytes: int
    media_type: str
    sha256: bytes | None
    created_at: datetime
    inline: bool
    quarantined_at: datetime | None
    quarantine_reason: str | None


class Snapshot:
    """A snapshot: the files of one moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """The moment in UTC, which is the name of the folder."""
        return self.folder.name

    def table(self, name: str) -> Path:
        """Where the rows of a table are."""
        return self.folder / f"{name}.copy"

    def blobs(self, columns: tuple[str, ...]) -> Iterator[SnapshotBlob]:
        """All blobs in the order of their names; `columns` are those of the manifest."""
        for row in read_rows(self.table(BLOBS), columns):
            created_at = as_time(row["created_at"])
            assert created_at is not None
            yield SnapshotBlob(
                cas_id=CasId(as_bytes(row["cas_id"]) or b""),
                size_bytes=int(row["size_bytes"] or 0),
                media_type=row["media_type"] or "",
                sha256=as_bytes(row["sha256"]),
                created_at=created_at,
                inline=row["inline"] == _TRUE,
                quarantined_at=as_time(row["quarantined_at"]),
                quarantine_reason=row["quarantine_reason"],
            )

    def manifest(self) -> SnapshotManifest:
        """Raises BackupRefused if it is not what was written, or of a newer program."""
        path = self.folder / MANIFEST
        content = path.read_bytes()
        sums = self.folder / SUMS
        line = f"{blake3(content).hexdigest()}  {MANIFEST}"
        if not sums.exists() or line not in sums.read_text().splitlines():
            raise BackupRefused(f"{path} is damaged: its BLAKE3 is not the one in {SUMS}.")
        try:
            check_format(msgspec.json.decode(content, type=FolderMark), path)
            return msgspec.json.decode(content, type=SnapshotManifest)
        except msgspec.MsgspecError as error:
            raise BackupRefused(f"{path} cannot be read: {error}.") from None

    def check_tables(self, manifest: SnapshotManifest) -> None:
        """Raises BackupRefused unless every byte is as the manifest says."""
        for name, expected in manifest.tables.items():
            path = self.table(name)
            if not path.exists():
                raise BackupRefused(f"{path} is missing.")
            hasher = blake3(max_threads=blake3.AUTO).update_mmap(path)
            if hasher.hexdigest() != expected.blake3:
                raise BackupRefused(f"{path} is damaged: its BLAKE3 is not that of the manifest.")

    def finish(self, manifest: SnapshotManifest) -> None:
        """Write the manifest and the sums; the tables are durable already."""
        sums = {self.table(name).name: table.blake3 for name, table in manifest.tables.items()}
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        sums[MANIFEST] = blake3(content).hexdigest()
        lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        write_durable(self.folder / SUMS, lines.encode())
        write_durable(self.folder / MANIFEST, content)
        sync_folder(self.folder)


class TableWriter:
    """A file of a snapshot while its rows are written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = blake3()
        self._size = 0

    async def write(self, data: bytes) -> None:
        """Into the page cache; `written` makes it durable."""
        self._file.write(data)
        self._hasher.update(data)
        self._size += len(data)

    def finished(self, columns: tuple[str, ...], rows: int) -> TableFile:
        """What the manifest says of it."""
        return TableFile(
            columns=columns, rows=rows, size_bytes=self._size, blake3=self._hasher.hexdigest()
        )


@contextmanager
def written(path: Path) -> Iterator[TableWriter]:
    """A new private file; durable at the end of the block, except for its name."""
    with _private(path) as file:
        yield TableWriter(file)
        file.flush()
        os.fsync(file.fileno())


def write_durable(path: Path, content: bytes) -> None:
    """Write a small private file; durable when this returns, except for its name."""
    with _private(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def check_format(found: FolderMark, path: Path) -> None:
    """Refuse what only a newer program can read."""
    if found.format > FORMAT:
        raise BackupRefused(
            f"{path} is of format {found.format}, newer than format {FORMAT} of this program: "
            "use the newer program."
        )


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
