"""HTTP for questions about the tags of a namespace: reads only, each on one connection."""

from typing import Annotated

from litestar.params import QueryParameter

from orchestrator.core.database import Database
from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.body import TimeText, Version
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed
from orchestrator.handlers.http.paging import Cursor, Limit, Page, after, page_of
from orchestrator.handlers.http.reading import parse_time
from orchestrator.handlers.tag_body import MoveItem, move_item
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import TAG_LENGTH_MAX, parse_tag
from orchestrator.models.tag_search import EARLIEST, LATEST, MoveFilter, MovePosition, NamedMove
from orchestrator.service.tag_search import TagSearchService

Prefix = Annotated[str, QueryParameter(description="Only tags whose names begin so.")]
MovedBy = Annotated[str | None, QueryParameter(description="Only moves by this principal.")]
Since = Annotated[
    TimeText | None,
    QueryParameter(description="Only moves from this time on (RFC 3339, a date, -2h)."),
]
Until = Annotated[
    TimeText | None,
    QueryParameter(description="Only moves before this time (RFC 3339, a date, -2h)."),
]


class TagSearchHandler:
    """What an auditor asks about tags."""

    def __init__(self, database: Database, tags: TagSearchService) -> None:
        self._database = database
        self._tags = tags

    async def list_moves(
        self,
        call: Call,
        *,
        prefix: Prefix = "",
        moved_by: MovedBy = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Answer:
        """The moves of all tags of a namespace, newest first; also of tags that were deleted."""
        wanted = MoveFilter(
            prefix=checked_text(prefix, "/prefix"),
            moved_by=None if moved_by is None else checked_text(moved_by, "/moved_by"),
            since=EARLIEST if since is None else parse_time(since, "/since"),
            until=LATEST if until is None else parse_time(until, "/until"),
        )
        before = _position_of(cursor)
        async with self._database.connection() as conn:
            found = await self._tags.list_moves(
                conn, call.namespace, wanted, before=before, limit=limit + 1
            )
        shown, following = page_of(found, limit, _key)
        items = [move_item(call.namespace, move) for move in shown]
        return listed(call, Page[MoveItem](items, following))


def checked_text(text: str, pointer: str) -> str:
    """Text that names can begin with."""
    if "\x00" in text:
        raise InvalidInput.at(pointer, "text", "A name is UTF-8 text without NUL.")
    return text[: TAG_LENGTH_MAX + 1]


def _key(move: NamedMove) -> tuple[str, str, int]:
    return move.moved_at.isoformat(), move.name, move.seq


def _position_of(cursor: str | None) -> MovePosition | None:
    given = after(cursor, tuple[str, str, Version], None)
    if given is None:
        return None
    moved_at, name, seq = given
    return MovePosition(
        moved_at=parse_time(moved_at, "/cursor"), name=parse_tag(name, "/cursor"), seq=seq
    )
