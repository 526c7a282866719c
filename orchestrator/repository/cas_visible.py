"""SQL for what a namespace sees of blobs: one statement per method, no decisions."""

from collections.abc import Sequence

from orchestrator.core.database import Connection
from orchestrator.core.digest import BlobName, CasId, Sha256
from orchestrator.models.cas import (
    MANIFEST,
    PATCH_OPERATIONS,
    RUN_MANIFEST,
    RUN_SNAPSHOT,
    WORKFLOW,
    Blob,
    BlobContent,
)
from orchestrator.repository.artifact_manifest import HAS_MANIFEST
from orchestrator.repository.cas import BLOB_PLACE, blob_of, content_of

# A blob is visible to a namespace through an artifact of it or an upload that is still leased.
# LIMIT 1 keeps the planner from going through all artifacts of the namespace for the last.
_IS_VISIBLE = """
   (l.expires_at > now() OR a.created_at IS NOT NULL
 OR (SELECT true FROM artifact_blob x CROSS JOIN LATERAL (
            SELECT FROM artifact WHERE artifact_id = x.artifact_id AND namespace = $2 LIMIT 1) y
      WHERE x.cas_id = b.cas_id LIMIT 1))
"""

# A namespace sees what its own artifacts and uploads say of a blob, never what another's do.
_VISIBLE_BLOB = """b.cas_id, b.size_bytes, b.sha256,
coalesce(a.media_type, l.media_type, (
    SELECT x.media_type FROM artifact_blob x CROSS JOIN LATERAL (
           SELECT FROM artifact WHERE artifact_id = x.artifact_id AND namespace = $2 LIMIT 1) y
     WHERE x.cas_id = b.cas_id AND x.role = 'file' LIMIT 1), b.media_type) AS media_type,
coalesce(least(a.created_at, l.created_at), b.created_at) AS created_at,
b.content IS NOT NULL AS inline, b.quarantined_at IS NOT NULL AS quarantined"""
# The oldest of the artifacts of which it is the content, or the result: one entry of each index.
_VISIBLE_FROM = f"""
  FROM cas_blob b
  LEFT JOIN cas_lease l ON l.cas_id = b.cas_id AND l.namespace = $2
  LEFT JOIN LATERAL (
       SELECT CASE WHEN h.{HAS_MANIFEST} THEN '{MANIFEST}'
                   WHEN h.version_hash = b.cas_id THEN '{WORKFLOW}'
                   WHEN h.kind = 'patch_set' THEN '{PATCH_OPERATIONS}'
                   WHEN h.kind = 'run_manifest' THEN '{RUN_MANIFEST}'
                   WHEN h.kind = 'run_snapshot' THEN '{RUN_SNAPSHOT}' END AS media_type,
              h.created_at
         FROM ((SELECT kind, version_hash, created_at FROM artifact
                 WHERE cas_id = b.cas_id AND namespace = $2 ORDER BY created_at LIMIT 1)
                UNION ALL
               (SELECT kind, version_hash, created_at FROM artifact
                 WHERE version_hash = b.cas_id AND namespace = $2 ORDER BY created_at LIMIT 1)) h
        ORDER BY h.created_at LIMIT 1) a ON true
"""

GET = f"SELECT {_VISIBLE_BLOB} {_VISIBLE_FROM} WHERE b.cas_id = $1 AND {_IS_VISIBLE}"

GET_CONTENT = f"""
SELECT {_VISIBLE_BLOB}, {BLOB_PLACE} {_VISIBLE_FROM} WHERE b.cas_id = $1 AND {_IS_VISIBLE}
"""

LIST = f"""
SELECT v.*
  FROM (SELECT unnest($1::bytea[]) AS cas_id
         UNION
        SELECT s.cas_id FROM unnest($3::bytea[]) AS n (sha256) CROSS JOIN LATERAL (
               SELECT cas_id FROM cas_blob WHERE sha256 = n.sha256 LIMIT 1) s) n
 CROSS JOIN LATERAL (
       SELECT {_VISIBLE_BLOB} {_VISIBLE_FROM}
        WHERE b.cas_id = n.cas_id AND {_IS_VISIBLE} LIMIT 1) v
"""

LIST_NAMES = f"""
SELECT b.cas_id, b.sha256 {_VISIBLE_FROM}
 WHERE (b.cas_id = ANY($1::bytea[]) OR b.sha256 = ANY($3::bytea[]))
   AND b.quarantined_at IS NULL AND {_IS_VISIBLE}
"""


class VisibleBlobRepository:
    """Rows of cas_blob, as the leases and artifacts of a namespace show them."""

    async def get(self, conn: Connection, namespace: str, cas_id: CasId) -> Blob | None:
        row = await conn.fetchrow(GET, cas_id.raw, namespace)
        return blob_of(row) if row else None

    async def get_content(
        self, conn: Connection, namespace: str, cas_id: CasId
    ) -> BlobContent | None:
        row = await conn.fetchrow(GET_CONTENT, cas_id.raw, namespace)
        return content_of(row) if row else None

    async def list_blobs(
        self, conn: Connection, namespace: str, names: Sequence[BlobName]
    ) -> list[Blob]:
        """Those that are visible, in no order."""
        rows = await conn.fetch(LIST, *_listed(namespace, names))
        return [blob_of(row) for row in rows]

    async def list_names(
        self, conn: Connection, namespace: str, names: Sequence[BlobName]
    ) -> set[BlobName]:
        """Both names of those that are visible and not in quarantine."""
        rows = await conn.fetch(LIST_NAMES, *_listed(namespace, names))
        found: set[BlobName] = {CasId(row["cas_id"]) for row in rows}
        return found | {Sha256(row["sha256"]) for row in rows if row["sha256"]}


def _listed(namespace: str, names: Sequence[BlobName]) -> tuple[list[bytes], str, list[bytes]]:
    cas_ids = [name.raw for name in names if isinstance(name, CasId)]
    digests = [name.raw for name in names if isinstance(name, Sha256)]
    return cas_ids, namespace, digests
