"""SQL for undo and redo: where they lead, and the way there; no decisions.

The tags are locked before: a statement does not see the moves that are committed while it waits.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.models.tag import Landing, Step, Tag, TagChange, TagStanding
from orchestrator.repository.columns import columns
from orchestrator.repository.tag import TAG_ROW, recorded, tag_from, target_of


def _undo(tag: str, is_deleted: str) -> str:
    """Where an undo of a tag (namespace, name, cursor) leads. A deleted one stands on what it named
    last.
    """
    return f"""
  LEFT JOIN LATERAL (
       SELECT seq, parent_seq FROM tag_move
        WHERE namespace = {tag}.namespace AND name = {tag}.name AND seq = {tag}.cursor) here ON true
  LEFT JOIN LATERAL (
       SELECT seq, to_id AS target_id, message FROM tag_move
        WHERE namespace = {tag}.namespace AND name = {tag}.name
          AND seq = CASE WHEN {is_deleted} THEN here.seq ELSE here.parent_seq END) undo ON true"""


def _redo(tag: str) -> str:
    """Where a redo of a tag leads."""
    return f"""
  LEFT JOIN LATERAL (
       SELECT seq, to_id AS target_id, message FROM tag_move
        WHERE namespace = {tag}.namespace AND name = {tag}.name AND seq > coalesce({tag}.cursor, 0)
          AND parent_seq IS NOT DISTINCT FROM {tag}.cursor AND action IN ('create', 'move')
        ORDER BY seq DESC LIMIT 1) redo ON true"""


LIST_UNDO = f"""
SELECT undo.*
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bool[]) WITH ORDINALITY
       AS n (namespace, name, cursor, is_deleted, at)
{_undo("n", "n.is_deleted")}
 ORDER BY n.at
"""

LIST_REDO = f"""
SELECT redo.*
  FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY
       AS n (namespace, name, cursor, at)
{_redo("n")}
 ORDER BY n.at
"""

GET_STANDING = f"""
SELECT {TAG_ROW}, a.kind, a.version_hash,
       (SELECT transaction_id FROM tag_move
         WHERE namespace = t.namespace AND name = t.name AND seq = t.version) AS transaction_id,
       {columns("undo", undo_seq="seq", undo_id="target_id", undo_message="message")},
       {columns("redo", redo_seq="seq", redo_id="target_id", redo_message="message")}
  FROM tag t
  LEFT JOIN LATERAL (
       SELECT kind, version_hash FROM artifact WHERE artifact_id = t.target_id LIMIT 1) a ON true
{_undo("t", "false")}
{_redo("t")}
 WHERE t.namespace = $1 AND t.name = $2 AND t.target_id IS NOT NULL
"""

STEP = f"""
WITH wanted AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[], $5::bigint[],
                         $6::text[], $7::text[], $8::text[])
        AS n (namespace, name, version, target_id, cursor, action, message, moved_by)
), moved AS (
    UPDATE tag t
       SET target_id = n.target_id, version = t.version + 1, cursor = n.cursor, action = n.action,
           from_id = t.target_id, parent_seq = t.cursor, message = n.message,
           moved_by = n.moved_by, moved_at = greatest(t.moved_at, clock_timestamp())
      FROM wanted n
     WHERE t.namespace = n.namespace AND t.name = n.name AND t.version = n.version
    RETURNING {TAG_ROW}
), {recorded("$9::uuid")}
SELECT a.kind, a.version_hash, m.*
  FROM moved m LEFT JOIN LATERAL (
       SELECT kind, version_hash FROM artifact WHERE artifact_id = m.target_id LIMIT 1) a ON true
"""


class TagStepRepository:
    """Rows of tag and tag_move. The caller owns the transaction."""

    async def list_undo(self, conn: Connection, tags: Sequence[Tag]) -> list[Landing | None]:
        """The move from which the one at the cursor of each tag was made; of a deleted tag, the
        one at its cursor.
        """
        deleted = [tag.target_id is None for tag in tags]
        return _landings(await conn.fetch(LIST_UNDO, *_standing(tags), deleted))

    async def list_redo(self, conn: Connection, tags: Sequence[Tag]) -> list[Landing | None]:
        """The newest move that was made from the one at the cursor of each tag."""
        return _landings(await conn.fetch(LIST_REDO, *_standing(tags)))

    async def get_standing(self, conn: Connection, namespace: str, name: str) -> TagStanding | None:
        """A tag, and where its undo and redo lead."""
        row = await conn.fetchrow(GET_STANDING, namespace, name)
        target = target_of(row["target_id"], row["kind"], row["version_hash"]) if row else None
        if row is None or target is None:
            return None
        return TagStanding(
            tag=tag_from({field: row[field] for field in Tag.__struct_fields__}),
            target=target,
            transaction_id=row["transaction_id"],
            undo=_landing(row["undo_seq"], row["undo_id"], row["undo_message"]),
            redo=_landing(row["redo_seq"], row["redo_id"], row["redo_message"]),
        )

    async def step(
        self, conn: Connection, steps: Sequence[Step], transaction_id: UUID | None
    ) -> list[TagChange]:
        """Let each tag stand where its step leads."""
        rows = await conn.fetch(
            STEP,
            [each.tag.namespace for each in steps],
            [each.tag.name for each in steps],
            [each.tag.version for each in steps],
            [each.landing.target_id for each in steps],
            [each.landing.seq for each in steps],
            [each.order.step for each in steps],
            [each.order.message for each in steps],
            [each.order.by.name for each in steps],
            transaction_id,
        )
        changes = {}
        for row in rows:
            fields = dict(row)
            kind, version_hash = fields.pop("kind"), fields.pop("version_hash")
            tag = tag_from(fields)
            target = target_of(tag.target_id, kind, version_hash)
            change = TagChange(tag=tag, action=tag.action, target=target)
            changes[tag.namespace, tag.name] = change
        return [changes[each.tag.namespace, each.tag.name] for each in steps]


def _standing(tags: Sequence[Tag]) -> list[list[Any]]:
    return [
        [tag.namespace for tag in tags],
        [tag.name for tag in tags],
        [tag.cursor for tag in tags],
    ]


def _landings(rows: Sequence[asyncpg.Record]) -> list[Landing | None]:
    return [_landing(row["seq"], row["target_id"], row["message"]) for row in rows]


def _landing(seq: int | None, target_id: UUID | None, message: str | None) -> Landing | None:
    return None if seq is None else Landing(seq=seq, target_id=target_id, message=message)
