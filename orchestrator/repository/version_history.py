"""SQL that reads what a version was made from, all of it at once: one statement, no decisions."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.artifact import Artifact
from orchestrator.models.version_history import PastVersion
from orchestrator.repository.artifact import artifact_of
from orchestrator.repository.columns import columns

_ARTIFACT = columns("a", *Artifact.__struct_fields__)


def _made_from(child: str) -> str:
    """An edge leads to an older artifact; one that came later and does not is no history."""
    return f"""
        SELECT parent_id, relation FROM lineage
         WHERE child_id = {child} AND relation = ANY($3::text[]) AND parent_id < {child} OFFSET 0"""


# The nearest versions come first, so that a limit cuts off what is far away. A patch has its own
# message; that of a whole version is on the move by which a tag first named it.
LIST = f"""
WITH RECURSIVE history (id) AS (
    SELECT $2::uuid
     UNION
    SELECT p.parent_id FROM history h CROSS JOIN LATERAL ({_made_from("h.id")}) p
)
SELECT {_ARTIFACT}, b.size_bytes, m.message AS said,
       ARRAY(SELECT p.parent_id FROM ({_made_from("a.artifact_id")}) p
              ORDER BY array_position($3::text[], p.relation), p.parent_id DESC) AS parents
  FROM (SELECT id FROM history LIMIT $4) h
 CROSS JOIN LATERAL (
       SELECT * FROM artifact WHERE artifact_id = h.id AND namespace = $1
          AND kind IN ('dag_version', 'patch_set') LIMIT 1) a
 CROSS JOIN LATERAL (SELECT size_bytes FROM cas_blob WHERE cas_id = a.version_hash LIMIT 1) b
  LEFT JOIN LATERAL (
       SELECT message FROM tag_move
        WHERE to_id = CASE WHEN a.kind = 'dag_version' THEN a.artifact_id END AND namespace = $1
        ORDER BY moved_at LIMIT 1) m ON true
"""


class VersionHistoryRepository:
    """Rows of artifact, lineage, cas_blob and tag_move. The caller owns the transaction."""

    async def list_versions(
        self,
        conn: Connection,
        namespace: str,
        head_id: UUID,
        relations: Sequence[str],
        limit: int,
    ) -> list[PastVersion]:
        """The version, and those it was made from in one of these ways, nearest first."""
        rows = await conn.fetch(LIST, namespace, head_id, relations, limit)
        return [
            PastVersion(
                artifact=(artifact := artifact_of(row)),
                parents=tuple(dict.fromkeys(row["parents"])),
                size_bytes=row["size_bytes"],
                message=artifact.meta.get("message") or row["said"],
            )
            for row in rows
        ]
