"""HTTP for garbage collection: one page for each request; what is garbage is not decided here."""

from typing import Annotated

import msgspec

from orchestrator.core.database import Connection
from orchestrator.handlers.http.body import decode
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.paging import CursorText, after, encoded
from orchestrator.handlers.http.reading import SMALL_BODY_BYTES_MAX
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import json_answer
from orchestrator.jobs.collection import Collection
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
from orchestrator.settings import GC_PAGE_ITEMS_MAX

PageItems = Annotated[int, msgspec.Meta(ge=1, le=GC_PAGE_ITEMS_MAX)]


class CollectGarbage(msgspec.Struct, forbid_unknown_fields=True):
    """Look at the next artifacts or blobs; give `next` back as `cursor` until it is null."""

    #: Only tell what would be deleted.
    dry_run: bool = False
    #: Also tell of each thing that stays, and why.
    explain: bool = False
    limit: PageItems | None = None
    cursor: CursorText | None = None


class CollectedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, or would be in a dry run. The bytes are those of blobs, as stored."""

    deleted: list[Collected]
    kept: list[Retained] | msgspec.UnsetType = msgspec.UNSET
    artifacts_deleted: int
    blobs_deleted: int
    bytes_freed: int
    next: CursorText | None


class GCHandler:
    """Whoever may call it may delete: today that is the bearer of the one token."""

    def __init__(self, collection: Collection, replay: Replay, *, page_items: int) -> None:
        self._collection = collection
        self._replay = replay
        self._page_items = page_items

    async def collect(self, call: Call) -> Answer:
        """Delete what no tag leads to, now or by its history, once it is old enough.

        One page of all artifacts, newest first, then of all blobs. To send a request again does
        no harm.
        """
        body = await call.read_json(SMALL_BODY_BYTES_MAX)
        data = decode(body, CollectGarbage)
        repeated = call.idempotent(body)
        if (first := await self._replay.first_answer(call, repeated)) is not None:
            return first
        with call.pausing():
            page = await self._collection.collect(
                after(data.cursor, GCPosition, GC_START),
                limit=data.limit or self._page_items,
                dry_run=data.dry_run,
            )
        answer = json_answer(_body(page, explain=data.explain))
        if repeated is None:
            return answer

        async def make(_: Connection) -> Answer:
            return answer

        # A crash before this commit loses the page, not what was deleted: send it again.
        return await self._replay.once(call, repeated, make)


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
