"""What the tags of a namespace are and what happened to them: reads only, no HTTP, no SQL.

A page is read along an index in its order, and rows that are not wanted are passed. If what is
asked for is rare, that would be many: so the few names that may be wanted are found first, along
another index. Whatever is asked for, a page looks at a limited number of rows; then it ends, and
says where.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from msgspec.structs import replace

from orchestrator.core.database import Connection
from orchestrator.models.found import Count, Found
from orchestrator.models.tag import SEQ_MAX
from orchestrator.models.tag_search import (
    EARLIEST,
    LATEST,
    MoveFilter,
    MovePosition,
    MovesAmong,
    NamedMove,
    TagFilter,
    TagsAmong,
)
from orchestrator.repository.move_search import MoveSearchRepository
from orchestrator.repository.tag_search import TagSearchRepository

T = TypeVar("T")

#: So many tags of one artifact are listed beside it.
NAMES_MAX = 100
#: What more moves led to is not found by its names, nor a kind of which there are more.
RARE_MAX = 1_000
RARE_KIND_MAX = 200
_MOMENT = timedelta(microseconds=1)


class TaggedRows(Protocol[T]):
    """A repository that reads tags with something of what they name."""

    async def list_by_tag(
        self,
        conn: Connection,
        namespace: str,
        wanted: TagFilter,
        among: TagsAmong,
        after: str,
        limit: int,
    ) -> Found[T, str]:
        """By name, those after this one."""

    async def count(
        self, conn: Connection, namespace: str, wanted: TagFilter, among: TagsAmong
    ) -> Count:
        """On all pages."""


class TagSearchService(Generic[T]):
    """Pages of tags by name: of all, or of those that name workflows, as the rows are."""

    def __init__(self, tags: TagSearchRepository, rows: TaggedRows[T], *, rows_max: int) -> None:
        self._tags = tags
        self._rows = rows
        self._rows_max = rows_max

    async def list_by_tag(
        self,
        conn: Connection,
        namespace: str,
        wanted: TagFilter,
        *,
        after: str = "",
        limit: int,
        total: bool = False,
    ) -> Found[T, str]:
        """A page."""
        among = await self._tags_among(conn, namespace, wanted)
        page = await self._rows.list_by_tag(conn, namespace, wanted, among, after, limit)
        if not total:
            return page
        return replace(page, total=await self._rows.count(conn, namespace, wanted, among))

    async def list_names(
        self, conn: Connection, namespace: str, artifact_ids: Collection[UUID]
    ) -> dict[UUID, list[str]]:
        """For each of these artifacts, the tags that name it now by name, up to a limit."""
        found: dict[UUID, list[str]] = {each: [] for each in artifact_ids}
        for artifact_id, name in await self._tags.list_names(
            conn, namespace, list(found), NAMES_MAX
        ):
            found[artifact_id].append(name)
        return found

    async def _tags_among(self, conn: Connection, namespace: str, wanted: TagFilter) -> TagsAmong:
        names = await self._rare_names(conn, namespace, wanted)
        return TagsAmong(rows_max=self._rows_max if names is None else SEQ_MAX, names=names)

    async def _rare_names(
        self, conn: Connection, namespace: str, wanted: TagFilter
    ) -> list[str] | None:
        """Of all tags that are wanted, and perhaps of some more; None if that could be many."""
        since, until = wanted.since or EARLIEST, wanted.until or LATEST
        until = min(until - _MOMENT, wanted.at or LATEST) if until > EARLIEST else EARLIEST
        names = None
        if wanted.kind is not None:
            names = await self._tags.names_by_kind(
                conn, namespace, wanted.kind, RARE_KIND_MAX, RARE_MAX
            )
        if names is None and wanted.moved_by is not None:
            names = await self._tags.names_by_mover(
                conn, namespace, wanted.moved_by, since, until, RARE_MAX
            )
        if names is None and (wanted.since or wanted.until or wanted.at):
            names = await self._tags.names_by_time(conn, namespace, since, until, RARE_MAX)
        return names


class MoveSearchService:
    """Pages of the moves of all tags, from the newest on."""

    def __init__(
        self, tags: TagSearchRepository, moves: MoveSearchRepository, *, rows_max: int
    ) -> None:
        self._tags = tags
        self._moves = moves
        self._rows_max = rows_max

    async def list_moves(
        self,
        conn: Connection,
        namespace: str,
        wanted: MoveFilter,
        *,
        before: MovePosition | None,
        limit: int,
        total: bool,
    ) -> Found[NamedMove, MovePosition]:
        """A page."""
        among = await self._moves_among(conn, namespace, wanted)
        newest = MovePosition(moved_at=wanted.until)
        start = newest if before is None or before.moved_at > wanted.until else before
        page = await self._moves.list_moves(conn, namespace, wanted, among, start, limit)
        if not total:
            return page
        if among.names is not None and (wanted.since, wanted.until) == (EARLIEST, LATEST):
            return replace(
                page, total=await self._moves.count_of_tags(conn, namespace, among.names)
            )
        if among.names is not None:  # Those of a time are counted among all.
            among = MovesAmong(rows_max=self._rows_max)
        return replace(
            page, total=await self._moves.count_moves(conn, namespace, wanted, among, newest)
        )

    async def _moves_among(
        self, conn: Connection, namespace: str, wanted: MoveFilter
    ) -> MovesAmong:
        names = artifact_ids = None
        if wanted.transaction_id is not None:
            return MovesAmong(rows_max=SEQ_MAX)
        if wanted.kind is not None:
            artifact_ids = await self._moves.artifacts_of_kind(
                conn, namespace, wanted.kind, RARE_KIND_MAX, RARE_MAX
            )
        elif wanted.prefix and wanted.moved_by is None:
            names = await self._tags.names_by_prefix(conn, namespace, wanted.prefix, RARE_MAX)
        is_all = names is None and artifact_ids is None
        return MovesAmong(
            rows_max=self._rows_max if is_all else SEQ_MAX, names=names, artifact_ids=artifact_ids
        )

    async def list_by_transaction(self, conn: Connection, transaction_id: UUID) -> list[NamedMove]:
        """All moves of a transaction, by the names of the tags."""
        return await self._moves.list_by_transaction(conn, transaction_id)
