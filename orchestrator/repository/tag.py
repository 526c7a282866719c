"""SQL for tags as they are: one statement per method, no decisions.

A statement that changes a tag records the move in the same breath. What the move replaced is read
from the row that the statement holds locked (the row keeps its own last move), never from another
CTE: that one would see the value before a concurrent move.

What an order says of a tag, the rows do not say again: each column of each row is a noticeable
part of what a statement costs us.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.tag import (
    Action,
    FoundTag,
    Tag,
    TagChange,
    TagOrder,
    TagTarget,
)
from orchestrator.repository.brief import brief_wait
from orchestrator.repository.columns import columns

TAG_ROW = columns("t", *Tag.__struct_fields__)
_MADE = ("version", "protected", "from_id", "parent_seq", "moved_at")


def made(alias: str) -> str:
    """What `tag_of` needs of a tag that was changed, besides its order."""
    return columns(alias, *_MADE)


def moved_by(source: str, allowed: str = "true") -> str:
    """The tags that the rows of `source` (namespace, name, target_id, message, moved_by) create,
    move, or, without a target, delete; in the order of the rows, each tag at most once.

    A tag that has its target already is left out, and one that is not `allowed` to change.
    """
    # moved_at never goes back along a tag's versions, also when the clock of the machine does.
    return f"""
moved AS (
    INSERT INTO tag AS t (namespace, name, target_id, version, cursor, action, message, moved_by,
                          moved_at)
    SELECT n.namespace, n.name, n.target_id, 1, 1,
           CASE WHEN n.target_id IS NULL THEN 'delete' ELSE 'create' END, n.message, n.moved_by,
           clock_timestamp()
      FROM {source} n
    ON CONFLICT (namespace, name) DO UPDATE
       SET target_id = excluded.target_id, version = t.version + 1,
           cursor = CASE WHEN excluded.target_id IS NULL THEN t.cursor ELSE t.version + 1 END,
           action = CASE WHEN excluded.target_id IS NULL THEN 'delete'
                         WHEN t.target_id IS NULL THEN 'create' ELSE 'move' END,
           from_id = t.target_id, parent_seq = t.cursor, message = excluded.message,
           moved_by = excluded.moved_by, moved_at = greatest(t.moved_at, clock_timestamp())
     WHERE t.target_id IS DISTINCT FROM excluded.target_id AND {allowed}
    RETURNING {TAG_ROW}
)"""


def recorded(transaction_id: str = "") -> str:
    """The moves of the tags that `moved` changed, recorded; those of a transaction as such."""
    column, value = (", transaction_id", f", {transaction_id}") if transaction_id else ("", "")
    return f"""
recorded AS (
    INSERT INTO tag_move (namespace, name, seq, action, from_id, to_id, parent_seq, message,
                          moved_by, moved_at{column})
    SELECT namespace, name, version, action, from_id, target_id, parent_seq, message,
           moved_by, moved_at{value}
      FROM moved
)"""


#: Of a tag that was looked at and not changed, besides its name.
_FOUND = Tag.__struct_fields__[2:]


def _put(
    wait: str = "", if_locked: str = "", is_locked: str = "false", transaction_id: str = ""
) -> str:
    """Orders are gone through by name: two that write the same tags wait for each other only in one
    direction. A tag is looked at behind its lock, and is changed before the next one is locked.
    """
    return f"""
WITH wanted AS (
    SELECT n.* FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::bool[],
                         $7::bool[], $8::text[])
        AS n (namespace, name, target_id, message, moved_by, must_be_absent, must_exist, versions)
             {wait}
     ORDER BY namespace, name
), looked AS (
    SELECT n.*, a.kind, a.version_hash, l.found
      FROM wanted n
      LEFT JOIN LATERAL (
           SELECT kind, version_hash FROM artifact
            WHERE namespace = n.namespace AND artifact_id = n.target_id
              FOR KEY SHARE {if_locked}) a ON true
      LEFT JOIN LATERAL (
           SELECT t AS found FROM tag t
            WHERE t.namespace = n.namespace AND t.name = n.name
              FOR NO KEY UPDATE {if_locked}) l ON true
), ready AS (
    SELECT * FROM looked n
     WHERE (n.target_id IS NULL OR n.kind IS NOT NULL)
       AND (NOT n.must_exist OR (n.found).target_id IS NOT NULL)
       AND (n.versions IS NULL OR (n.found).version = ANY (n.versions::bigint[]))
), {
        moved_by(
            "ready",
            "(t.target_id IS NULL OR (t.namespace, t.name) NOT IN"
            " (SELECT namespace, name FROM wanted WHERE must_be_absent))",
        )
    }, {recorded(transaction_id)}
SELECT n.namespace, n.name, n.kind, n.version_hash, {made("m")}, {columns("(f.found)", *_FOUND)},
       CASE WHEN m.version IS NULL THEN {is_locked} END AS is_locked
  FROM looked n
  LEFT JOIN moved m ON m.namespace = n.namespace AND m.name = n.name
 CROSS JOIN LATERAL (SELECT CASE WHEN m.version IS NULL THEN n.found END AS found) f
