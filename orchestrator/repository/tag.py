"""SQL for tags and their moves: one statement per method, no decisions.

A statement that changes a tag records the move in the same breath. What the move replaced is read
from the row that the statement holds locked (the row keeps its own last move), never from another
CTE: that one would see the value before a concurrent move.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.models.tag import Action, Landing, Tag, TagMove, TagReference

COLUMNS = """namespace, name, target_id, version, cursor, protected, action, from_id, parent_seq,
message, moved_by, moved_at"""

MOVE_COLUMNS = "seq, action, from_id, to_id, parent_seq, message, moved_by, moved_at"

# The move of a time, among those of the tag ($1, $2) at $3, is the one that `max(low)` numbers.
# Moves have no gaps and their times never fall, so it is found in as many steps as its number has
# binary digits, not by reading all that came later. A deleted tag keeps its row. `low` is a move
# that is not too late, or 0; `high` is too late, or not made yet.
MOVE_SEARCH = """
search (low, high) AS (
    SELECT 0::bigint, version + 1 FROM tag WHERE namespace = $1 AND name = $2
     UNION ALL
    SELECT CASE WHEN m.moved_at <= $3 THEN m.seq ELSE s.low END,
           CASE WHEN m.moved_at <= $3 THEN s.high ELSE m.seq END
      FROM search s CROSS JOIN LATERAL (
           SELECT seq, moved_at FROM tag_move
            WHERE namespace = $1 AND name = $2 AND seq = (s.low + s.high) / 2 LIMIT 1) m
     WHERE s.high - s.low > 1
)
"""

RECORDED = """
, recorded AS (
    INSERT INTO tag_move (namespace, name, seq, action, from_id, to_id, parent_seq, message,
                          moved_by, moved_at)
    SELECT namespace, name, version, action, from_id, target_id, parent_seq, message,
           moved_by, moved_at
      FROM moved
)
"""
RECORD = f"{RECORDED} SELECT {COLUMNS} FROM moved"

# moved_at never goes back along a tag's versions, also when the clock of the machine does.
PUT = f"""
WITH moved AS (
    INSERT INTO tag AS t (namespace, name, target_id, version, cursor, action, message, moved_by,
                          moved_at)
    VALUES ($1, $2, $3, 1, 1, 'create', $4, $5, clock_timestamp())
    ON CONFLICT (namespace, name) DO UPDATE
       SET target_id = excluded.target_id, version = t.version + 1, cursor = t.version + 1,
           action = CASE WHEN t.target_id IS NULL THEN 'create' ELSE 'move' END,
           from_id = t.target_id, parent_seq = t.cursor, message = excluded.message,
           moved_by = excluded.moved_by, moved_at = greatest(t.moved_at, clock_timestamp())
     WHERE t.target_id IS DISTINCT FROM excluded.target_id
       AND (t.target_id IS NULL OR NOT $6)
    RETURNING {COLUMNS}
){RECORD}
"""

COMPARE_AND_SWAP = f"""
WITH moved AS (
    UPDATE tag t
       SET target_id = $3, version = t.version + 1, cursor = t.version + 1, action = 'move',
           from_id = t.target_id, parent_seq = t.cursor, message = $4, moved_by = $5,
           moved_at = greatest(t.moved_at, clock_timestamp())
     WHERE t.namespace = $1 AND t.name = $2 AND t.target_id <> $3
       AND ($6::bigint[] IS NULL OR t.version = ANY($6))
    RETURNING {COLUMNS}
){RECORD}
"""

STEP = f"""
WITH moved AS (
    UPDATE tag t
       SET target_id = $4, version = t.version + 1, cursor = $5, action = $6,
           from_id = t.target_id, parent_seq = t.cursor, message = $7, moved_by = $8,
           moved_at = greatest(t.moved_at, clock_timestamp())
     WHERE t.namespace = $1 AND t.name = $2 AND t.version = $3
    RETURNING {COLUMNS}
){RECORD}
"""

DELETE = f"""
WITH moved AS (
    UPDATE tag t
       SET target_id = NULL, version = t.version + 1, cursor = NULL, action = 'delete',
           from_id = t.target_id, parent_seq = t.cursor, message = $3, moved_by = $4,
           moved_at = greatest(t.moved_at, clock_timestamp())
     WHERE t.namespace = $1 AND t.name = $2 AND t.target_id IS NOT NULL
       AND ($5::bigint[] IS NULL OR t.version = ANY($5))
    RETURNING {COLUMNS}
){RECORD}
"""

GET = f"""
SELECT {COLUMNS} FROM tag WHERE namespace = $1 AND name = $2 AND target_id IS NOT NULL
"""

GET_FOR_UPDATE = f"""
SELECT {COLUMNS} FROM tag
 WHERE namespace = $1 AND name = $2 AND target_id IS NOT NULL FOR NO KEY UPDATE
