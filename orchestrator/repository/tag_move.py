"""SQL for what happened to tags: reads of their recorded moves, one statement per method."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.tag import Action, TagMove, TagReference
from orchestrator.models.tag_search import NamedMove
from orchestrator.repository.columns import columns


def cursor_after(move: str) -> str:
    """Where the tag stood after a move: the next one was made from there."""
    return f"""
CASE WHEN {move}.action IN ('create', 'move') THEN {move}.seq
     ELSE (SELECT CASE WHEN t.version = {move}.seq THEN t.cursor
                       ELSE (SELECT parent_seq FROM tag_move
                              WHERE namespace = t.namespace AND name = t.name
                                AND seq = {move}.seq + 1) END
             FROM tag t WHERE t.namespace = {move}.namespace AND t.name = {move}.name) END"""


_PLAIN = tuple(field for field in TagMove.__struct_fields__ if field != "cursor")
_MOVE = f"{columns('m', *_PLAIN)}, {cursor_after('m')} AS cursor"


def move_searched(
    bounds: str = "SELECT 0::bigint, version + 1 FROM tag WHERE namespace = $1 AND name = $2",
    name: str = "$2",
    at: str = "$3",
) -> str:
    """The move of a time: of the tag ($1, name), it is the one that `max(low)` numbers.

    Moves have no gaps and their times never fall, so it is found in as many steps as its number
    has binary digits, not by reading all that came later. A deleted tag keeps its row. `low` is a
    move that is not too late, or 0; `high` is too late, or not made yet.
    """
    return f"""
search (low, high) AS (
    {bounds}
     UNION ALL
    SELECT CASE WHEN m.moved_at <= {at} THEN m.seq ELSE s.low END,
           CASE WHEN m.moved_at <= {at} THEN s.high ELSE m.seq END
      FROM search s CROSS JOIN LATERAL (
           SELECT seq, moved_at FROM tag_move
            WHERE namespace = $1 AND name = {name} AND seq = (s.low + s.high) / 2 LIMIT 1) m
     WHERE s.high - s.low > 1
)"""


def moved_to_few(shown: str, all_of_them: str) -> str:
    """What is `shown` of the moves of a namespace ($1) to the artifacts of a kind ($2), if both are
    few ($3 and $4).
    """
    return f"""
WITH few AS MATERIALIZED (
    SELECT artifact_id FROM artifact WHERE kind = $2 AND namespace = $1 LIMIT $3 + 1
)
SELECT CASE WHEN (SELECT count(*) FROM few) <= $3 THEN (
       SELECT CASE WHEN count(*) <= $4 THEN coalesce({all_of_them}, '{{}}') END
         FROM (SELECT {shown} FROM few a CROSS JOIN LATERAL (
                      SELECT name FROM tag_move
                       WHERE to_id = a.artifact_id AND namespace = $1 LIMIT $4 + 1) m
                LIMIT $4 + 1) m) END
"""


#: So many moves of a tag are looked at one by one before they are searched.
_LATEST = 16


def move_of_tag_at(tag: str, at: str) -> str:
    """The number of the move of a time of a tag ($1, name, version, moved_at); null before all."""
    bounds = f"SELECT 0::bigint, {tag}.version - {_LATEST - 1}"
    return f"""
CASE WHEN {tag}.moved_at <= {at} THEN {tag}.version ELSE coalesce(
     (SELECT seq FROM (SELECT seq, moved_at FROM tag_move
                        WHERE namespace = $1 AND name = {tag}.name
                        ORDER BY seq DESC LIMIT {_LATEST}) m
       WHERE moved_at <= {at} ORDER BY seq DESC LIMIT 1),
     CASE WHEN {tag}.version > {_LATEST} THEN
          (WITH RECURSIVE {move_searched(bounds, f"{tag}.name", at)} SELECT max(low) FROM search)
     END) END"""


def named_move_columns(move: str) -> str:
    """The columns of a NamedMove: those of a move, and what its target, the artifact `a`, says."""
    return f"""{columns(move, "name", *_PLAIN)}, {cursor_after(move)} AS cursor,
       a.kind, a.version_hash"""


def target_of_move(move: str) -> str:
    """The artifact `a` that a move led to."""
    return f"""
  LEFT JOIN LATERAL (
       SELECT kind, version_hash FROM artifact WHERE artifact_id = {move}.to_id LIMIT 1) a ON true
