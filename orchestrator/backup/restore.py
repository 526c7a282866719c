"""Puts a snapshot of a backup into an empty database and a blob storage that is its own.

The bytes come first, under new keys; then all rows in one transaction that finds the database empty
and leaves it full. What ends in the middle leaves an empty database and bytes that no row names:
verification removes those, and the restore can be made again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from orchestrator import migration
from orchestrator.backup.blobs import Watch
from orchestrator.backup.error import BackupRefused
from orchestrator.backup.folder import BackupFolder, opened
from orchestrator.backup.inline import RestoredPlaces
from orchestrator.backup.maintenance_lock import connected, explained, maintenance_locked
from orchestrator.backup.restored_row import COLUMNS, inline_row, lost_row, placed_row
from orchestrator.backup.snapshot import BLOBS, Snapshot, SnapshotBlob
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.core.parallel import for_each
from orchestrator.errors import DigestMismatch
from orchestrator.models.cas import Placement
from orchestrator.models.upkeep.backup import DamagedBlob, RestoreReport, SnapshotManifest
from orchestrator.models.upkeep.schema import SCHEMA_VERSION
from orchestrator.models.upkeep.verify import Scope
from orchestrator.repository.upkeep.backup import EXPORTS, BackupRepository
from orchestrator.repository.upkeep.schema import SchemaRepository
from orchestrator.settings import Settings
from orchestrator.wiring.jobs import build_verification
from orchestrator.wiring.services import Container, build

COPIES_AT_ONCE = 4
#: What was stored is restored, whatever the limit for uploads is now.
_BLOB_BYTES_MAX = 1 << 62


class RestoreOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be chosen for one restore."""

    #: The name of a snapshot; None: the newest.
    snapshot: str | None = None
    #: Restore although bytes are missing or damaged; their blobs are put in quarantine.
    allow_damaged: bool = False
    #: In the verification at the end, read every byte and not only its presence.
    read_data: bool = False


def restore(path: Path, settings: Settings, options: RestoreOptions, watch: Watch) -> RestoreReport:
    """Fill the database of the settings, and bring it to the schema of this program."""
    settings = msgspec.structs.replace(settings, blob_bytes_max=_BLOB_BYTES_MAX)
    with opened(path, may_write=False) as folder, explained():
        snapshot = folder.snapshot(options.snapshot)
        manifest = _checked(snapshot)
        run = RestoreRun(folder, snapshot, manifest, settings, options, watch)
        run.check_blobs()
        _bring_to(settings.database_url, manifest.schema)
        report = asyncio.run(run.load())
        # A crash from here on leaves a database that is whole; the next server migrates it.
        migration.upgrade(settings.database_url)
        problems = asyncio.run(_verified(settings, report, options, watch))
        return msgspec.structs.replace(report, schema=SCHEMA_VERSION, problems=problems)


def _checked(snapshot: Snapshot) -> SnapshotManifest:
    """Refuse before anything is written."""
    manifest = snapshot.manifest()
    if manifest.schema > SCHEMA_VERSION:
        raise BackupRefused(
            f"The snapshot {snapshot.name} is of schema {manifest.schema}, newer than schema "
            f"{SCHEMA_VERSION} of this program: use the newer program."
        )
    if missing := [each.table for each in EXPORTS if each.table not in manifest.tables]:
        raise BackupRefused(f"The snapshot {snapshot.name} has no rows of {', '.join(missing)}.")
    snapshot.check_tables(manifest)
    return manifest


def _bring_to(url: str, schema: str) -> None:
    """Migrate the empty database to the schema of the snapshot, up or down."""
    found = migration.current(url)
    if found is not None:
        asyncio.run(_check_empty(url))
    if found is None or found < schema:
        migration.upgrade(url, schema)
    elif found > schema:
        migration.downgrade(url, schema)


async def _check_empty(url: str) -> None:
    async with connected(url) as conn:
        if await BackupRepository().is_used(conn):
            raise _not_empty()


