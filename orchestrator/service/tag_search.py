"""What the tags of a namespace are and what happened to them: reads only, no HTTP, no SQL."""

from collections.abc import Collection
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.tag_search import (
    MoveFilter,
    MovePosition,
    NamedMove,
    NamedTag,
    TagFilter,
)
from orchestrator.repository.tag_search import TagSearchRepository

#: So many tags of one artifact are listed beside it.
NAMES_MAX = 100


class TagSearchService:
    """Pages that are read along an index, whatever is asked for."""

    def __init__(self, tags: TagSearchRepository) -> None:
        self._tags = tags

    async def list_moves(
        self,
        conn: Connection,
        namespace: str,
        wanted: MoveFilter,
        *,
        before: MovePosition | None = None,
        limit: int,
    ) -> list[NamedMove]:
        """A page of the moves of all tags, newest first."""
        end = MovePosition(moved_at=wanted.until)
        start = end if before is None or before.moved_at > wanted.until else before
        return await self._tags.list_moves(conn, namespace, wanted, start, limit)

    async def list_by_name(
        self, conn: Connection, namespace: str, wanted: TagFilter, *, after: str, limit: int
    ) -> list[NamedTag]:
        """A page of tags in the order of their names."""
        return await self._tags.list_tags(conn, namespace, wanted, after, limit)

    async def count(self, conn: Connection, namespace: str, wanted: TagFilter) -> int:
        """How many tags there are on all pages."""
        return await self._tags.count_tags(conn, namespace, wanted)

    async def list_by_transaction(self, conn: Connection, transaction_id: UUID) -> list[NamedMove]:
        """All moves of a transaction, by the names of the tags."""
        return await self._tags.list_by_transaction(conn, transaction_id)

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
