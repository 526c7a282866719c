"""SQL that lists the moves of all tags of a namespace, newest first: one statement per method.

Moves are read in the order of their times, those of one person along an index of their own. What
is looked for besides is a condition on the rows that are passed. If the tags that are asked for are
few, the newest moves of each of them are read instead; if it is what they led to, the moves to it.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.models.found import Count, Found
from orchestrator.models.tag_search import MoveFilter, MovePosition, MovesAmong, NamedMove
from orchestrator.repository.looking import Search, count, found
from orchestrator.repository.tag_move import (
    move_of_tag_at,
    moved_to_few,
    named_move,
    named_move_columns,
    target_of_move,
)

_BEFORE = """namespace = $1 AND moved_at >= $2 AND moved_at <= $3
              AND (moved_at, name, seq) < ($3, $4, $5)"""

# The newest moves are of the tags that moved last. The last move of a tag before the place is its
# last one, or is searched.
_OF_TAGS = f"""
SELECT m.* FROM (
       SELECT l.* FROM unnest($10::text[]) n (name)
        CROSS JOIN LATERAL (
              SELECT * FROM tag WHERE namespace = $1 AND name = n.name LIMIT 1) t
        CROSS JOIN LATERAL (
              SELECT moved_at, name, seq FROM tag_move
               WHERE namespace = $1 AND name = t.name AND (moved_at, name, seq) < ($3, $4, $5)
                 AND seq <= {move_of_tag_at("t", "$3")}
               ORDER BY seq DESC LIMIT 1) l
        ORDER BY l.moved_at DESC, l.name DESC LIMIT $11) l
 CROSS JOIN LATERAL (
       SELECT * FROM tag_move WHERE namespace = $1 AND name = l.name AND seq <= l.seq
        ORDER BY seq DESC LIMIT $11) m
 WHERE m.moved_at >= $2"""


def _search(source: str) -> Search:
    return Search(
        source,
        """
               starts_with(c.name, $6) AND ($7::text IS NULL OR c.moved_by = $7)
           AND ($8::text IS NULL OR $8 = (SELECT kind FROM artifact WHERE artifact_id = c.to_id))
        """,
        order="moved_at DESC, name DESC, seq DESC",
        rows_max="$9",
    )


def _listed(search: Search, limit: str) -> str:
    return search.listed(named_move_columns("f"), limit, target_of_move("f"))


_MOVES = _search(f"SELECT * FROM tag_move WHERE {_BEFORE}")
_BY_MOVER = _search(f"SELECT * FROM tag_move WHERE moved_by = $7 AND {_BEFORE}")
_TO = _search(f"""
SELECT m.* FROM unnest($10::uuid[]) n (artifact_id) CROSS JOIN LATERAL (
       SELECT * FROM tag_move WHERE to_id = n.artifact_id AND {_BEFORE} OFFSET 0) m""")
# A transaction has moved few tags.
_TOGETHER = _search(f"""
SELECT * FROM (SELECT * FROM tag_move WHERE transaction_id = $10 OFFSET 0) m WHERE {_BEFORE}""")
# The limit is the last parameter.
LIST, COUNT = _listed(_MOVES, "$10"), _MOVES.counted()
LIST_BY_MOVER, COUNT_BY_MOVER = _listed(_BY_MOVER, "$10"), _BY_MOVER.counted()
LIST_TO, COUNT_TO = _listed(_TO, "$11"), _TO.counted()
LIST_TOGETHER, COUNT_TOGETHER = _listed(_TOGETHER, "$11"), _TOGETHER.counted()
LIST_OF_TAGS = _listed(_search(_OF_TAGS), "$11")
# The version of a tag counts its moves.
COUNT_OF_TAGS = """
SELECT coalesce(sum(t.version), 0)::bigint FROM unnest($2::text[]) n (name)
 CROSS JOIN LATERAL (SELECT version FROM tag WHERE namespace = $1 AND name = n.name LIMIT 1) t
"""

LIST_BY_TRANSACTION = f"""
SELECT {named_move_columns("m")} FROM tag_move m {target_of_move("m")}
 WHERE m.transaction_id = $1 ORDER BY m.namespace, m.name
