"""Vocabulary of backups: what a snapshot says of itself, and what a backup and a restore report."""

import msgspec

#: Of the folder as a whole; a program refuses a newer one.
FORMAT = 1


class FolderMark(msgspec.Struct, frozen=True, kw_only=True):
    """What `orchestrator-backup.json` says: that the folder is one of ours, and how to read it."""

    format: int = FORMAT


class TableFile(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one table at the moment of the snapshot, in one file."""

    columns: tuple[str, ...]
    rows: int
    size_bytes: int
    blake3: str


class DamagedBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that the snapshot names and whose bytes the backup does not have."""

    cas_id: str
    reason: str


class BlobCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many blobs a snapshot names, by where its database had them, and their own bytes."""

    placed: int = 0
    placed_bytes: int = 0
    inline: int = 0
    inline_bytes: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot in one file; the table files are as it says, or the snapshot is damaged."""

    format: int = FORMAT
    #: The moment of the snapshot, by the clock of its database.
    created_at: str
    #: Of this revision the tables are.
    schema: str
    postgresql: str
    program: str
    tables: dict[str, TableFile]
    blobs: BlobCounts
    damaged: list[DamagedBlob]


class BackupReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one backup did."""

    folder: str
    snapshot: str
    schema: str
    rows: dict[str, int]
    blobs: BlobCounts
    #: Blobs that the folder did not have before.
    blobs_copied: int
    bytes_copied: int
    damaged: list[DamagedBlob]
    #: Of the folder's own, found by reading all; those the snapshot names were copied again.
    damaged_here: int = 0
    snapshots_removed: int = 0
    blobs_removed: int = 0


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one restore did."""

    snapshot: str
    schema: str
    rows: dict[str, int]
    blobs: int
    blobs_placed: int
    #: In quarantine now.
    damaged: list[DamagedBlob]
    #: What the verification at the end found besides.
    problems: list[str] = []
