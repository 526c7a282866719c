"""SQL that lists the tags of a namespace and what happened to them: one statement per method.

Tags are read in the order of their names, moves in that of their times. What is looked for besides
is a condition on the rows that are passed.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.tag_search import (
    MoveFilter,
    MovePosition,
    NamedMove,
    NamedTag,
    TagFilter,
)
from orchestrator.repository.columns import columns
from orchestrator.repository.tag_move import (
    NAMED_MOVE,
    TARGET_OF_MOVE,
    cursor_after,
    move_searched,
    named_move,
)

#: After all characters of names, in the order of code points and in that of languages.
_LAST_CHARACTER = "\uffff"


# All that is looked for is in one index, in the order of the page. The rows of a page are read one
# by one afterwards.
def _moves(source: str) -> str:
    return f"""
SELECT {NAMED_MOVE}
  FROM (SELECT moved_at, name, seq FROM {source}
         WHERE namespace = $1 AND moved_at >= $2 AND moved_at <= $3
           AND (moved_at, name, seq) < ($3, $4, $5)
           AND starts_with(name, $6) AND ($7::text IS NULL OR moved_by = $7)
         ORDER BY moved_at DESC, name DESC, seq DESC LIMIT $8) n
 CROSS JOIN LATERAL (
       SELECT * FROM tag_move WHERE namespace = $1 AND name = n.name AND seq = n.seq LIMIT 1) m
 {TARGET_OF_MOVE}
 ORDER BY n.moved_at DESC, n.name DESC, n.seq DESC
"""


LIST_MOVES = _moves("tag_move")
# A transaction has moved few tags.
LIST_MOVES_TOGETHER = _moves("(SELECT * FROM tag_move WHERE transaction_id = $9 OFFSET 0) m")

_WANTED = """
 WHERE c.namespace = $1 AND c.name > $2 AND c.name >= $3 AND c.name < $4 AND starts_with(c.name, $3)
   AND ($5::text IS NULL OR t.moved_by = $5)
   AND ($6::timestamptz IS NULL OR t.moved_at >= $6)
   AND ($7::timestamptz IS NULL OR t.moved_at < $7)
   AND ($8::text IS NULL OR a.kind = $8)
   AND (t.target_id IS NULL) = $9
"""
_NOW = """
tag c CROSS JOIN LATERAL (
    SELECT c.*, (SELECT transaction_id FROM tag_move
                  WHERE namespace = c.namespace AND name = c.name AND seq = c.version)
           AS transaction_id) t
"""
# Most tags have not moved since: their last move is the one, and the search ends at once.
_PAST = f"""
tag c CROSS JOIN LATERAL (
    WITH RECURSIVE {
    move_searched(
        "SELECT CASE WHEN c.moved_at <= $10 THEN c.version ELSE 0 END, c.version + 1",
        "c.name",
        "$10",
    )
}
    SELECT namespace, name, seq AS version, {cursor_after("m")} AS cursor, to_id AS target_id,
           transaction_id, message, moved_by, moved_at
      FROM tag_move m
     WHERE namespace = $1 AND name = c.name AND seq = (SELECT max(low) FROM search) LIMIT 1) t
"""
_TARGET = "LEFT JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = t.target_id LIMIT 1) a"


def tags_listed(shown: str, limit: str, *, past: bool, also: str = "true") -> str:
    """What is `shown` of the tags `t` that a filter wants and of their artifacts `a`, by name."""
    return f"""
SELECT {shown} FROM {_PAST if past else _NOW} {_TARGET} ON true {_WANTED} AND {also}
 ORDER BY c.name LIMIT {limit}
"""


def tags_counted(*, past: bool, also: str = "true") -> str:
    """How many such tags there are."""
    return f"""
SELECT count(*) FROM {_PAST if past else _NOW} {_TARGET} ON true {_WANTED} AND {also}
"""


_NAMED = (
    columns("t", "namespace", "name", "version", "cursor", "transaction_id", "message")
    + ", "
    + columns("t", "moved_by", "moved_at")
    + ", "
    + columns("a", "artifact_id", "kind", "version_hash")
)
LIST = tags_listed(_NAMED, "$10", past=False)
LIST_AT = tags_listed(_NAMED, "$11", past=True)
COUNT = tags_counted(past=False)
COUNT_AT = tags_counted(past=True)


def tags_wanted(namespace: str, wanted: TagFilter, after: str = "") -> list[Any]:
    """The parameters of `tags_counted`, and of `tags_listed` but for the limit."""
    at = [] if wanted.at is None else [wanted.at]
    return [
        namespace,
        after,
        wanted.prefix,
        wanted.prefix + _LAST_CHARACTER,
        wanted.moved_by,
        wanted.since,
        wanted.until,
        wanted.kind,
        wanted.deleted,
        *at,
    ]


LIST_BY_TRANSACTION = f"""
SELECT {NAMED_MOVE} FROM tag_move m {TARGET_OF_MOVE}
 WHERE m.transaction_id = $1 ORDER BY m.namespace, m.name
"""


# The few tags of an artifact are sorted: in the order of names all tags would be read.
LIST_NAMES = """
SELECT t.target_id, t.name FROM unnest($2::uuid[]) AS n (artifact_id) CROSS JOIN LATERAL (
       SELECT * FROM (SELECT target_id, name FROM tag
                       WHERE target_id = n.artifact_id AND namespace = $1 OFFSET 0) t
        ORDER BY name LIMIT $3) t
"""


class TagSearchRepository:
    """Rows of tag and tag_move, with what their artifacts say. The caller owns the transaction."""

    async def list_moves(
        self,
        conn: Connection,
        namespace: str,
        wanted: MoveFilter,
        before: MovePosition,
        limit: int,
    ) -> list[NamedMove]:
        """Newest first, those before this place; also of deleted tags."""
        given = (
            namespace,
            wanted.since,
            before.moved_at,
            before.name,
            before.seq,
            wanted.prefix,
            wanted.moved_by,
            limit,
        )
        if wanted.transaction_id is None:
            rows = await conn.fetch(LIST_MOVES, *given)
        else:
            rows = await conn.fetch(LIST_MOVES_TOGETHER, *given, wanted.transaction_id)
        return [named_move(row) for row in rows]

    async def list_tags(
        self, conn: Connection, namespace: str, wanted: TagFilter, after: str, limit: int
    ) -> list[NamedTag]:
        """By name, those after this one."""
        statement = LIST if wanted.at is None else LIST_AT
        rows = await conn.fetch(statement, *tags_wanted(namespace, wanted, after), limit)
        return [
            NamedTag(**{**row, "version_hash": row["version_hash"] and CasId(row["version_hash"])})
            for row in rows
        ]

    async def count_tags(self, conn: Connection, namespace: str, wanted: TagFilter) -> int:
        """On all pages."""
        statement = COUNT if wanted.at is None else COUNT_AT
        found: int = await conn.fetchval(statement, *tags_wanted(namespace, wanted))
        return found

    async def list_names(
        self, conn: Connection, namespace: str, artifact_ids: Sequence[UUID], limit: int
    ) -> list[tuple[UUID, str]]:
        """The first tags that name each of these artifacts now."""
        rows = await conn.fetch(LIST_NAMES, namespace, artifact_ids, limit)
        return [(row["target_id"], row["name"]) for row in rows]

    async def list_by_transaction(self, conn: Connection, transaction_id: UUID) -> list[NamedMove]:
        """Those that were made together, by the names of the tags."""
        return [named_move(row) for row in await conn.fetch(LIST_BY_TRANSACTION, transaction_id)]
