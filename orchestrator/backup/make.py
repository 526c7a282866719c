"""Makes a backup while servers go on: the database at one moment, and the blobs it names then.

It is consistent because of its order. First the maintenance lock is taken, so that nothing deletes
bytes. Then one transaction reads all tables as they are at one moment. Then the bytes are copied
that these rows name: they cannot go meanwhile, and later blobs are not named. A snapshot counts
only when all of that is durable. A backup that ends in the middle leaves no snapshot, and blobs
that the next one need not copy again.
"""

from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec

from orchestrator import __version__
from orchestrator.backup.blobs import Watch
from orchestrator.backup.copy_text import as_bytes, read_rows
from orchestrator.backup.error import BackupRefused
from orchestrator.backup.folder import BackupFolder, opened
from orchestrator.backup.maintenance_lock import connected, explained, maintenance_locked
from orchestrator.backup.snapshot import BLOBS, Snapshot, SnapshotBlob, written
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.core.parallel import for_each
from orchestrator.errors import CorruptBlob
from orchestrator.models.cas import Placement
from orchestrator.models.upkeep.backup import (
    BackupReport,
    BlobCounts,
    DamagedBlob,
    SnapshotManifest,
    TableFile,
)
from orchestrator.models.upkeep.schema import SCHEMA_VERSION
from orchestrator.repository.upkeep.backup import EXPORTS, PLACES, BackupRepository
from orchestrator.repository.upkeep.schema import SchemaRepository
from orchestrator.settings import Settings
from orchestrator.wiring.services import Container, build

COPIES_AT_ONCE = 4
#: How many inline contents one query reads at most, by number and by size.
INLINE_COUNT_MAX = 1_000
INLINE_BYTES_MAX = 16 * 1024 * 1024
TIME_FORMAT = "%Y-%m-%dT%H%M%S.%fZ"
_PLACES = ".places"


class BackupOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be chosen for one backup."""

    #: Read again what the folder has already, and copy again what is damaged there.
    verify_existing: bool = False
    #: All older snapshots are removed; 0: none is.
    snapshots_max: int = 0


async def back_up(
    path: Path, settings: Settings, options: BackupOptions, watch: Watch
) -> BackupReport:
    """Add a snapshot to the folder, which is made if it does not exist."""
    with opened(path, may_write=True) as folder, explained():
        removed = await folder.remove_damaged(watch) if options.verify_existing else 0
        url = settings.database_url
        async with maintenance_locked(url) as lock, connected(url) as conn:
            container = build(settings)
            run = BackupRun(folder, container, options, watch)
            manifest, snapshot = await run.read_database(conn)
            with container.threads.ended_after():
                await run.copy_placed(conn, snapshot)
            # Had the lock been lost, bytes could be gone that were not copied yet.
            await lock.check()
        return msgspec.structs.replace(run.publish(manifest, snapshot), damaged_here=removed)


class BackupRun:
    """One run, from the first row to the manifest."""

    def __init__(
        self,
        folder: BackupFolder,
        container: Container,
        options: BackupOptions,
        watch: Watch,
    ) -> None:
        self._folder = folder
        self._container = container
        self._options = options
        self._watch = watch
        self._rows = BackupRepository()
        self._damaged: list[DamagedBlob] = []
        self._blobs_copied = self._bytes_copied = self._blobs_seen = 0
        self._counts = BlobCounts()

    def publish(self, manifest: SnapshotManifest, snapshot: Snapshot) -> BackupReport:
        """Make the snapshot count, now that everything is copied."""
        damaged = sorted(self._damaged, key=lambda each: each.cas_id)
        manifest = msgspec.structs.replace(manifest, blobs=self._counts, damaged=damaged)
        (snapshot.folder / _PLACES).unlink()
        snapshot = self._folder.publish(snapshot, manifest)
        removed = (0, 0)
        if self._options.snapshots_max and not self._damaged:
            removed = self._folder.prune(self._options.snapshots_max)
        return BackupReport(
            folder=str(self._folder.path),
            snapshot=snapshot.name,
            schema=manifest.schema,
            rows={name: table.rows for name, table in manifest.tables.items()},
            blobs=manifest.blobs,
            blobs_copied=self._blobs_copied,
            bytes_copied=self._bytes_copied,
            damaged=manifest.damaged,
            snapshots_removed=removed[0],
            blobs_removed=removed[1],
        )

    # ----------------------------------------------------------------- the database, at one moment

    async def read_database(self, conn: Connection) -> tuple[SnapshotManifest, Snapshot]:
        """Copy all rows, and the bytes of blobs that are inline."""
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            moment = await self._begin(conn)
            snapshot = self._folder.begin(moment.astimezone(UTC).strftime(TIME_FORMAT))
            tables = await self._copy_tables(conn, snapshot)
            await self._copy_inline(conn, snapshot, tables[BLOBS])
        version = conn.get_server_version()
        manifest = SnapshotManifest(
            created_at=moment.astimezone(UTC).isoformat(),
            schema=SCHEMA_VERSION,
            postgresql=f"{version.major}.{version.minor}",
            program=__version__,
            tables=tables,
            blobs=BlobCounts(),
            damaged=[],
        )
        return manifest, snapshot

    async def _begin(self, conn: Connection) -> datetime:
        """Fix the moment that the transaction sees, and check its schema; returns the moment."""
        try:
            await self._rows.lock_schema(conn)
        except asyncpg.UndefinedTableError:
            raise _wrong_schema(None) from None
        moment = await self._rows.get_moment(conn)
        found = await SchemaRepository().get_version(conn)
        if found != SCHEMA_VERSION:
            raise _wrong_schema(found)
        await self._rows.set_plain_text(conn)
        return moment

    async def _copy_tables(self, conn: Connection, snapshot: Snapshot) -> dict[str, TableFile]:
        tables: dict[str, TableFile] = {}
        for number, export in enumerate(EXPORTS):
            self._watch("tables", number, len(EXPORTS))
            with written(snapshot.table(export.table)) as file:
                rows = await self._rows.copy_out(conn, export, file.write)
            tables[export.table] = file.finished(export.columns, rows)
        with written(snapshot.folder / _PLACES) as file:
            await self._rows.copy_out(conn, PLACES, file.write)
        return tables

    # ------------------------------------------------------------------------ bytes inside of it

    async def _copy_inline(self, conn: Connection, snapshot: Snapshot, table: TableFile) -> None:
        """Copy inline bytes that the folder does not have, and count all blobs for the manifest."""
        batch: list[SnapshotBlob] = []
        batch_bytes = 0
        for blob in snapshot.blobs(table.columns):
            self._count(blob)
            self._watch("blobs", self._blobs_seen, table.rows)
            if self._folder.has(blob.cas_id, blob.size_bytes):
                self._blobs_seen += 1
            elif blob.quarantine_reason is not None:
                self._blobs_seen += 1
                self._miss(blob.cas_id, f"in quarantine: {blob.quarantine_reason}")
            elif blob.inline:
                batch.append(blob)
                batch_bytes += blob.size_bytes
            if len(batch) == INLINE_COUNT_MAX or batch_bytes > INLINE_BYTES_MAX:
                await self._put_inline(conn, batch)
                batch, batch_bytes = [], 0
        await self._put_inline(conn, batch)

    async def _put_inline(self, conn: Connection, batch: list[SnapshotBlob]) -> None:
        contents = await self._rows.list_contents(conn, [blob.cas_id.raw for blob in batch])
        good: list[tuple[CasId, bytes]] = []
        for blob in batch:
            content = contents[blob.cas_id.raw]
            if CasId.of(content) == blob.cas_id:
                good.append((blob.cas_id, content))
            else:
                self._miss(blob.cas_id, "its bytes in the database are not those of its name")
        self._folder.inline.put(good)
        self._blobs_seen += len(batch)
        self._blobs_copied += len(good)
        self._bytes_copied += sum(len(content) for _, content in good)

    def _count(self, blob: SnapshotBlob) -> None:
        was = self._counts
        if blob.inline:
            more = {"inline": was.inline + 1, "inline_bytes": was.inline_bytes + blob.size_bytes}
        else:
            more = {"placed": was.placed + 1, "placed_bytes": was.placed_bytes + blob.size_bytes}
        self._counts = msgspec.structs.replace(was, **more)

    # ----------------------------------------------------------------------- bytes outside of it

    async def copy_placed(self, conn: Connection, snapshot: Snapshot) -> None:
        """Copy stored bytes that the folder does not have. The keys need no transaction."""
        total = self._counts.placed + self._counts.inline
        wanted = (place for place in _places(snapshot) if not self._folder.has(*place[:2]))
        first = next(wanted, None)
        if first is None:
            return
        # A wrong folder or bucket lacks all blobs, and they are not damaged.
        await self._container.identity.confirm(conn)

        async def copy(place: tuple[CasId, int, Placement]) -> None:
            await self._copy(*place)
            self._blobs_seen += 1
            self._watch("blobs", self._blobs_seen, total)

        await copy(first)
        await for_each(wanted, copy, at_once=COPIES_AT_ONCE)

    async def _copy(self, cas_id: CasId, size_bytes: int, placement: Placement) -> None:
        file = self._folder.blobs.begin()
        try:
            part = range(size_bytes)
            async with aclosing(self._container.delivery.plain(cas_id, placement, part)) as pieces:
                async for piece in pieces:
                    await file.write(piece)
            is_whole = await file.commit(cas_id)
        except CorruptBlob:
            is_whole = False
        finally:
            file.drop()
        if is_whole:
            self._blobs_copied += 1
            self._bytes_copied += size_bytes
        else:
            self._miss(cas_id, "its bytes in the blob storage are damaged or gone")

    def _miss(self, cas_id: CasId, reason: str) -> None:
        self._damaged.append(DamagedBlob(cas_id=str(cas_id), reason=reason))


def _places(snapshot: Snapshot) -> Iterator[tuple[CasId, int, Placement]]:
    """Name, size and place of each blob outside the database that is not in quarantine."""
    for row in read_rows(snapshot.folder / _PLACES, PLACES.columns):
        placement = Placement(
            storage_key=row["storage_key"] or "",
            segments=as_bytes(row["segments"]) or b"",
            stored_bytes=int(row["stored_bytes"] or 0),
            encoding=row["encoding"],
        )
        yield CasId(as_bytes(row["cas_id"]) or b""), int(row["size_bytes"] or 0), placement


def _wrong_schema(found: str | None) -> BackupRefused:
    if found is not None and found > SCHEMA_VERSION:
        return BackupRefused(
            f"The database has schema {found}, newer than schema {SCHEMA_VERSION} of this "
            "program: use the newer program."
        )
    return BackupRefused(
        f"The database has schema {found or 'none'}, and this program is for {SCHEMA_VERSION}: use "
        "the program that it is of, or migrate it first."
    )
