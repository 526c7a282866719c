"""SQL for resumable uploads: one statement per method, no decisions."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec

from orchestrator.core.database import Connection
from orchestrator.core.digest import BlobName, CasId, Sha256
from orchestrator.models.transfer.upload import NewUpload, OpenUploads, Part, Upload

_SHA256_BYTES = 32

COLUMNS = """upload_id, namespace, media_type, expected, wants_sha256, metadata, size_bytes,
offset_bytes, parts, writer, cas_id, created_by, created_at, expires_at"""

COUNT_OPEN = """
SELECT count(*) FILTER (WHERE namespace = $1) AS in_namespace,
       count(*) FILTER (WHERE created_by = $2) AS of_caller,
       count(*) AS in_total
  FROM cas_upload
 WHERE cas_id IS NULL AND expires_at > now()
"""

INSERT = f"""
INSERT INTO cas_upload (upload_id, namespace, media_type, expected, wants_sha256, metadata,
                        size_bytes, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
RETURNING {COLUMNS}
"""

GET = f"""
SELECT {COLUMNS} FROM cas_upload
 WHERE upload_id = $1 AND namespace = $2 AND expires_at > now()
"""

# The row cannot change before the transaction writes.
GET_LOCKED = f"{GET} FOR UPDATE"

TAKE = f"""
UPDATE cas_upload
   SET writer = $2, parts = $3, size_bytes = $4, expires_at = now() + make_interval(secs => $5)
 WHERE upload_id = $1
RETURNING {COLUMNS}
"""

# Only the writer advances. With $4 it is the writer no more, and the next one is free to begin.
ADVANCE = f"""
UPDATE cas_upload
   SET offset_bytes = $3, writer = CASE WHEN $4 THEN NULL ELSE writer END,
       expires_at = now() + make_interval(secs => $5)
 WHERE upload_id = $1 AND writer = $2
RETURNING {COLUMNS}
"""

EXTEND = f"""
UPDATE cas_upload SET expires_at = now() + make_interval(secs => $2)
 WHERE upload_id = $1
RETURNING {COLUMNS}
"""

COMPLETE = f"""
UPDATE cas_upload
   SET cas_id = $2, writer = NULL, parts = '[]', expires_at = now() + make_interval(secs => $3)
 WHERE upload_id = $1 AND cas_id IS NULL
RETURNING {COLUMNS}
"""

DELETE = f"DELETE FROM cas_upload WHERE upload_id = $1 AND namespace = $2 RETURNING {COLUMNS}"


class UploadRepository:
    """Rows of cas_upload. The caller owns the transaction."""

    async def count_open(self, conn: Connection, namespace: str, caller: str) -> OpenUploads:
        """Uploads that are being created at this moment by others are not counted."""
        row = await conn.fetchrow(COUNT_OPEN, namespace, caller)
        assert row is not None  # An aggregate has one.
        return OpenUploads(**row)

    async def insert(self, conn: Connection, new: NewUpload, seconds: float) -> Upload:
        expected = new.expected.raw if new.expected else None
        row = await conn.fetchrow(
            INSERT,
            new.upload_id,
            new.namespace,
            new.media_type,
            expected,
            new.wants_sha256,
            new.metadata,
            new.size_bytes,
            new.created_by,
            seconds,
        )
        upload = _upload(row)
        assert upload is not None  # Nothing can conflict with a new id.
        return upload

    async def get(self, conn: Connection, namespace: str, upload_id: UUID) -> Upload | None:
        return _upload(await conn.fetchrow(GET, upload_id, namespace))

    async def get_locked(self, conn: Connection, namespace: str, upload_id: UUID) -> Upload | None:
        """The upload, locked until the transaction ends."""
        return _upload(await conn.fetchrow(GET_LOCKED, upload_id, namespace))

    async def take(
        self,
        conn: Connection,
        upload_id: UUID,
        writer: UUID,
        parts: Sequence[Part],
        size_bytes: int | None,
        seconds: float,
    ) -> Upload | None:
        """Make this request the writer in the place of any other."""
        columns = msgspec.to_builtins(parts)
        return _upload(await conn.fetchrow(TAKE, upload_id, writer, columns, size_bytes, seconds))

    async def advance(
        self,
        conn: Connection,
        upload_id: UUID,
        writer: UUID,
        offset_bytes: int,
        seconds: float,
        *,
        release: bool,
    ) -> Upload | None:
        """None if this request is not the writer any more."""
        values = (upload_id, writer, offset_bytes, release, seconds)
        return _upload(await conn.fetchrow(ADVANCE, *values))

    async def extend(self, conn: Connection, upload_id: UUID, seconds: float) -> Upload | None:
        return _upload(await conn.fetchrow(EXTEND, upload_id, seconds))

    async def complete(
        self, conn: Connection, upload_id: UUID, cas_id: CasId, seconds: float
    ) -> Upload | None:
        """None if it is complete already, or gone."""
        return _upload(await conn.fetchrow(COMPLETE, upload_id, cas_id.raw, seconds))

    async def delete(self, conn: Connection, namespace: str, upload_id: UUID) -> Upload | None:
        """The upload that was deleted, whether expired or not; None if there is none."""
        return _upload(await conn.fetchrow(DELETE, upload_id, namespace))


def _upload(row: asyncpg.Record | None) -> Upload | None:
    if row is None:
        return None
    columns = dict(row)
    columns["expected"] = _name(row["expected"])
    columns["parts"] = msgspec.convert(row["parts"], tuple[Part, ...])
    columns["cas_id"] = CasId(row["cas_id"]) if row["cas_id"] else None
    return Upload(**columns)


def _name(raw: bytes | None) -> BlobName | None:
    """A cas id begins with the byte of its algorithm."""
    if raw is None:
        return None
    return Sha256(raw) if len(raw) == _SHA256_BYTES else CasId(raw)
