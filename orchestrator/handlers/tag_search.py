"""HTTP for questions about the tags of a namespace: reads only, each on one connection."""

from functools import partial
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

from orchestrator.core.database import Database
from orchestrator.documents.artifact_draft import KindText, parse_kind
from orchestrator.handlers.http.body import TimeText, Version
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed
from orchestrator.handlers.http.paging import (
    CountedPageQuery,
    after,
    found_page,
    tag_after,
)
from orchestrator.handlers.http.query_group import QueryGroup
from orchestrator.handlers.http.reading import parse_time, without_nul
from orchestrator.handlers.tag_body import move_item, tag_item
from orchestrator.handlers.workflow_body import workflow_body
from orchestrator.models.found import Found
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import TAG_LENGTH_MAX, IdText, parse_tag
from orchestrator.models.reference import parse_id
from orchestrator.models.tag_search import (
    EARLIEST,
    LATEST,
    MoveFilter,
    MovePosition,
    NamedMove,
    NamedTag,
    TagFilter,
)
from orchestrator.models.workflow import WorkflowEntry
from orchestrator.service.tag_search import MoveSearchService, TagSearchService

T = TypeVar("T")

Prefix = Annotated[
    str, QueryParameter(max_length=TAG_LENGTH_MAX, description="Only tags whose names begin so.")
]
MovedBy = Annotated[str | None, QueryParameter(description="Only moves by this principal.")]
Since = Annotated[
    TimeText | None,
    QueryParameter(description="Only moves from this time on (RFC 3339, a date, -2h)."),
]
Until = Annotated[
    TimeText | None,
    QueryParameter(description="Only moves before this time (RFC 3339, a date, -2h)."),
]
TogetherQuery = Annotated[
    IdText | None, QueryParameter(description="Only moves that this transaction made.")
]
LastMovedBy = Annotated[
    str | None, QueryParameter(description="Only tags that this principal moved last.")
]
LastSince = Annotated[
    TimeText | None,
    QueryParameter(
        description="Only tags whose last move is from this time on (RFC 3339, a date, -2h)."
    ),
]
LastUntil = Annotated[
    TimeText | None,
    QueryParameter(
        description="Only tags whose last move is before this time (RFC 3339, a date, -2h)."
    ),
]
TargetKind = Annotated[
    KindText | None, QueryParameter(description="Only tags that name an artifact of this kind.")
]
MovedToKind = Annotated[
    KindText | None, QueryParameter(description="Only moves to an artifact of this kind.")
]
NamespaceTime = Annotated[
    TimeText | None,
    QueryParameter(
        description="Time travel: the tags of the namespace as they were (RFC 3339, a date, -2h)."
    ),
]
Deleted = Annotated[
    bool, QueryParameter(description="true: those that are deleted, instead of those that are not.")
]


class TagsQuery(QueryGroup, frozen=True, kw_only=True):
    """Which tags."""

    prefix: Prefix = ""
    moved_by: LastMovedBy = None
    since: LastSince = None
    until: LastUntil = None
    kind: TargetKind = None
    at: NamespaceTime = None

    def filter(self, *, deleted: bool = False) -> TagFilter:
        """What the parameters say."""
        return TagFilter(
            prefix=without_nul(self.prefix, "/prefix"),
            moved_by=without_nul(self.moved_by, "/moved_by"),
            since=None if self.since is None else parse_time(self.since, "/since"),
            until=None if self.until is None else parse_time(self.until, "/until"),
            kind=None if self.kind is None else parse_kind(self.kind),
            at=None if self.at is None else parse_time(self.at),
            deleted=deleted,
        )


class TagSearchHandler:
    """What an auditor asks about tags."""

    def __init__(
        self,
        database: Database,
        *,
        tags: TagSearchService[NamedTag],
        workflows: TagSearchService[WorkflowEntry],
        moves: MoveSearchService,
    ) -> None:
        self._database = database
        self._tags = tags
        self._workflows = workflows
        self._moves = moves

    async def list_tags(
        self, call: Call, only: TagsQuery, deleted: Deleted = False, *, page: CountedPageQuery
    ) -> Answer:
        """The tags of a namespace by name, as they are or as all of them were at a time."""
        wanted = only.filter(deleted=deleted)
        found = await self._page(self._tags, call, wanted, page)
        return listed(call, found_page(found, page.limit, _name, tag_item))

    async def list_workflows(
        self, call: Call, only: TagsQuery, *, page: CountedPageQuery
    ) -> Answer:
        """The tags of a namespace that name workflows, by name, without the documents."""
        found = await self._page(self._workflows, call, only.filter(), page)
        return listed(call, found_page(found, page.limit, _tag, workflow_body))

    async def _page(
        self, tags: TagSearchService[T], call: Call, wanted: TagFilter, page: CountedPageQuery
    ) -> Found[T, str]:
        start = tag_after(page.cursor)
        async with self._database.connection() as conn:
            return await tags.list_by_tag(
                conn, call.namespace, wanted, after=start, limit=page.limit + 1, total=page.total
            )

    async def list_moves(
        self,
        call: Call,
        *,
        prefix: Prefix = "",
        moved_by: MovedBy = None,
        since: Since = None,
        until: Until = None,
        kind: MovedToKind = None,
        transaction_id: TogetherQuery = None,
        page: CountedPageQuery,
    ) -> Answer:
        """The moves of all tags of a namespace, newest first; also of tags that were deleted."""
        wanted = MoveFilter(
            prefix=without_nul(prefix, "/prefix"),
            moved_by=without_nul(moved_by, "/moved_by"),
            since=EARLIEST if since is None else parse_time(since, "/since"),
            until=LATEST if until is None else parse_time(until, "/until"),
            kind=None if kind is None else parse_kind(kind),
            transaction_id=None
            if transaction_id is None
            else parse_id(transaction_id, "/transaction_id", "A transaction"),
        )
        before = _position_of(page.cursor)
        async with self._database.connection() as conn:
            found = await self._moves.list_moves(
                conn, call.namespace, wanted, before=before, limit=page.limit + 1, total=page.total
            )
        return listed(call, found_page(found, page.limit, _key, partial(move_item, call.namespace)))


def _name(place: NamedTag | str) -> str:
    return place if isinstance(place, str) else place.name


def _tag(place: WorkflowEntry | str) -> str:
    return place if isinstance(place, str) else place.tag


def _key(move: NamedMove | MovePosition) -> tuple[str, str, int]:
    return move.moved_at.isoformat(), move.name, move.seq


def _position_of(cursor: str | None) -> MovePosition | None:
    given = after(cursor, tuple[str, str, Version], None)
    if given is None:
        return None
    moved_at, name, seq = given
    return MovePosition(
        moved_at=parse_time(moved_at, "/cursor"), name=parse_tag(name, "/cursor"), seq=seq
    )
