"""SQL that finds what references name, many at once: one statement, no decisions."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.reference import Reference, Resolved

# A subquery whose column is null finds nothing at once. A tag goes before a hash. A hash names the
# newest version with this result, else the newest artifact with this content; and so do some digits
# of it, unless a second hash begins with them.
RESOLVE = """
SELECT coalesce(named.artifact_id, result.artifact_id, content.artifact_id) AS artifact_id,
       named.artifact_id IS NULL AND CASE WHEN result.artifact_id IS NOT NULL
       THEN EXISTS (SELECT FROM artifact WHERE version_hash BETWEEN n.low AND n.high
                       AND version_hash <> result.hash AND namespace = $1)
       ELSE EXISTS (SELECT FROM artifact WHERE cas_id BETWEEN n.low AND n.high
                       AND cas_id <> content.hash AND namespace = $1) END AS is_ambiguous
  FROM unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::text[], $6::bigint[]) WITH ORDINALITY
       AS n (artifact_id, low, high, tag, version, at)
 CROSS JOIN LATERAL (SELECT coalesce(
       (SELECT artifact_id FROM artifact WHERE artifact_id = n.artifact_id AND namespace = $1),
       (SELECT target_id FROM tag WHERE namespace = $1 AND name = n.tag AND n.version IS NULL),
       (SELECT to_id FROM tag_move WHERE namespace = $1 AND name = n.tag AND seq = n.version)
       ) AS artifact_id) named
  LEFT JOIN LATERAL (
       SELECT artifact_id, version_hash AS hash FROM artifact
        WHERE version_hash BETWEEN n.low AND n.high AND namespace = $1
        ORDER BY version_hash DESC, created_at DESC LIMIT 1
       ) result ON named.artifact_id IS NULL
  LEFT JOIN LATERAL (
       SELECT artifact_id, cas_id AS hash FROM artifact
        WHERE cas_id BETWEEN n.low AND n.high AND namespace = $1
        ORDER BY cas_id DESC, created_at DESC LIMIT 1
       ) content ON named.artifact_id IS NULL AND result.artifact_id IS NULL
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
    ) -> list[Resolved]:
        """What each names, in their order."""
        rows = await conn.fetch(
            RESOLVE,
            namespace,
            [each.artifact_id for each in references],
            [each.hashes and each.hashes.low for each in references],
            [each.hashes and each.hashes.high for each in references],
            [each.tag for each in references],
            [each.tag_version for each in references],
        )
        return [Resolved(**row) for row in rows]

    async def lock(self, conn: Connection, artifact_ids: Sequence[UUID]) -> set[UUID]:
        """Those that are there still: nobody can delete them before we commit."""
        rows = await conn.fetch(LOCK, sorted(artifact_ids))
        return {row["artifact_id"] for row in rows}
