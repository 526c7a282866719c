"""Fragments of statements that look at so many rows at most, whatever they look for; no statement.

Rows are read along an index in the order of a page until the page is full. If few of them are
wanted, that could be all rows of a store. So a search ends after a number of rows, and says where:
the last row that it looked at is in its result, wanted or not.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.models.found import Count, Found

T = TypeVar("T")
K = TypeVar("K")


class Search(NamedTuple):
    """The rows `c` of the statement `source`, in an `order`, that meet a condition.

    What is `read` of them, with `looked`, and of what is `joined` to each, are the rows `f`.
    """

    source: str
    condition: str
    order: str
    rows_max: str
    read: str = "c.*"
    joined: str = ""

    def listed(self, shown: str, limit: str, beside: str = "") -> str:
        """What is `shown` of the rows, and of what is `beside` each of those that are wanted."""
        return f"""
SELECT {shown}, f.is_wanted, f.looked FROM ({self._looked}) f
  {beside}
 WHERE f.is_wanted OR f.looked = {self.rows_max}
 ORDER BY {self._order_of("f")} LIMIT {limit}
"""

    def counted(self) -> str:
        """How many rows are wanted, and at how many it looked."""
        return f"""
SELECT count(*) FILTER (WHERE {self.condition}) AS number, count(*) AS looked
  FROM ({self._first}) c
  {self.joined}
"""

    @property
    def _looked(self) -> str:
        # Each step says the order, or the planner would sort all rows after it.
        return f"""
SELECT {self.read}, ({self.condition}) IS TRUE AS is_wanted
  FROM (SELECT *, row_number() OVER (ORDER BY {self.order}) AS looked FROM ({self._first}) r) c
  {self.joined}
 ORDER BY {self._order_of("c")} OFFSET 0"""

    @property
    def _first(self) -> str:
        """As many rows as may be looked at."""
        return f"{self.source} ORDER BY {self.order} LIMIT {self.rows_max}"

    def _order_of(self, row: str) -> str:
        return ", ".join(f"{row}.{each.strip()}" for each in self.order.split(","))


def found(
    rows: Sequence[asyncpg.Record],
    rows_max: int,
    item: Callable[[asyncpg.Record], T],
    place: Callable[[asyncpg.Record], K],
) -> Found[T, K]:
    """What a search found, and the place of the last row if not all were looked at."""
    items = [item(row) for row in rows if row["is_wanted"]]
    is_cut = bool(rows) and rows[-1]["looked"] == rows_max
    return Found(items=items, end=place(rows[-1]) if is_cut else None)


async def count(conn: Connection, statement: str, given: Sequence[object], rows_max: int) -> Count:
    """What a search has counted."""
    row = await conn.fetchrow(statement, *given)
    assert row is not None
    return Count(number=row["number"], is_exact=row["looked"] < rows_max)
