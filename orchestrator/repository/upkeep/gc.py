"""SQL for garbage collection: one statement per method, no decisions.

Indexed lookups for one row tell whether an artifact stays by itself. Only for one that does not, a
walk finds out what stands on it. A page is judged from one snapshot, and later statements that
delete judge again.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.models.artifact_manifest import ABOUT
from orchestrator.models.upkeep.gc import (
    Annotated,
    ArtifactCandidate,
    BlobCandidate,
    DeletedBlob,
    Grace,
    RetainedReason,
    Root,
    WalkStep,
)

_COLUMNS = "artifact_id, namespace, kind, created_at"


def _why_it_stays(grace: str, run_grace: str) -> str:
    """Why the artifact `a` stays by itself. Moves of tags are read only if none names it now."""
    return f"""
  LEFT JOIN LATERAL (
       SELECT t.name FROM tag t
        WHERE t.namespace = a.namespace AND t.target_id = a.artifact_id LIMIT 1) t ON true
  LEFT JOIN LATERAL (
       SELECT m.name, m.seq FROM tag_move m
        WHERE t.name IS NULL AND m.namespace = a.namespace AND m.to_id = a.artifact_id
        LIMIT 1) m ON true
 CROSS JOIN LATERAL (SELECT
       CASE WHEN t.name IS NOT NULL THEN 'named'
            WHEN m.name IS NOT NULL THEN 'was-named'
            WHEN EXISTS (SELECT FROM artifact_retained k WHERE k.artifact_id = a.artifact_id)
            THEN 'retained'
            WHEN a.created_at > now() - make_interval(secs => {grace}) THEN 'young'
            WHEN a.kind IN ('run_manifest', 'run_snapshot')
             AND a.created_at > now() - make_interval(secs => {run_grace}) THEN 'young-run'
        END AS reason) r
"""


LIST_ARTIFACTS = f"""
SELECT a.artifact_id, a.namespace, a.kind, a.artifact_id AS root_id, a.namespace AS root_namespace,
       r.reason, coalesce(t.name, m.name) AS tag, m.seq
  FROM (SELECT {_COLUMNS} FROM artifact WHERE artifact_id < $1
         ORDER BY artifact_id DESC LIMIT $2) a
  {_why_it_stays(grace="$3", run_grace="$4")}
 ORDER BY a.artifact_id DESC
"""

# What stands on an artifact directly.


def _children(columns: str, of: str) -> str:
    """What is made from an artifact."""
    return f"""
       SELECT {columns} FROM artifact
        WHERE namespace = {of}.namespace AND base_id = {of}.artifact_id
        UNION ALL
       SELECT {columns} FROM artifact
        WHERE namespace = {of}.namespace AND previous_id = {of}.artifact_id
        UNION ALL
       SELECT {columns} FROM lineage JOIN artifact ON artifact_id = child_id
        WHERE parent_id = {of}.artifact_id
"""


_ROOT_ABOVE = f"""
  LEFT JOIN LATERAL (
       SELECT a.artifact_id AS root_id, a.namespace AS root_namespace, r.reason,
              coalesce(t.name, m.name) AS tag, m.seq
         FROM ({_children(columns=_COLUMNS, of="n")}) a
         {_why_it_stays(grace="$2", run_grace="$3")}
        WHERE r.reason IS NOT NULL LIMIT 1) root ON true
