"""SQL for blobs and leases: one statement per method, no decisions."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId, Sha256
from orchestrator.models.cas import (
    Blob,
    BlobContent,
    BlobUpload,
    Placement,
    Received,
)
from orchestrator.repository.brief import BRIEF_WAIT
from orchestrator.repository.columns import columns

_BLOB = """b.cas_id, b.size_bytes, b.media_type, b.created_at, b.content IS NOT NULL AS inline,
b.sha256, b.quarantined_at IS NOT NULL AS quarantined"""
BLOB_PLACE = columns("b", "content", "storage_key", "segments", "stored_bytes", "encoding")


def blobs_inserted(source: str, *names: str) -> str:
    """The blobs in the rows of `source`, which has these columns and `at`, as far as they are not
    there yet, of equal ones the first; in the order of their names, so that two who store the same
    ones cannot deadlock.
    """
    return f"""
INSERT INTO cas_blob ({", ".join(names)})
SELECT {columns("n", *names)} FROM {source} n ORDER BY n.cas_id, n.at
ON CONFLICT (cas_id) DO NOTHING
"""


_RECEIVED = (
    "cas_id",
    "size_bytes",
    "media_type",
    "sha256",
    "content",
    "storage_key",
    "segments",
    "stored_bytes",
    "encoding",
)

INSERT = f"""
WITH received AS (
    SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[],
                         $6::text[], $7::bytea[], $8::bigint[], $9::text[]) WITH ORDINALITY
        AS n ({", ".join(_RECEIVED)}, at)
)
{blobs_inserted("received", *_RECEIVED)}
RETURNING cas_id, created_at
"""

# Blobs that are there already get no lease here: first it must be known what they are like.
INSERT_LEASED = f"""
WITH received AS (
    SELECT n.*, octet_length(n.content) AS size_bytes
      FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[]) WITH ORDINALITY
        AS n (cas_id, media_type, content, namespace, at), {BRIEF_WAIT}
), new AS (
    {blobs_inserted("received", "cas_id", "size_bytes", "media_type", "content")}
    RETURNING cas_id, media_type
)
INSERT INTO cas_lease (cas_id, namespace, media_type, expires_at)
SELECT new.cas_id, r.namespace, new.media_type, now() + make_interval(secs => $5)
  FROM received r JOIN new USING (cas_id)
RETURNING cas_id, created_at
"""

# The lock keeps the garbage collector away until what refers to the blob is committed too.
# What came under the same name and is not the same bytes proves that those here are damaged.
LIST_LOCKED = f"""
SELECT {_BLOB}, coalesce(b.content <> n.content, false) AS differs
  FROM (SELECT * FROM unnest($1::bytea[], $2::bytea[]) AS n (cas_id, content)
         ORDER BY cas_id) n
 CROSS JOIN LATERAL (SELECT * FROM cas_blob WHERE cas_id = n.cas_id FOR KEY SHARE) b
"""

# The bytes came again: for a blob that was damaged, or that a lookup must find inline.
REPLACE = """
UPDATE cas_blob SET content = $2, size_bytes = octet_length($2::bytea), encoding = NULL,
                    storage_key = NULL, segments = NULL, stored_bytes = NULL,
                    quarantined_at = NULL, quarantine_reason = NULL
 WHERE cas_id = $1
"""

REPLACE_PLACED = """
UPDATE cas_blob SET content = NULL, storage_key = $2, segments = $3, stored_bytes = $4,
                    encoding = $5, quarantined_at = NULL, quarantine_reason = NULL
 WHERE cas_id = $1 AND quarantined_at IS NOT NULL
RETURNING cas_id
"""

# Only what was seen to be damaged: the blob may have been healed since.
QUARANTINE = """
UPDATE cas_blob SET quarantined_at = now(), quarantine_reason = $3
 WHERE cas_id = $1 AND storage_key IS NOT DISTINCT FROM $2 AND quarantined_at IS NULL
RETURNING cas_id
"""

RELEASE = """
UPDATE cas_blob SET quarantined_at = NULL, quarantine_reason = NULL
 WHERE cas_id = $1 AND storage_key IS NOT DISTINCT FROM $2 AND quarantined_at IS NOT NULL
RETURNING cas_id
"""

SET_SHA256 = "UPDATE cas_blob SET sha256 = $2 WHERE cas_id = $1 AND sha256 IS NULL"

GET_NAMED = "SELECT cas_id FROM cas_blob WHERE sha256 = $1"

LIST_CONTENT = f"""
SELECT {_BLOB}, {BLOB_PLACE} FROM cas_blob b WHERE cas_id = ANY($1::bytea[])
"""

SUM_SIZES = (
    "SELECT coalesce(sum(size_bytes), 0)::bigint FROM cas_blob WHERE cas_id = ANY($1::bytea[])"
)

# Also to prolong a lease the blob is locked: deleting the blob would delete the lease with it.
PUT_LEASE = """
INSERT INTO cas_lease (cas_id, namespace, media_type, expires_at)
SELECT b.cas_id, $2, $3, now() + make_interval(secs => $4)
  FROM (SELECT cas_id FROM cas_blob WHERE cas_id = $1 FOR KEY SHARE) b
ON CONFLICT (cas_id, namespace) DO UPDATE
   SET expires_at = greatest(cas_lease.expires_at, excluded.expires_at)
