"""HTTP for garbage collection: one page for each request; what is garbage is not decided here."""

from typing import Annotated

import msgspec

from orchestrator.core.database import Database
from orchestrator.errors import MaintenanceHeld
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.paging import after, encoded
from orchestrator.handlers.http.reading import SMALL_BODY_BYTES_MAX, decode
from orchestrator.handlers.http.replying import json_answer
from orchestrator.jobs.storage_gate import StorageGate
from orchestrator.models.idempotency import Answer
from orchestrator.models.upkeep.gc import (
    ARTIFACT,
    BLOB,
    GC_START,
    Collected,
    CollectedPage,
    GCPosition,
    Retained,
)
from orchestrator.service.upkeep.gc import GCService
from orchestrator.settings import GC_PAGE_ITEMS_MAX
from orchestrator.telemetry import metrics

PageItems = Annotated[int, msgspec.Meta(ge=1, le=GC_PAGE_ITEMS_MAX)]


class CollectGarbage(msgspec.Struct, forbid_unknown_fields=True):
    """Look at the next artifacts or blobs; give `next` back as `cursor` until it is null."""

    #: Only tell what would be deleted.
    dry_run: bool = False
    #: Also tell of each thing that stays, and why.
    explain: bool = False
    limit: PageItems | None = None
    cursor: str | None = None


class CollectedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, or would be in a dry run. The bytes are those of blobs, as stored."""

    deleted: list[Collected]
    kept: list[Retained] | msgspec.UnsetType = msgspec.UNSET
    artifacts_deleted: int
    blobs_deleted: int
    bytes_freed: int
    next: str | None


class Collector:
    """The steps of one page, for whoever asks for it: a request or the schedule."""

    def __init__(self, database: Database, gc: GCService, storage: StorageGate) -> None:
        self._database = database
        self._gc = gc
        self._storage = storage

    async def collect(
        self, at: GCPosition = GC_START, *, limit: int, dry_run: bool = False
    ) -> CollectedPage:
        """One transaction, then the objects of what it deleted."""
        try:
            if not dry_run:
                await self._storage.confirm()
            async with self._database.transaction() as conn:
                page = await self._gc.collect(conn, at, limit=limit, dry_run=dry_run)
        except MaintenanceHeld:
            metrics.GC_RUNS.labels("held").inc()
            raise
        # A crash here leaves objects that no row names; verification finds them.
        await self._gc.delete_objects(page.storage_keys)
        if page.following is None and not dry_run:
            metrics.GC_RUNS.labels("done").inc()
        return page


class GCHandler:
    """Whoever may call it may delete: today that is the bearer of the one token."""

    def __init__(self, collector: Collector, *, page_items: int) -> None:
        self._collector = collector
        self._page_items = page_items

    async def collect(self, call: Call) -> Answer:
        """Delete what no tag leads to, now or by its history, once it is old enough.

        One page of all artifacts, newest first, then of all blobs. To send a request again does
        no harm.
        """
        data = decode(await call.read_json(SMALL_BODY_BYTES_MAX), CollectGarbage)
        page = await self._collector.collect(
            after(data.cursor, GCPosition, GC_START),
            limit=data.limit or self._page_items,
            dry_run=data.dry_run,
        )
        return json_answer(_body(page, explain=data.explain))


def _body(page: CollectedPage, *, explain: bool) -> CollectedBody:
    kinds = [each.kind for each in page.deleted]
    return CollectedBody(
        deleted=list(page.deleted),
        kept=list(page.retained) if explain else msgspec.UNSET,
        artifacts_deleted=kinds.count(ARTIFACT),
        blobs_deleted=kinds.count(BLOB),
        bytes_freed=page.bytes_freed,
        next=encoded(page.following) if page.following else None,
    )
