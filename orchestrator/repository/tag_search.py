"""SQL that lists what happened to the tags of a namespace: one statement per method."""

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.tag import Action, TagMove
from orchestrator.models.tag_search import MoveFilter, MovePosition, NamedMove
from orchestrator.repository.columns import columns

_MOVE = columns("m", *TagMove.__struct_fields__)

# All that is looked for is in one index, in the order of the page. The rows of a page are read one
# by one afterwards.
LIST_MOVES = f"""
SELECT m.name, {_MOVE}, a.kind, a.version_hash
  FROM (SELECT moved_at, name, seq FROM tag_move
         WHERE namespace = $1 AND moved_at >= $2 AND moved_at <= $3
           AND (moved_at, name, seq) < ($3, $4, $5)
           AND starts_with(name, $6) AND ($7::text IS NULL OR moved_by = $7)
         ORDER BY moved_at DESC, name DESC, seq DESC LIMIT $8) n
 CROSS JOIN LATERAL (
       SELECT * FROM tag_move WHERE namespace = $1 AND name = n.name AND seq = n.seq LIMIT 1) m
  LEFT JOIN LATERAL (
       SELECT kind, version_hash FROM artifact WHERE artifact_id = m.to_id LIMIT 1) a ON true
 ORDER BY n.moved_at DESC, n.name DESC, n.seq DESC
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
        rows = await conn.fetch(
            LIST_MOVES,
            namespace,
            wanted.since,
            before.moved_at,
            before.name,
            before.seq,
            wanted.prefix,
            wanted.moved_by,
            limit,
        )
        return [
            NamedMove(
                **{
                    **row,
                    "action": Action(row["action"]),
                    "version_hash": row["version_hash"] and CasId(row["version_hash"]),
                }
            )
            for row in rows
        ]
