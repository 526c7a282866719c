"""The folder of a backup: its files, how they become durable, which of them count; no database.

    orchestrator-backup.json   the version of this format; locked while anybody works here
    blobs/ab/<hex>             the bytes of a blob outside the database, named by their BLAKE3
    inline.sqlite              the bytes of those inside the database, one row each
    incoming/                  blobs that are being written
    snapshots/<UTC time>/      what the database said at that moment
        <table>.copy           its rows, in the text format of PostgreSQL's COPY
        manifest.json          of which schema they are, how many, and their BLAKE3
        B3SUMS                 the BLAKE3 of all these files, for `b3sum --check`

A blob is written under another name, synced, and renamed, so that a file with its name is whole. A
snapshot is made in a folder whose name begins with a dot, and renamed when all that it names is
durable: either it is there with everything, or it is not there. Snapshots share the blobs: a second
backup adds only those that are new.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from orchestrator.backup.blobs import BlobFiles, Watch
from orchestrator.backup.error import BackupRefused
from orchestrator.backup.inline import InlineContents
from orchestrator.backup.snapshot import BLOBS, MANIFEST, Snapshot, check_format
from orchestrator.core.digest import CasId
from orchestrator.core.durable_file import sync_folder, sync_folder_and_above
from orchestrator.core.threads import Threads
from orchestrator.models.upkeep.backup import FolderMark, SnapshotManifest

MARK = "orchestrator-backup.json"
#: What a folder may contain that is to become a backup; an empty file system has `lost+found`.
_NOTHING = frozenset({MARK, "lost+found"})
#: Files that are read or written at one moment.
_FILE_THREADS = 8
_WRITING = ".writing"
_REMOVING = ".removing"


class BackupFolder:
    """A folder that is ours, locked. Other files in it are left alone."""

    def __init__(self, path: Path, threads: Threads, *, may_write: bool) -> None:
        self.path = path
        self._snapshots = path / "snapshots"
        self.blobs = BlobFiles(path / "blobs", path / "incoming", threads)
        self.inline = InlineContents(path / "inline.sqlite", may_write=may_write)

    def has(self, cas_id: CasId, size_bytes: int) -> bool:
        """Whether the bytes are here in either form; they are not read."""
        return self.inline.known(cas_id) or self.blobs.has(cas_id, size_bytes)

    async def remove_damaged(self, watch: Watch) -> int:
        """Read all bytes, and remove blobs whose bytes are not those of their name; how many."""
        return await self.blobs.remove_damaged(watch) + self.inline.remove_damaged()

    def clear(self) -> None:
        """Make the folders, and remove what an interrupted backup left unfinished."""
        self._snapshots.mkdir(mode=0o700, exist_ok=True)
        self.blobs.clear()
        for unfinished in self._snapshots.glob(".*"):
            shutil.rmtree(unfinished)

    def snapshots(self) -> list[Snapshot]:
        """The oldest first."""
        with suppress(FileNotFoundError):
            return [
                Snapshot(path)
                for path in sorted(self._snapshots.iterdir())
                if not path.name.startswith(".") and (path / MANIFEST).exists()
            ]
        return []

    def snapshot(self, name: str | None) -> Snapshot:
        """The one of that name, or the newest."""
        found = self.snapshots()
        if not found:
            raise BackupRefused(f"There is no snapshot in {self.path}.")
        if name is None:
            return found[-1]
        for each in found:
            if each.name == name:
                return each
        names = ", ".join(each.name for each in found)
        raise BackupRefused(f"There is no snapshot {name!r} in {self.path}; there is {names}.")

    def begin(self, name: str) -> Snapshot:
        """A snapshot that does not count yet."""
        folder = self._snapshots / f"{_WRITING}-{name}"
        folder.mkdir(mode=0o700)
        return Snapshot(folder)

    def publish(self, snapshot: Snapshot, manifest: SnapshotManifest) -> Snapshot:
        """Make the snapshot count. All blobs that it names have been written."""
        self.blobs.sync()
        # The journal of SQLite is gone for good only when the folder says so.
        sync_folder(self.path)
        snapshot.finish(manifest)
        # A crash before the rename leaves a folder that the next backup removes.
        final = snapshot.folder.with_name(snapshot.name.removeprefix(f"{_WRITING}-"))
        snapshot.folder.rename(final)
        # A crash here may lose the name, and with it the snapshot, which was not reported yet.
        sync_folder(self._snapshots)
        return Snapshot(final)

    def prune(self, snapshots_max: int) -> tuple[int, int]:
        """Remove all but the newest snapshots, then the blobs that none of these names.

        Returns how many of each. Blobs that a crash leaves in between are removed the next time.
        """
        left, removed = self.snapshots()[-snapshots_max:], self.snapshots()[:-snapshots_max]
        for each in removed:
            hidden = each.folder.with_name(f"{_REMOVING}-{each.name}")
            each.folder.rename(hidden)
            sync_folder(self._snapshots)
            shutil.rmtree(hidden)
        names = (blob.cas_id.raw for each in left for blob in each.blobs(_columns(each)))
        with self.inline.naming(names) as named:
            blobs = self.blobs.remove_unless(named) + self.inline.remove_unnamed()
        return len(removed), blobs


def _columns(snapshot: Snapshot) -> tuple[str, ...]:
    """The columns of the table of blobs, which is checked: what it does not name is removed."""
    manifest = snapshot.manifest()
    snapshot.check_tables(manifest)
    return manifest.tables[BLOBS].columns


@contextmanager
def opened(path: Path, *, may_write: bool) -> Iterator[BackupFolder]:
    """The folder, locked until the block ends: for one writer alone, or for any readers."""
    if may_write:
        _check_is_ours_or_empty(path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        how = os.O_RDWR | os.O_CREAT if may_write else os.O_RDONLY
        descriptor = os.open(path / MARK, how | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        raise BackupRefused(f"{path} is not the folder of a backup: it has no {MARK}.") from None
    with os.fdopen(descriptor, "r+b" if may_write else "rb") as mark:
        _lock(mark, path, alone=may_write)
        _check_mark(mark, path, may_write=may_write)
        threads = Threads(_FILE_THREADS, name="backup")
        folder = BackupFolder(path, threads, may_write=may_write)
        if may_write:
            folder.clear()
        with threads.ended_after(), folder.inline.opened():
            yield folder


def _lock(mark: BinaryIO, path: Path, *, alone: bool) -> None:
    try:
        fcntl.flock(mark, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupRefused(f"Another backup or restore works in {path} now.") from None


def _check_mark(mark: BinaryIO, path: Path, *, may_write: bool) -> None:
    content = mark.read()
    if not content and may_write:
        # New, or a crash came before this was written.
        mark.write(msgspec.json.encode(FolderMark()) + b"\n")
        mark.flush()
        os.fsync(mark.fileno())
        sync_folder_and_above(path)
        return
    try:
        check_format(msgspec.json.decode(content, type=FolderMark), path / MARK)
    except msgspec.MsgspecError as error:
        raise BackupRefused(f"{path / MARK} cannot be read: {error}") from None


def _check_is_ours_or_empty(path: Path) -> None:
    """Refuse a folder that has files of somebody else and none of ours."""
    with suppress(FileNotFoundError):
        if not (path / MARK).exists() and {each.name for each in path.iterdir()} - _NOTHING:
            raise BackupRefused(f"{path} has other files and no {MARK}: choose an empty folder.")