"""

# Nearest first, and not beyond an artifact on which one stands that stays by itself: for a base
# with many patches, one is enough. Each edge is walked once, so that a chain costs its length.
WALK = f"""
WITH RECURSIVE walk AS (
    SELECT n.artifact_id, n.namespace, NULL::uuid AS parent_id, root.*
      FROM artifact n {_ROOT_ABOVE}
     WHERE n.artifact_id = ANY($1::uuid[])
     UNION
    SELECT n.artifact_id, n.namespace, w.artifact_id, root.*
      FROM walk w
     CROSS JOIN LATERAL (
           {_children(columns="artifact_id, namespace", of="w")}) n
      {_ROOT_ABOVE}
     WHERE w.root_id IS NULL
)
SELECT artifact_id, parent_id, root_id, root_namespace, reason, tag, seq FROM walk
"""

# Each annotation below these artifacts, also one about another, and each that one of those is
# about, with all that it is about.
LIST_ANNOTATED = f"""
WITH RECURSIVE below (id) AS (
    SELECT unnest($1::uuid[])
     UNION
    SELECT l.child_id FROM below b CROSS JOIN LATERAL (
           SELECT child_id FROM lineage
            WHERE parent_id = b.id AND relation = '{ABOUT}' OFFSET 0) l
), above (id) AS (
    SELECT id FROM below
     UNION
    SELECT l.parent_id FROM above b CROSS JOIN LATERAL (
           SELECT parent_id FROM lineage
            WHERE child_id = b.id AND relation = '{ABOUT}' OFFSET 0) l
)
SELECT a.artifact_id, a.namespace, a.kind,
       s.artifact_id AS subject_id, s.namespace AS subject_namespace, s.kind AS subject_kind
  FROM above b
 CROSS JOIN LATERAL (
       SELECT parent_id FROM lineage WHERE child_id = b.id AND relation = '{ABOUT}' OFFSET 0) l
 CROSS JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = b.id LIMIT 1) a
 CROSS JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = l.parent_id LIMIT 1) s
"""

LIST_ROOTS = f"""
SELECT a.artifact_id, a.namespace, a.kind, a.artifact_id AS root_id, a.namespace AS root_namespace,
       r.reason, coalesce(t.name, m.name) AS tag, m.seq
  FROM unnest($1::uuid[]) AS n (id)
 CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM artifact WHERE artifact_id = n.id LIMIT 1) a
  {_why_it_stays(grace="$2", run_grace="$3")}
"""

LOCK_ARTIFACTS = """
SELECT artifact_id FROM artifact WHERE artifact_id = ANY($1::uuid[])
 ORDER BY artifact_id DESC FOR UPDATE SKIP LOCKED
"""

# No new row can refer to a locked artifact. So if no row refers to it now, none ever will. It was
# judged too old to stay before, and cannot become younger.
_IS_FREE = """
       NOT EXISTS (SELECT FROM tag_move m
                    WHERE m.namespace = a.namespace AND m.to_id = a.artifact_id)
   AND NOT EXISTS (SELECT FROM artifact_retained k WHERE k.artifact_id = a.artifact_id)
   AND NOT EXISTS (SELECT FROM artifact c
                    WHERE c.namespace = a.namespace AND c.base_id = a.artifact_id)
   AND NOT EXISTS (SELECT FROM artifact c
                    WHERE c.namespace = a.namespace AND c.previous_id = a.artifact_id)
"""
DELETE_ARTIFACT = f"""
DELETE FROM artifact a
 WHERE a.artifact_id = $1 AND {_IS_FREE}
   AND NOT EXISTS (SELECT FROM lineage l WHERE l.parent_id = a.artifact_id)
RETURNING a.artifact_id
"""

LIST_FREE = f"""
SELECT a.artifact_id FROM unnest($1::uuid[]) AS n (id)
 CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM artifact WHERE artifact_id = n.id LIMIT 1) a
 WHERE {_IS_FREE}
   AND NOT EXISTS (SELECT FROM lineage l
                    WHERE l.parent_id = a.artifact_id AND l.relation <> '{ABOUT}')
"""

# The artifacts of any namespace whose bytes, or a part of them, are the blob.


def _holders(columns: str) -> str:
    """The artifacts that have a blob `b`."""
    return f"""
       SELECT {columns} FROM artifact WHERE cas_id = b.cas_id
        UNION ALL
       SELECT {columns} FROM artifact WHERE version_hash = b.cas_id
        UNION ALL
       SELECT {columns} FROM artifact_blob x JOIN artifact USING (artifact_id)
        WHERE x.cas_id = b.cas_id