"""

ARTIFACTS_OF_KIND = moved_to_few("a.artifact_id", "array_agg(DISTINCT artifact_id)")


class _Source(Enum):
    """Along what moves are read."""

    BY_TIME = auto()
    BY_MOVER = auto()
    TOGETHER = auto()
    TO = auto()
    OF_TAGS = auto()


_LISTS = {
    _Source.BY_TIME: LIST,
    _Source.BY_MOVER: LIST_BY_MOVER,
    _Source.TOGETHER: LIST_TOGETHER,
    _Source.TO: LIST_TO,
    _Source.OF_TAGS: LIST_OF_TAGS,
}
#: Of chosen tags, those with a condition are looked for among all.
_COUNTS = {
    _Source.BY_TIME: COUNT,
    _Source.BY_MOVER: COUNT_BY_MOVER,
    _Source.TOGETHER: COUNT_TOGETHER,
    _Source.TO: COUNT_TO,
}


class MoveSearchRepository:
    """Rows of tag_move, with what their artifacts say. The caller owns the transaction."""

    async def list_moves(
        self,
        conn: Connection,
        namespace: str,
        wanted: MoveFilter,
        among: MovesAmong,
        before: MovePosition,
        limit: int,
    ) -> Found[NamedMove, MovePosition]:
        """Newest first, those before this place; also of deleted tags."""
        given = _wanted(namespace, wanted, among, before, limit)
        rows = await conn.fetch(_chosen(_LISTS, wanted, among), *given)
        return found(rows, among.rows_max, named_move, _place)

    async def count_moves(
        self,
        conn: Connection,
        namespace: str,
        wanted: MoveFilter,
        among: MovesAmong,
        before: MovePosition,
    ) -> Count:
        """How many there are before this place."""
        given = _wanted(namespace, wanted, among, before)
        return await count(conn, _chosen(_COUNTS, wanted, among), given, among.rows_max)

    async def count_of_tags(self, conn: Connection, namespace: str, names: Sequence[str]) -> Count:
        """How many moves these tags have made."""
        number = await conn.fetchval(COUNT_OF_TAGS, namespace, names)
        return Count(number=number, is_exact=True)

    async def artifacts_of_kind(
        self, conn: Connection, namespace: str, kind: str, artifacts_max: int, moves_max: int
    ) -> list[UUID] | None:
        """The artifacts of a kind that tags named; None if these, or moves to them, are many."""
        named: list[UUID] | None = await conn.fetchval(
            ARTIFACTS_OF_KIND, namespace, kind, artifacts_max, moves_max
        )
        return named

    async def list_by_transaction(self, conn: Connection, transaction_id: UUID) -> list[NamedMove]:
        """Those that were made together, by the names of the tags."""
        return [named_move(row) for row in await conn.fetch(LIST_BY_TRANSACTION, transaction_id)]


def _chosen(statements: Mapping[_Source, str], wanted: MoveFilter, among: MovesAmong) -> str:
    return statements[_source(wanted, among)]


def _source(wanted: MoveFilter, among: MovesAmong) -> _Source:
    """Where to read: what usually lets the fewest through leads."""
    if wanted.transaction_id is not None:
        return _Source.TOGETHER
    if among.artifact_ids is not None:
        return _Source.TO
    if wanted.moved_by is not None:
        return _Source.BY_MOVER
    return _Source.BY_TIME if among.names is None else _Source.OF_TAGS


def _wanted(
    namespace: str,
    wanted: MoveFilter,
    among: MovesAmong,
    before: MovePosition,
    limit: int | None = None,
) -> list[Any]:
    chosen = {
        _Source.TOGETHER: wanted.transaction_id,
        _Source.TO: among.artifact_ids,
        _Source.OF_TAGS: among.names,
    }
    source = _source(wanted, among)
    return [
        namespace,
        wanted.since,
        before.moved_at,
        before.name,
        before.seq,
        wanted.prefix,
        wanted.moved_by,
        wanted.kind,
        among.rows_max,
        *([chosen[source]] if source in chosen else []),
        *([] if limit is None else [limit]),
    ]


def _place(row: asyncpg.Record) -> MovePosition:
    return MovePosition(moved_at=row["moved_at"], name=row["name"], seq=row["seq"])
