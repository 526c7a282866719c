"""SQL over blob, artifact and tag at once, for artifacts that a manifest names: one statement.

It exists so that a create is one round trip and, as a statement alone is its own transaction, one
commit. What it writes is put together from what the repositories of the three say.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.artifact import NewArtifact
from orchestrator.models.artifact_manifest import WantedArtifact
from orchestrator.models.cas import MANIFEST
from orchestrator.repository.artifact import artifacts_inserted
from orchestrator.repository.artifact_manifest import HAS_MANIFEST
from orchestrator.repository.brief import BRIEF_WAIT
from orchestrator.repository.cas import blobs_inserted
from orchestrator.repository.tag import made, moved_by, recorded

_NEW = (
    *("artifact_id", "namespace", "kind", "cas_id", "name", "version_hash", "meta", "created_by"),
)
_ONE = f"(version_hash, namespace) WHERE {HAS_MANIFEST}"

# What has been there before is left out, with all that follows from it: it must be looked at
# first. So is what needs a blob that is gone.
CREATE_NEW = f"""
WITH new AS (
    SELECT n.*, n.cas_id AS version_hash, '{MANIFEST}' AS media_type,
           octet_length(n.content) AS size_bytes
      FROM unnest($1::bytea[], $2::bytea[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                  $7::json[], $8::text[], $9::text[], $10::text[]) WITH ORDINALITY
        AS n (cas_id, content, artifact_id, namespace, kind, name, meta, created_by, tag, message,
              at), {BRIEF_WAIT}
), file AS (
    SELECT * FROM unnest($11::uuid[], $12::int[], $13::bytea[], $14::text[], $15::text[])
        AS f (artifact_id, position, cas_id, name, media_type)
), there AS (
    SELECT b.cas_id FROM (SELECT DISTINCT cas_id FROM file ORDER BY cas_id) f
     CROSS JOIN LATERAL (SELECT cas_id FROM cas_blob WHERE cas_id = f.cas_id FOR KEY SHARE) b
), blob AS (
    {blobs_inserted("new", "cas_id", "size_bytes", "media_type", "content")}
    RETURNING cas_id
), brought AS (
    SELECT * FROM new
     WHERE cas_id IN (SELECT cas_id FROM blob) AND artifact_id NOT IN (
           SELECT artifact_id FROM file WHERE cas_id NOT IN (SELECT cas_id FROM there))
), version AS (
    {artifacts_inserted("brought", *_NEW, conflict=_ONE)}
), filed AS (
    INSERT INTO artifact_blob (artifact_id, role, position, cas_id, name, media_type)
    SELECT f.artifact_id, 'file', f.position, f.cas_id, f.name, f.media_type
      FROM file f WHERE f.artifact_id IN (SELECT artifact_id FROM version)
), described AS (
    INSERT INTO artifact_meta (artifact_id, namespace, digest)
    SELECT d.artifact_id, d.namespace, d.digest
      FROM unnest($16::uuid[], $17::text[], $18::bytea[]) AS d (artifact_id, namespace, digest)
     WHERE d.artifact_id IN (SELECT artifact_id FROM version)
     ORDER BY d.digest, d.namespace, d.artifact_id
), named AS (
    SELECT namespace, tag AS name, artifact_id AS target_id, message, created_by AS moved_by
      FROM new WHERE tag IS NOT NULL AND artifact_id IN (SELECT artifact_id FROM version)
     ORDER BY namespace, tag
), {moved_by("named")}, {recorded()}
SELECT v.artifact_id, v.created_at, {made("m")}
  FROM version v LEFT JOIN moved m ON m.target_id = v.artifact_id
"""


class ArtifactJoinRepository:
    """Rows of cas_blob, artifact, artifact_blob, artifact_meta, tag and tag_move. The caller owns
    the transaction.
    """

    async def create_new(
        self, conn: Connection, wanted: Sequence[WantedArtifact], rows: Sequence[NewArtifact]
    ) -> dict[UUID, tuple[datetime, Sequence[Any]]]:
        """Store manifests as these artifacts and let tags name them, whatever they name now; each
        tag at most once. Of those that are new, when they were created and what was `made` of the
        tag.
        """
        manifests = [each.new for each in wanted]
        files = [
            (row.artifact_id, at, file)
            for row, new in zip(rows, manifests, strict=True)
            for at, file in enumerate(new.files)
        ]
        digests = [
            (row.artifact_id, row.namespace, digest)
            for row, new in zip(rows, manifests, strict=True)
            for digest in new.digests
        ]
        found = await conn.fetch(
            CREATE_NEW,
            [row.cas_id.raw for row in rows],
            [new.content for new in manifests],
            [row.artifact_id for row in rows],
            [row.namespace for row in rows],
            [row.kind for row in rows],
            [row.name for row in rows],
            [row.meta for row in rows],
            [row.created_by for row in rows],
            [each.tag for each in wanted],
            [each.message for each in wanted],
            [artifact_id for artifact_id, _, _ in files],
            [at for _, at, _ in files],
            [file.cas_id.raw for _, _, file in files],
            [file.name for _, _, file in files],
            [file.media_type for _, _, file in files],
            [artifact_id for artifact_id, _, _ in digests],
            [namespace for _, namespace, _ in digests],
            [digest for _, _, digest in digests],
        )
        return {row[0]: (row[1], row[2:]) for row in found}
