"""SQL for blobs and leases: one statement per method, no decisions."""

from collections.abc import Sequence

import asyncpg

from orchestrator.database import Connection
from orchestrator.digest import CasId
from orchestrator.models.cas import (
    PATCH_OPERATIONS,
    RUN_MANIFEST,
    RUN_SNAPSHOT,
    WORKFLOW,
    Blob,
    BlobContent,
)

COLUMNS = "cas_id, size_bytes, media_type, created_at, content IS NOT NULL AS inline"

INSERT = f"""
INSERT INTO cas_blob (cas_id, size_bytes, media_type, content) VALUES ($1, $2, $3, $4)
ON CONFLICT (cas_id) DO NOTHING
RETURNING {COLUMNS}
"""

GET = f"SELECT {COLUMNS} FROM cas_blob WHERE cas_id = $1"

# A blob is visible to a namespace through an artifact of it or an upload that is still leased.
HELD = """
   (l.expires_at > now() OR a.created_at IS NOT NULL
 OR EXISTS (SELECT FROM artifact_blob x JOIN artifact y USING (artifact_id)
             WHERE x.cas_id = b.cas_id AND y.namespace = $2))
"""

# A namespace sees what its own artifacts and uploads say of a blob, never what another's do.
HELD_COLUMNS = """b.cas_id, b.size_bytes,
coalesce(a.media_type, l.media_type, b.media_type) AS media_type,
coalesce(least(a.created_at, l.created_at), b.created_at) AS created_at,
b.content IS NOT NULL AS inline"""
HELD_FROM = f"""
  FROM cas_blob b
  LEFT JOIN cas_lease l ON l.cas_id = b.cas_id AND l.namespace = $2
  LEFT JOIN LATERAL (
       SELECT CASE WHEN a.version_hash = b.cas_id THEN '{WORKFLOW}'
                   WHEN a.kind = 'patch_set' THEN '{PATCH_OPERATIONS}'
                   WHEN a.kind = 'run_manifest' THEN '{RUN_MANIFEST}'
                   WHEN a.kind = 'run_snapshot' THEN '{RUN_SNAPSHOT}' END AS media_type,
              a.created_at
         FROM artifact a
        WHERE (a.cas_id = b.cas_id OR a.version_hash = b.cas_id) AND a.namespace = $2
        ORDER BY a.created_at LIMIT 1) a ON true
"""

GET_HELD = f"SELECT {HELD_COLUMNS} {HELD_FROM} WHERE b.cas_id = $1 AND {HELD}"

GET_HELD_CONTENT = f"SELECT {HELD_COLUMNS}, b.content {HELD_FROM} WHERE b.cas_id = $1 AND {HELD}"

LIST_CONTENT = f"SELECT {COLUMNS}, content FROM cas_blob WHERE cas_id = ANY($1::bytea[])"

LIST_HELD = f"SELECT b.cas_id {HELD_FROM} WHERE b.cas_id = ANY($1::bytea[]) AND {HELD}"

PUT_LEASE = """
INSERT INTO cas_lease (cas_id, namespace, media_type, expires_at)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
ON CONFLICT (cas_id, namespace) DO UPDATE
   SET expires_at = greatest(cas_lease.expires_at, excluded.expires_at)
"""


class CASRepository:
    """Rows of cas_blob and cas_lease. The caller owns the transaction."""

    async def insert(
        self, conn: Connection, cas_id: CasId, media_type: str, content: bytes
    ) -> Blob | None:
        """None when the blob is there already; a concurrent insert of it is waited for."""
        row = await conn.fetchrow(INSERT, cas_id.raw, len(content), media_type, content)
        return _blob(row) if row else None

    async def get(self, conn: Connection, cas_id: CasId) -> Blob | None:
        row = await conn.fetchrow(GET, cas_id.raw)
        return _blob(row) if row else None

    async def get_held(self, conn: Connection, namespace: str, cas_id: CasId) -> Blob | None:
        row = await conn.fetchrow(GET_HELD, cas_id.raw, namespace)
        return _blob(row) if row else None

    async def get_held_content(
        self, conn: Connection, namespace: str, cas_id: CasId
    ) -> BlobContent | None:
        row = await conn.fetchrow(GET_HELD_CONTENT, cas_id.raw, namespace)
        return BlobContent(blob=_blob(row), content=row["content"]) if row else None

    async def list_content(self, conn: Connection, cas_ids: Sequence[CasId]) -> list[BlobContent]:
        """Those of the blobs that exist, in no order."""
        rows = await conn.fetch(LIST_CONTENT, [cas_id.raw for cas_id in cas_ids])
        return [BlobContent(blob=_blob(row), content=row["content"]) for row in rows]

    async def list_held(
        self, conn: Connection, namespace: str, cas_ids: Sequence[CasId]
    ) -> set[CasId]:
        rows = await conn.fetch(LIST_HELD, [cas_id.raw for cas_id in cas_ids], namespace)
        return {CasId(row["cas_id"]) for row in rows}

    async def put_lease(
        self, conn: Connection, namespace: str, cas_id: CasId, media_type: str, seconds: float
    ) -> None:
        """A lease never gets shorter, and keeps what the first upload said."""
        await conn.execute(PUT_LEASE, cas_id.raw, namespace, media_type, seconds)


def _blob(row: asyncpg.Record) -> Blob:
    return Blob(
        cas_id=CasId(row["cas_id"]),
        size_bytes=row["size_bytes"],
        media_type=row["media_type"],
        created_at=row["created_at"],
        inline=row["inline"],
    )
