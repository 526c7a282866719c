"""SQL for verification: one statement per method, no decisions."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId, Sha256
from orchestrator.models.cas import Placement
from orchestrator.models.upkeep.verify import BlobRecord, BlobState, StaleUpload

# A page has three bounds: the number of its rows, the memory that they take here, and the bytes
# that are read because of them. The first row is always in it. Values that PostgreSQL stores apart
# from their row are not fetched to learn their length.
LIST_BLOBS = """
SELECT cas_id, size_bytes, sha256, quarantined_at IS NOT NULL AS quarantined,
       storage_key, segments, stored_bytes, encoding,
       octet_length(content) AS content_bytes, CASE WHEN $3 THEN content END AS content
  FROM (SELECT b.*,
               sum(octet_length(CASE WHEN $3 THEN coalesce(content, segments) ELSE segments END))
                   OVER earlier AS memory_before,
               sum(CASE WHEN $3 THEN size_bytes END) OVER earlier AS read_before
          FROM (SELECT * FROM cas_blob WHERE cas_id > $1 ORDER BY cas_id LIMIT $2) b
        WINDOW earlier AS (ORDER BY cas_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) page
 WHERE coalesce(memory_before, 0) < $4 AND coalesce(read_before, 0) < $5
 ORDER BY cas_id
"""

# Exact where that is cheap; PostgreSQL's own estimate where a count would take seconds.
COUNT_BLOBS = """
SELECT CASE WHEN reltuples > 1000000 THEN reltuples::bigint
            ELSE (SELECT count(*) FROM cas_blob) END
  FROM pg_class WHERE oid = 'cas_blob'::regclass
"""

# Locked, so that it stays as it is seen until the verdict is written.
GET_STATE = """
SELECT storage_key, quarantined_at IS NOT NULL AS quarantined, sha256(content) AS content_sha256
  FROM cas_blob WHERE cas_id = $1 FOR NO KEY UPDATE
"""

CLEAR_SHA256 = """
UPDATE cas_blob SET sha256 = NULL WHERE cas_id = $1 AND sha256 = $2 RETURNING cas_id
"""

LIST_KEYS = "SELECT storage_key FROM cas_blob WHERE storage_key = ANY($1::text[])"

LIST_STAGES = """
SELECT part->>'stage' AS stage FROM cas_upload, jsonb_array_elements(parts) part
 WHERE upload_id = ANY($1::uuid[]) AND expires_at > now() - make_interval(secs => $2)
"""

LIST_STALE = """
SELECT upload_id, offset_bytes, cas_id IS NOT NULL AS complete, expires_at FROM cas_upload
 WHERE upload_id > $1 AND expires_at <= now() - make_interval(secs => $2)
 ORDER BY upload_id LIMIT $3
"""

DELETE_STALE = """
DELETE FROM cas_upload
 WHERE upload_id = ANY($1::uuid[]) AND expires_at <= now() - make_interval(secs => $2)
RETURNING upload_id
"""


class VerifyRepository:
    """Rows of cas_blob and cas_upload of all namespaces. The caller owns the transaction."""

    async def list_blobs(
        self,
        conn: Connection,
        after: bytes,
        limit: int,
        *,
        with_content: bool,
        memory_bytes_max: int,
        read_bytes_max: int,
    ) -> list[BlobRecord]:
        """Blobs whose names come after this one, in the order of their names."""
        rows = await conn.fetch(
            LIST_BLOBS, after, limit, with_content, memory_bytes_max, read_bytes_max
        )
        return [_record(row) for row in rows]

    async def count_blobs(self, conn: Connection) -> int:
        """About how many blobs there are."""
        return int(await conn.fetchval(COUNT_BLOBS))

    async def get_state(self, conn: Connection, cas_id: CasId) -> BlobState | None:
        """The row as it is now, locked until the transaction ends."""
        row = await conn.fetchrow(GET_STATE, cas_id.raw)
        return BlobState(**row) if row else None

    async def clear_sha256(self, conn: Connection, cas_id: CasId, sha256: Sha256) -> bool:
        """False if the row has another SHA-256 by now, or none."""
        return await conn.fetchval(CLEAR_SHA256, cas_id.raw, sha256.raw) is not None

    async def list_keys(self, conn: Connection, keys: Sequence[str]) -> set[str]:
        """Which of the keys have a blob."""
        return {row["storage_key"] for row in await conn.fetch(LIST_KEYS, keys)}

    async def list_stages(
        self, conn: Connection, upload_ids: Sequence[UUID], seconds: float
    ) -> set[str]:
        """The stages of these uploads, without uploads that expired at least so long ago."""
        return {row["stage"] for row in await conn.fetch(LIST_STAGES, upload_ids, seconds)}

    async def list_stale(
        self, conn: Connection, after: UUID, seconds: float, limit: int
    ) -> list[StaleUpload]:
        """Uploads that expired at least so long ago."""
        rows = await conn.fetch(LIST_STALE, after, seconds, limit)
        return [StaleUpload(**row) for row in rows]

    async def delete_stale(
        self, conn: Connection, upload_ids: Sequence[UUID], seconds: float
    ) -> set[UUID]:
        """Which of the uploads were deleted; one that was prolonged meanwhile stays."""
        return {row["upload_id"] for row in await conn.fetch(DELETE_STALE, upload_ids, seconds)}


def _record(row: asyncpg.Record) -> BlobRecord:
    key = row["storage_key"]
    placement = None
    if key is not None:
        placement = Placement(
            storage_key=key,
            segments=row["segments"],
            stored_bytes=row["stored_bytes"],
            encoding=row["encoding"],
        )
    return BlobRecord(
        cas_id=CasId(row["cas_id"]),
        size_bytes=row["size_bytes"],
        sha256=Sha256(row["sha256"]) if row["sha256"] else None,
        quarantined=row["quarantined"],
        placement=placement,
        content_bytes=row["content_bytes"],
        content=row["content"],
    )
