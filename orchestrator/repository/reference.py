"""SQL that finds what references name, many at once: one statement, no decisions."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.reference import Reference

# A subquery whose column is null finds nothing at once. A hash names the newest version with this
# result, else the newest artifact with this content.
RESOLVE = """
SELECT coalesce(
       (SELECT artifact_id FROM artifact WHERE artifact_id = n.artifact_id AND namespace = $1),
       (SELECT artifact_id FROM artifact WHERE version_hash = n.hash AND namespace = $1
         ORDER BY created_at DESC LIMIT 1),
       (SELECT artifact_id FROM artifact WHERE cas_id = n.hash AND namespace = $1
         ORDER BY created_at DESC LIMIT 1),
       (SELECT target_id FROM tag WHERE namespace = $1 AND name = n.tag AND n.version IS NULL),
       (SELECT to_id FROM tag_move WHERE namespace = $1 AND name = n.tag AND seq = n.version))
  FROM unnest($2::uuid[], $3::bytea[], $4::text[], $5::bigint[]) WITH ORDINALITY
       AS n (artifact_id, hash, tag, version, at)
 ORDER BY n.at
"""

LOCK = """
SELECT a.artifact_id FROM unnest($1::uuid[]) AS n (artifact_id) CROSS JOIN LATERAL (
       SELECT artifact_id FROM artifact WHERE artifact_id = n.artifact_id FOR KEY SHARE) a
"""


class ReferenceRepository:
    """Rows of artifact, tag and tag_move. The caller owns the transaction."""

    async def resolve(
        self, conn: Connection, namespace: str, references: Sequence[Reference]
    ) -> list[UUID | None]:
        """The artifact that each names, in their order; None where there is none."""
        rows = await conn.fetch(
            RESOLVE,
            namespace,
            [each.artifact_id for each in references],
            [each.version_hash and each.version_hash.raw for each in references],
            [each.tag for each in references],
            [each.tag_version for each in references],
        )
        return [row[0] for row in rows]

    async def lock(self, conn: Connection, artifact_ids: Sequence[UUID]) -> set[UUID]:
        """Those that are there still: nobody can delete them before we commit."""
        rows = await conn.fetch(LOCK, sorted(artifact_ids))
        return {row["artifact_id"] for row in rows}