"""


_STORED_BYTES = "coalesce(b.stored_bytes, octet_length(b.content)) AS stored_bytes"
# There are few, without an index by blob: they are read once for all blobs of a page.
_UPLOADED = "SELECT cas_id FROM cas_upload WHERE cas_id IS NOT NULL AND expires_at > now()"

LIST_BLOBS = f"""
SELECT b.cas_id, b.size_bytes, b.stored_bytes, h.artifact_id, l.namespace, l.expires_at AS until,
       u.upload_id,
       CASE WHEN h.artifact_id IS NOT NULL THEN 'content'
            WHEN l.namespace IS NOT NULL THEN 'leased'
            WHEN u.upload_id IS NOT NULL THEN 'uploaded'
            WHEN b.created_at > now() - make_interval(secs => $3) THEN 'young'
        END AS reason
  FROM (SELECT b.cas_id, b.size_bytes, b.created_at, {_STORED_BYTES} FROM cas_blob b
         WHERE b.cas_id > $1 ORDER BY b.cas_id LIMIT $2) b
  LEFT JOIN LATERAL (
       SELECT a.artifact_id FROM ({_holders(columns=_COLUMNS)}) a
         {_why_it_stays(grace="$3", run_grace="$4")}
        WHERE r.reason IS NOT NULL LIMIT 1) h ON true
  LEFT JOIN LATERAL (
       SELECT l.namespace, l.expires_at FROM cas_lease l
        WHERE h.artifact_id IS NULL AND l.cas_id = b.cas_id AND l.expires_at > now()
        ORDER BY l.expires_at DESC LIMIT 1) l ON true
  LEFT JOIN (SELECT DISTINCT ON (cas_id) cas_id, upload_id FROM cas_upload
              WHERE cas_id IN ({_UPLOADED}) ORDER BY cas_id, upload_id) u USING (cas_id)
 ORDER BY b.cas_id
"""

LIST_HOLDERS = f"""
SELECT b.cas_id, a.artifact_id
  FROM unnest($1::bytea[]) AS b (cas_id)
 CROSS JOIN LATERAL ({_holders(columns="artifact_id")}) a
 ORDER BY b.cas_id, a.artifact_id DESC
"""

LOCK_BLOBS = """
SELECT cas_id FROM cas_blob WHERE cas_id = ANY($1::bytea[])
 ORDER BY cas_id FOR UPDATE SKIP LOCKED
"""

# No new row can refer to a locked blob. Without the condition on leases, a new lease would silently
# be deleted with its blob.
DELETE_BLOBS = f"""
DELETE FROM cas_blob b
 WHERE b.cas_id = ANY($1::bytea[])
   AND b.created_at <= now() - make_interval(secs => $2)
   AND NOT EXISTS (SELECT FROM artifact a WHERE a.cas_id = b.cas_id)
   AND NOT EXISTS (SELECT FROM artifact a WHERE a.version_hash = b.cas_id)
   AND NOT EXISTS (SELECT FROM artifact_blob x WHERE x.cas_id = b.cas_id)
   AND NOT EXISTS (SELECT FROM cas_lease l WHERE l.cas_id = b.cas_id AND l.expires_at > now())
   AND b.cas_id NOT IN ({_UPLOADED})
