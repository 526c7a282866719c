"""Keyset pages over HTTP: opaque cursors and the shape of every list."""

import base64
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.query_group import QueryGroup
from orchestrator.models.found import Found
from orchestrator.models.name import parse_tag

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K")

LIMIT_MAX = 1_000
CURSOR_RULE = "A cursor is what `next` said on the page before."

Limit = Annotated[
    int, QueryParameter(ge=1, le=LIMIT_MAX, description="How many items a page may have.")
]
Total = Annotated[
    bool,
    QueryParameter(
        description="true: say how many items all pages have (`total`), or have at least if they "
        "are too many to be counted (`total_at_least`)."
    ),
]
#: As it is described.
CursorText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_-]+$"})]
Cursor = Annotated[
    CursorText | None,
    QueryParameter(description="`next` of the page before; the first page has none."),
]


class CountedPageQuery(QueryGroup, frozen=True, kw_only=True):
    """Which page of a list, and whether all its items are counted."""

    total: Total = False
    limit: Limit = 100
    cursor: Cursor = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page and the cursor of the next one, null on the last."""

    items: list[T]
    next: CursorText | None


class CountedPage(Page[T], Generic[T], frozen=True):
    """A page, and on request how many items all pages have, or at least have."""

    total: int | UnsetType = UNSET
    total_at_least: int | UnsetType = UNSET


def page_of(
    rows: Sequence[R], limit: int, key: Callable[[R], object]
) -> tuple[list[R], str | None]:
    """Split what was read with `limit + 1` into the page and the cursor of the next."""
    shown = list(rows[:limit])
    more = len(rows) > limit
    return shown, encoded(key(shown[-1])) if more else None


def found_page(
    found: Found[R, K], limit: int, key: Callable[[R | K], object], shown: Callable[[R], T]
) -> CountedPage[T]:
    """The page of a search for `limit + 1`. One that ended early goes on where it ended."""
    items, following = page_of(found.items, limit, key)
    if following is None and found.end is not None:
        following = encoded(key(found.end))
    total = found.total
    return CountedPage(
        [shown(each) for each in items],
        following,
        UNSET if total is None or not total.is_exact else total.number,
        UNSET if total is None or total.is_exact else total.number,
    )


def after(cursor: str | None, type_: Any, first: T) -> T:
    """Where the page starts: what the cursor says, or before everything."""
    if cursor is None:
        return first
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        decoded = base64.b64decode(padded, altchars=b"-_", validate=True)
        found: T = msgspec.json.decode(decoded, type=type_)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidInput.at("/cursor", "cursor", CURSOR_RULE) from None
    return found


def tag_after(cursor: str | None) -> str:
    """The tag name after which a page by name starts; the first page starts before all."""
    return "" if cursor is None else parse_tag(after(cursor, str, ""), "/cursor")


def encoded(key: object) -> str:
    """A cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()