RETURNING cas_id
"""


class CASRepository:
    """Rows of cas_blob and cas_lease. The caller owns the transaction."""

    async def insert(self, conn: Connection, contents: Sequence[Received]) -> dict[CasId, Blob]:
        """Those that were not there yet; a concurrent insert of one is waited for."""
        placements = [each.placement for each in contents]
        rows = await conn.fetch(
            INSERT,
            [each.cas_id.raw for each in contents],
            [each.size_bytes for each in contents],
            [each.media_type for each in contents],
            [each.sha256.raw if each.sha256 else None for each in contents],
            [each.content for each in contents],
            [each and each.storage_key for each in placements],
            [each and each.segments for each in placements],
            [each and each.stored_bytes for each in placements],
            [each and each.encoding for each in placements],
        )
        return _brought(contents, rows)

    async def insert_leased(
        self, conn: Connection, uploads: Sequence[BlobUpload], seconds: float
    ) -> dict[CasId, Blob]:
        """Those that were not there yet, each with a lease; each name once."""
        contents = [each.received for each in uploads]
        rows = await conn.fetch(
            INSERT_LEASED,
            [each.cas_id.raw for each in contents],
            [each.media_type for each in contents],
            [each.content for each in contents],
            [each.namespace for each in uploads],
            seconds,
        )
        return _brought(contents, rows)

    async def list_locked(
        self, conn: Connection, contents: Sequence[Received]
    ) -> dict[CasId, Blob]:
        """Those that are there: nobody can delete them before we commit. One whose bytes are not
        these is in quarantine too.
        """
        rows = await conn.fetch(
            LIST_LOCKED,
            [each.cas_id.raw for each in contents],
            [each.content for each in contents],
        )
        return {CasId(row["cas_id"]): _locked(row) for row in rows}

    async def replace(self, conn: Connection, received: Received) -> bool:
        """Let the blob be where the bytes are that came now; bytes in storage heal only."""
        if received.placement is None:
            await conn.execute(REPLACE, received.cas_id.raw, received.content)
            return True
        placed = _placed(received.placement)
        return await conn.fetchval(REPLACE_PLACED, received.cas_id.raw, *placed) is not None

    async def quarantine(
        self, conn: Connection, cas_id: CasId, storage_key: str | None, reason: str
    ) -> bool:
        """False if it is there already, or no longer where it was seen damaged."""
        return await conn.fetchval(QUARANTINE, cas_id.raw, storage_key, reason) is not None

    async def release(self, conn: Connection, cas_id: CasId, storage_key: str | None) -> bool:
        """Out of quarantine, if it is still where it was seen whole."""
        return await conn.fetchval(RELEASE, cas_id.raw, storage_key) is not None

    async def set_sha256(self, conn: Connection, cas_id: CasId, sha256: Sha256) -> None:
        """The second name, computed later."""
        await conn.execute(SET_SHA256, cas_id.raw, sha256.raw)

    async def get_named(self, conn: Connection, sha256: Sha256) -> CasId | None:
        """Who may see it is not checked here."""
        raw = await conn.fetchval(GET_NAMED, sha256.raw)
        return CasId(raw) if raw else None

    async def list_content(self, conn: Connection, cas_ids: Sequence[CasId]) -> list[BlobContent]:
        """Those of the blobs that exist, in no order."""
        rows = await conn.fetch(LIST_CONTENT, [cas_id.raw for cas_id in cas_ids])
        return [content_of(row) for row in rows]

    async def sum_sizes(self, conn: Connection, cas_ids: Sequence[CasId]) -> int:
        """How many bytes they have in all."""
        total: int = await conn.fetchval(SUM_SIZES, [cas_id.raw for cas_id in cas_ids])
        return total

    async def put_lease(
        self, conn: Connection, namespace: str, cas_id: CasId, media_type: str, seconds: float
    ) -> bool:
        """A lease never gets shorter, and keeps what the first upload said. False: no such blob."""
        row = await conn.fetchrow(PUT_LEASE, cas_id.raw, namespace, media_type, seconds)
        return row is not None


def _brought(contents: Sequence[Received], rows: Sequence[asyncpg.Record]) -> dict[CasId, Blob]:
    since = {CasId(cas_id): created_at for cas_id, created_at in rows}
    brought: dict[CasId, Blob] = {}
    for each in contents:  # Of equal ones the first was stored.
        if each.cas_id in since and each.cas_id not in brought:
            brought[each.cas_id] = _new_blob(each, since[each.cas_id])
    return brought


def _new_blob(received: Received, created_at: datetime) -> Blob:
    """A blob as its uploader sees it."""
    return Blob(
        cas_id=received.cas_id,
        size_bytes=received.size_bytes,
        media_type=received.media_type,
        created_at=created_at,
        inline=received.placement is None,
        sha256=received.sha256,
    )


def _placed(placement: Placement) -> tuple[str, bytes, int, str | None]:
    return (
        placement.storage_key,
        placement.segments,
        placement.stored_bytes,
        placement.encoding,
    )


def blob_of(row: asyncpg.Record) -> Blob:
    """The blob in a row that has all of its columns."""
    return Blob(
        cas_id=CasId(row["cas_id"]),
        size_bytes=row["size_bytes"],
        media_type=row["media_type"],
        created_at=row["created_at"],
        inline=row["inline"],
        sha256=Sha256(row["sha256"]) if row["sha256"] else None,
        quarantined=row["quarantined"],
    )


def _locked(row: asyncpg.Record) -> Blob:
    blob = blob_of(row)
    return msgspec.structs.replace(blob, quarantined=True) if row["differs"] else blob


def content_of(row: asyncpg.Record) -> BlobContent:
    """The blob in such a row, and where its bytes are."""
    key = row["storage_key"]
    if key is None:
        return BlobContent(blob=blob_of(row), content=row["content"])
    placement = Placement(
        storage_key=key,
        segments=row["segments"],
        stored_bytes=row["stored_bytes"],
        encoding=row["encoding"],
    )
    return BlobContent(blob=blob_of(row), placement=placement)