"""

LIST = f"""
SELECT {COLUMNS} FROM tag
 WHERE namespace = $1 AND name > $2 AND target_id IS NOT NULL ORDER BY name LIMIT $3
"""

GET_UNDO = """
SELECT parent.seq, parent.to_id AS target_id
  FROM tag_move here
  JOIN tag_move parent ON parent.namespace = here.namespace AND parent.name = here.name
                      AND parent.seq = here.parent_seq
 WHERE here.namespace = $1 AND here.name = $2 AND here.seq = $3
"""

GET_REDO = """
SELECT seq, to_id AS target_id
  FROM tag_move
 WHERE namespace = $1 AND name = $2 AND seq > $3 AND parent_seq = $3 AND action = 'move'
 ORDER BY seq DESC LIMIT 1
"""

LIST_MOVES = f"""
SELECT {MOVE_COLUMNS} FROM tag_move
 WHERE namespace = $1 AND name = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4
"""

GET_MOVE = f"SELECT {MOVE_COLUMNS} FROM tag_move WHERE namespace = $1 AND name = $2 AND seq = $3"

GET_MOVE_AT = f"""
WITH RECURSIVE {MOVE_SEARCH}
SELECT {MOVE_COLUMNS} FROM tag_move
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


class TagRepository:
    """Rows of tag and tag_move. The caller owns the transaction."""

    async def put(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        moved_by: str,
        message: str | None,
        only_create: bool = False,
    ) -> Tag | None:
        """Create or move; None when the tag has that target, or exists and may only be created."""
        row = await conn.fetchrow(PUT, namespace, name, target_id, message, moved_by, only_create)
        return _tag(row) if row else None

    async def compare_and_swap(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        moved_by: str,
        message: str | None,
        expected: Collection[int] | None,
    ) -> Tag | None:
        """Move an existing tag that is at one of the expected versions (None: at any).

        None when it does not exist, has that target already, or is at another version.
        """
        row = await conn.fetchrow(
            COMPARE_AND_SWAP, namespace, name, target_id, message, moved_by, expected
        )
        return _tag(row) if row else None

    async def step(
        self,
        conn: Connection,
        tag: Tag,
        landing: Landing,
        action: Action,
        *,
        moved_by: str,
        message: str | None,
    ) -> Tag | None:
        """Undo or redo to the landing; None when the tag has moved since it was read."""
        row = await conn.fetchrow(
            STEP,
            tag.namespace,
            tag.name,
            tag.version,
            landing.target_id,
            landing.seq,
            action,
            message,
            moved_by,
        )
        return _tag(row) if row else None

    async def delete(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        *,
        moved_by: str,
        message: str | None,
        expected: Collection[int] | None,
    ) -> Tag | None:
        """None when the tag does not exist or is at none of the expected versions."""
        row = await conn.fetchrow(DELETE, namespace, name, message, moved_by, expected)
        return _tag(row) if row else None

    async def get(self, conn: Connection, namespace: str, name: str) -> Tag | None:
        row = await conn.fetchrow(GET, namespace, name)
        return _tag(row) if row else None

    async def get_for_update(self, conn: Connection, namespace: str, name: str) -> Tag | None:
        """The tag, which nobody else can move until this transaction ends."""
        row = await conn.fetchrow(GET_FOR_UPDATE, namespace, name)
        return _tag(row) if row else None

    async def list_by_namespace(
        self, conn: Connection, namespace: str, after: str, limit: int
    ) -> list[Tag]:
        """By name, those after this one."""
        return [_tag(row) for row in await conn.fetch(LIST, namespace, after, limit)]

    async def get_undo(
        self, conn: Connection, namespace: str, name: str, cursor: int
    ) -> Landing | None:
        """The move from which the one at the cursor was made."""
        row = await conn.fetchrow(GET_UNDO, namespace, name, cursor)
        return Landing(**row) if row else None

    async def get_redo(
        self, conn: Connection, namespace: str, name: str, cursor: int
    ) -> Landing | None:
        """The newest move that was made from the one at the cursor."""
        row = await conn.fetchrow(GET_REDO, namespace, name, cursor)
        return Landing(**row) if row else None

    async def list_moves(
        self, conn: Connection, namespace: str, name: str, before: int, limit: int
    ) -> list[TagMove]:
        """Newest first, those before this seq; also of a deleted tag."""
        return [_move(row) for row in await conn.fetch(LIST_MOVES, namespace, name, before, limit)]

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


def _tag(row: asyncpg.Record) -> Tag:
    return Tag(**{**row, "action": Action(row["action"])})


def _move(row: asyncpg.Record) -> TagMove:
    return TagMove(**{**row, "action": Action(row["action"])})