RETURNING b.cas_id, b.storage_key, b.size_bytes, {_STORED_BYTES}
"""


class GCRepository:
    """Rows of artifact and cas_blob that may be garbage. The caller owns the transaction."""

    async def list_artifacts(
        self, conn: Connection, before: UUID, limit: int, grace: Grace
    ) -> list[ArtifactCandidate]:
        """Artifacts older than `before`, newest first."""
        rows = await conn.fetch(LIST_ARTIFACTS, before, limit, grace.seconds, grace.run_seconds)
        return [_candidate(row) for row in rows]

    async def list_roots(
        self, conn: Connection, artifact_ids: Sequence[UUID], grace: Grace
    ) -> list[ArtifactCandidate]:
        """Whether these stay by themselves, in no order."""
        rows = await conn.fetch(LIST_ROOTS, artifact_ids, grace.seconds, grace.run_seconds)
        return [_candidate(row) for row in rows]

    async def list_annotated(
        self, conn: Connection, artifact_ids: Sequence[UUID]
    ) -> list[Annotated]:
        """The annotations among and below these, and those that they are about, each with each of
        the artifacts that it is about.
        """
        return [
            Annotated(
                annotation=ArtifactCandidate(
                    artifact_id=row["artifact_id"], namespace=row["namespace"], kind=row["kind"]
                ),
                subject=ArtifactCandidate(
                    artifact_id=row["subject_id"],
                    namespace=row["subject_namespace"],
                    kind=row["subject_kind"],
                ),
            )
            for row in await conn.fetch(LIST_ANNOTATED, artifact_ids)
        ]

    async def list_free(self, conn: Connection, artifact_ids: Sequence[UUID]) -> set[UUID]:
        """Those to which nothing refers, but for annotations."""
        return {row["artifact_id"] for row in await conn.fetch(LIST_FREE, artifact_ids)}

    async def walk(
        self, conn: Connection, artifact_ids: Sequence[UUID], grace: Grace
    ) -> list[WalkStep]:
        """The way from these to what stands on them, up to the first that stays by itself."""
        rows = await conn.fetch(WALK, artifact_ids, grace.seconds, grace.run_seconds)
        return [
            WalkStep(artifact_id=row["artifact_id"], parent_id=row["parent_id"], root=_root(row))
            for row in rows
        ]

    async def lock_artifacts(self, conn: Connection, artifact_ids: Sequence[UUID]) -> list[UUID]:
        """Newest first, without those that another transaction refers to or deletes now."""
        rows = await conn.fetch(LOCK_ARTIFACTS, artifact_ids)
        return [row["artifact_id"] for row in rows]

    async def delete_artifact(self, conn: Connection, artifact_id: UUID) -> bool:
        """False if something refers to it."""
        return await conn.fetchval(DELETE_ARTIFACT, artifact_id) is not None

    async def list_blobs(
        self, conn: Connection, after: bytes, limit: int, grace: Grace
    ) -> list[BlobCandidate]:
        """Blobs whose names come after this one, in the order of their names."""
        rows = await conn.fetch(LIST_BLOBS, after, limit, grace.seconds, grace.run_seconds)
        return [
            BlobCandidate(
                **{**row, "reason": RetainedReason(row["reason"]) if row["reason"] else None}
            )
            for row in rows
        ]

    async def list_holders(
        self, conn: Connection, cas_ids: Sequence[bytes]
    ) -> list[tuple[bytes, UUID]]:
        """Each blob with each artifact that has it."""
        rows = await conn.fetch(LIST_HOLDERS, cas_ids)
        return [(row["cas_id"], row["artifact_id"]) for row in rows]

    async def lock_blobs(self, conn: Connection, cas_ids: Sequence[bytes]) -> list[bytes]:
        """Lock the blobs, without those that another transaction refers to or deletes now."""
        return [row["cas_id"] for row in await conn.fetch(LOCK_BLOBS, cas_ids)]

    async def delete_blobs(
        self, conn: Connection, cas_ids: Sequence[bytes], grace: Grace
    ) -> list[DeletedBlob]:
        """Delete those to which nothing refers; an expired lease goes with its blob."""
        rows = await conn.fetch(DELETE_BLOBS, cas_ids, grace.seconds)
        return [DeletedBlob(**row) for row in rows]


def _candidate(row: asyncpg.Record) -> ArtifactCandidate:
    return ArtifactCandidate(
        artifact_id=row["artifact_id"],
        namespace=row["namespace"],
        kind=row["kind"],
        root=_root(row),
    )


def _root(row: asyncpg.Record) -> Root | None:
    if row["reason"] is None:
        return None
    return Root(
        artifact_id=row["root_id"],
        namespace=row["root_namespace"],
        reason=RetainedReason(row["reason"]),
        tag=row["tag"],
        tag_version=row["seq"],
    )
