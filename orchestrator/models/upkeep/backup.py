"""Vocabulary of backups: what a snapshot says of itself, and what a backup and a restore report."""

import msgspec

#: The format of the folder as a whole; a program refuses a newer one.
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
    """How many blobs a snapshot names, and their sizes: placed in storage, or inline in rows."""

    placed: int = 0
    placed_bytes: int = 0
    inline: int = 0
    inline_bytes: int = 0


class SnapshotManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot contains. If the table files differ from this, the snapshot is damaged."""

    format: int = FORMAT
    #: The moment of the snapshot, by the clock of its database.
    created_at: str
    #: The schema of the tables.
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
    #: Damaged files of the folder itself; those that the snapshot names were copied again.
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
    #: Blobs that are in quarantine now.
    damaged: list[DamagedBlob]
    #: What else the verification at the end found.
    problems: list[str] = []