"""


LIST_MOVES = f"""
SELECT {named_move_columns("m")} FROM tag_move m {target_of_move("m")}
 WHERE m.namespace = $1 AND m.name = $2 AND m.seq < $3 ORDER BY m.seq DESC LIMIT $4
"""

GET_MOVE = f"SELECT {_MOVE} FROM tag_move m WHERE namespace = $1 AND name = $2 AND seq = $3"

GET_MOVE_AT = f"""
WITH RECURSIVE {move_searched()}
SELECT {_MOVE} FROM tag_move m
 WHERE namespace = $1 AND name = $2 AND seq = (SELECT max(low) FROM search)
"""

LIST_BY_TARGET = """
SELECT m.name, max(m.seq) AS last_version, min(m.seq) AS first_version,
       max(m.moved_at) AS last_moved_at,
       EXISTS (SELECT FROM tag t WHERE t.namespace = $1 AND t.name = m.name AND t.target_id = $2)
           AS current
  FROM tag_move m
 WHERE m.namespace = $1 AND m.to_id = $2 AND m.name > $3
 GROUP BY m.name ORDER BY m.name LIMIT $4
"""

# An artifact was named by few moves, a tag may have made many.
GET_NAMED = """
SELECT to_id FROM (SELECT name, to_id FROM tag_move
                    WHERE to_id = ANY($3::uuid[]) AND namespace = $1 OFFSET 0) m
 WHERE name = $2 LIMIT 1
"""


_AS_THEY_ARE = tuple(
    field for field in NamedMove.__struct_fields__ if field not in {"action", "version_hash"}
)


class TagMoveRepository:
    """Rows of tag_move, which the statements that change a tag write."""

    async def list_moves(
        self, conn: Connection, namespace: str, name: str, before: int, limit: int
    ) -> list[NamedMove]:
        """Newest first, those before this seq; also of a deleted tag."""
        rows = await conn.fetch(LIST_MOVES, namespace, name, before, limit)
        return [named_move(row) for row in rows]

    async def get_move(
        self, conn: Connection, namespace: str, name: str, seq: int
    ) -> TagMove | None:
        row = await conn.fetchrow(GET_MOVE, namespace, name, seq)
        return _move(row) if row else None

    async def get_move_at(
        self, conn: Connection, namespace: str, name: str, at: datetime
    ) -> TagMove | None:
        """The last move at or before this time."""
        row = await conn.fetchrow(GET_MOVE_AT, namespace, name, at)
        return _move(row) if row else None

    async def list_by_target(
        self, conn: Connection, namespace: str, target_id: UUID, after: str, limit: int
    ) -> list[TagReference]:
        """The tags that name an artifact or ever did, by name."""
        rows = await conn.fetch(LIST_BY_TARGET, namespace, target_id, after, limit)
        return [TagReference(**row) for row in rows]

    async def get_named(
        self, conn: Connection, namespace: str, name: str, artifact_ids: Sequence[UUID]
    ) -> UUID | None:
        """One of these that the tag names or ever did."""
        found: UUID | None = await conn.fetchval(GET_NAMED, namespace, name, artifact_ids)
        return found


def named_move(row: asyncpg.Record) -> NamedMove:
    """The move in a row that has the columns of `named_move_columns`."""
    found = row["version_hash"]
    return NamedMove(
        **{field: row[field] for field in _AS_THEY_ARE},
        action=Action(row["action"]),
        version_hash=found and CasId(found),
    )


def _move(row: asyncpg.Record) -> TagMove:
    return TagMove(**{**row, "action": Action(row["action"])})