class RestoreRun:
    """One run, from the first byte to the commit."""

    def __init__(
        self,
        folder: BackupFolder,
        snapshot: Snapshot,
        manifest: SnapshotManifest,
        settings: Settings,
        options: RestoreOptions,
        watch: Watch,
    ) -> None:
        self._folder = folder
        self._snapshot = snapshot
        self._manifest = manifest
        self._settings = settings
        self._options = options
        self._watch = watch
        self._rows = BackupRepository()
        self._places = RestoredPlaces()
        self._damaged: dict[CasId, str] = {}
        self._blobs_seen = 0

    def check_blobs(self) -> None:
        """Refuse at once, and not after hours, a backup that lacks bytes."""
        for blob in self._blobs():
            if not self._folder.has(blob.cas_id, blob.size_bytes):
                self._miss(blob.cas_id, blob.quarantine_reason or "it is not in the backup")

    async def load(self) -> RestoreReport:
        """Copy the bytes, then the rows."""
        url, container = self._settings.database_url, build(self._settings)
        with closing(self._places):
            async with maintenance_locked(url), connected(url) as conn:
                # Database and storage are joined before anything is written to either.
                await container.identity.confirm(conn)
                await self._put_bytes(container)
                rows = await self.put_rows(conn)
                return RestoreReport(
                    snapshot=self._snapshot.name,
                    schema=self._manifest.schema,
                    rows=rows,
                    blobs=rows[BLOBS],
                    blobs_placed=self._places.count_placed(),
                    damaged=[
                        DamagedBlob(cas_id=str(cas_id), reason=reason)
                        for cas_id, reason in sorted(self._damaged.items())
                    ],
                )

    def _blobs(self) -> Iterator[SnapshotBlob]:
        return self._snapshot.blobs(self._manifest.tables[BLOBS].columns)

    def _miss(self, cas_id: CasId, reason: str) -> None:
        self._damaged[cas_id] = reason
        if not self._options.allow_damaged:
            raise BackupRefused(
                f"The backup does not have the bytes of {cas_id}: {reason}. With --allow-damaged "
                "all else is restored, and such blobs wait in quarantine for their bytes."
            )

    # -------------------------------------------------------------------------- bytes, to storage

    async def _put_bytes(self, container: Container) -> None:
        """Copy what was in the old storage to the new one; intake leaves small blobs inline."""

        async def put(blob: SnapshotBlob) -> None:
            try:
                async with (
                    aclosing(self._folder.blobs.chunks(blob.cas_id)) as chunks,
                    container.intake.received(
                        chunks, blob.media_type, expected=blob.cas_id
                    ) as taken,
                ):
                    # Its row comes later. A crash before that leaves an object that no row names.
                    taken.is_used = True
                    self._places.put(taken.received)
            except DigestMismatch:
                self._miss(blob.cas_id, "they are damaged there")
            self._blobs_seen += 1
            self._watch("blobs", self._blobs_seen, self._manifest.blobs.placed)

        placed = (
            blob
            for blob in self._blobs()
            if not blob.inline and self._folder.blobs.has(blob.cas_id, blob.size_bytes)
        )
        await for_each(placed, put, at_once=COPIES_AT_ONCE)

    # ------------------------------------------------------------------------- rows, all or none

    async def put_rows(self, conn: Connection) -> dict[str, int]:
        """Write all tables in one transaction; returns the number of rows of each."""
        rows: dict[str, int] = {}
        async with conn.transaction():
            await self._rows.lock_rows(conn)
            # A server may have written, or migrated, since we looked.
            if await self._rows.is_used(conn):
                raise _not_empty()
            if await SchemaRepository().get_version(conn) != self._manifest.schema:
                raise BackupRefused("Another program migrated the database meanwhile: try again.")
            await self._rows.set_plain_text(conn)
            moment = await self._rows.get_moment(conn)
            for number, export in enumerate(EXPORTS):
                self._watch("tables", number, len(EXPORTS))
                table = self._manifest.tables[export.table]
                if export.table == BLOBS:
                    count = await self._rows.put_blobs(conn, COLUMNS, self.records(moment))
                else:
                    file = self._snapshot.table(export.table)
                    count = await self._rows.copy_in(conn, export.table, table.columns, file)
                if count != table.rows:
                    raise BackupRefused(
                        f"{count} rows of {export.table} were read, the manifest says {table.rows}."
                    )
                rows[export.table] = count
        return rows

    async def records(self, moment: datetime) -> AsyncIterator[tuple[Any, ...]]:
        """The rows of cas_blob with their bytes, or with where these are now."""
        for blob in self._blobs():
            place = self._places.get(blob.cas_id)
            content = place if isinstance(place, bytes) else None
            if place is None:
                content = self._content(blob)
            if content is not None:
                yield inline_row(blob, content)
            elif isinstance(place, Placement):
                yield placed_row(blob, place)
            else:
                yield lost_row(blob, moment, f"restore: {self._damaged[blob.cas_id]}")

    def _content(self, blob: SnapshotBlob) -> bytes | None:
        """The bytes of a blob that is to be inline; None if the backup does not have them."""
        content = self._folder.inline.get(blob.cas_id)
        if content is None and blob.inline and self._folder.blobs.has(blob.cas_id, blob.size_bytes):
            content = self._folder.blobs.path(blob.cas_id).read_bytes()
            content = content if CasId.of(content) == blob.cas_id else None
        if content is None and blob.cas_id not in self._damaged:
            self._miss(blob.cas_id, "they are damaged there")
        return content


def _not_empty() -> BackupRefused:
    return BackupRefused("The database is not empty: restore into one that was just created.")


async def _verified(
    settings: Settings, report: RestoreReport, options: RestoreOptions, watch: Watch
) -> list[str]:
    """The problems of the restored store, in words, except the damage that is known."""
    known = {each.cas_id for each in report.damaged}
    problems: list[str] = []
    seen = 0
    async with connected(settings.database_url) as conn:
        await BackupRepository().analyze(conn)
    container = build(settings)
    verification, scope = build_verification(container), Scope(read_data=options.read_data)
    with container.threads.ended_after():
        async with container.database.opened():
            async for page in verification.pages(scope):
                seen += page.checked_blobs
                watch("verify", seen, report.blobs)
                problems += [
                    f"{each.cas_id or each.storage_key or 'the blob storage'}: {each.detail}"
                    for each in page.problems
                    if each.cas_id not in known
                ]
    return problems