"""


PUT = _put()
#: Here the moves are recorded as those of a transaction.
PUT_TOGETHER = _put(transaction_id="$9::uuid")

# Longer than most commits take.
PUT_BRIEFLY = _put(f", {brief_wait(10)}")

# What was skipped, and is there, is locked. (EXISTS might be planned as a scan of the whole table.)
PUT_UNLOCKED = _put(
    if_locked="SKIP LOCKED",
    is_locked="""(n.found).version IS NULL AND (
           SELECT true FROM tag t WHERE t.namespace = n.namespace AND t.name = n.name)
       OR n.kind IS NULL AND (
           SELECT true FROM artifact a
            WHERE a.namespace = n.namespace AND a.artifact_id = n.target_id)""",
)

GET = f"SELECT {TAG_ROW} FROM tag t WHERE namespace = $1 AND name = $2 AND target_id IS NOT NULL"


class TagRepository:
    """Rows of tag, each change with its row of tag_move. The caller owns the transaction."""

    async def put(
        self,
        conn: Connection,
        orders: Sequence[TagOrder],
        transaction_id: UUID | None = None,
    ) -> list[TagChange | FoundTag | None]:
        """Create, move, or delete (an order without a target); each tag at most once. Of a step the
        tag is only locked.

        The tag as it was found where an order changed nothing; None where its target is missing.
        """
        given = _wanted(orders)
        if transaction_id is None:
            return _outcomes(orders, await conn.fetch(PUT, *given))
        return _outcomes(orders, await conn.fetch(PUT_TOGETHER, *given, transaction_id))

    async def put_briefly(
        self, conn: Connection, orders: Sequence[TagOrder]
    ) -> list[TagChange | FoundTag | None]:
        """As `put`, but it waits for locks no longer than most commits take."""
        return _outcomes(orders, await conn.fetch(PUT_BRIEFLY, *_wanted(orders)))

    async def put_unlocked(
        self, conn: Connection, orders: Sequence[TagOrder]
    ) -> list[TagChange | FoundTag | None]:
        """As `put`, for tags that must exist; it waits for no lock."""
        return _outcomes(orders, await conn.fetch(PUT_UNLOCKED, *_wanted(orders)))

    async def get(self, conn: Connection, namespace: str, name: str) -> Tag | None:
        row = await conn.fetchrow(GET, namespace, name)
        return tag_from(row) if row else None


def _wanted(orders: Sequence[TagOrder]) -> list[list[Any]]:
    return [
        [order.namespace for order in orders],
        [order.name for order in orders],
        [order.target_id for order in orders],
        [order.message for order in orders],
        [order.by.name for order in orders],
        [order.condition.absent for order in orders],
        [order.condition.exists or order.target_id is None for order in orders],
        [_versions(order) for order in orders],
    ]


def _outcomes(
    orders: Sequence[TagOrder], rows: Sequence[asyncpg.Record]
) -> list[TagChange | FoundTag | None]:
    found = {(row[0], row[1]): row for row in rows}
    return [_outcome(order, found[order.namespace, order.name]) for order in orders]


def _outcome(order: TagOrder, row: asyncpg.Record) -> TagChange | FoundTag | None:
    target = target_of(order.target_id, row[2], row[3])
    end = 4 + len(_MADE)
    if row[4] is not None:
        return change_of(order, target, row[4:end])
    if row[-1]:
        return FoundTag(tag=None, target=target, is_locked=True)
    if order.target_id is not None and target is None:
        return None
    fields = dict(zip(_FOUND, row[end:-1], strict=True))
    if fields["version"] is None:
        return FoundTag(tag=None, target=target)
    fields["action"] = Action(fields["action"])
    tag = Tag(namespace=order.namespace, name=order.name, **fields)
    return FoundTag(tag=tag, target=target)


def change_of(order: TagOrder, target: TagTarget | None, changed: Sequence[Any]) -> TagChange:
    """The change that an order made; `changed` has the columns of `made`."""
    tag = tag_of(order, changed)
    return TagChange(tag=tag, action=tag.action, target=target)


def tag_of(order: TagOrder, changed: Sequence[Any]) -> Tag:
    """The tag as an order left it; `changed` has the columns of `made`."""
    version, protected, from_id, parent_seq, moved_at = changed
    if order.target_id is None:
        action = Action.DELETE
    else:
        # The table sees to it that a create, and nothing else, comes from nowhere.
        action = Action.CREATE if from_id is None else Action.MOVE
    return Tag(
        namespace=order.namespace,
        name=order.name,
        target_id=order.target_id,
        version=version,
        cursor=parent_seq if order.target_id is None else version,
        protected=protected,
        action=action,
        from_id=from_id,
        parent_seq=parent_seq,
        message=order.message,
        moved_by=order.by.name,
        moved_at=moved_at,
    )


def target_of(
    target_id: UUID | None, kind: str | None, version_hash: bytes | None
) -> TagTarget | None:
    """What the artifact says, if there is one."""
    if target_id is None or kind is None:
        return None
    return TagTarget(
        artifact_id=target_id,
        kind=kind,
        version_hash=CasId(version_hash) if version_hash else None,
    )


def _versions(order: TagOrder) -> str | None:
    """As PostgreSQL writes an array: arrays of arrays would all have to be of one length.

    A step is not carried out here, but looked at behind the lock: no version is right for it.
    """
    versions = order.condition.versions if order.step is None else ()
    return None if versions is None else "{" + ",".join(map(str, versions)) + "}"


def tag_from(row: Mapping[str, Any] | asyncpg.Record) -> Tag:
    """The tag of a row with its columns."""
    return Tag(**{**row, "action": Action(row["action"])})
