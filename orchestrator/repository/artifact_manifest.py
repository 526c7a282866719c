"""SQL for artifacts that a manifest names: their files, meta and standing, one statement each."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact, Kind
from orchestrator.models.artifact_manifest import ABOUT, File, HeldBlobs, Parent
from orchestrator.repository.artifact import artifact_of
from orchestrator.repository.columns import columns

_ARTIFACT = columns("a", *Artifact.__struct_fields__)
#: As the index says it.
HAS_MANIFEST = "kind NOT IN ({})".format(", ".join(f"'{kind}'" for kind in Kind))

# Nobody can delete what is found before we commit.
LIST_LOCKED = f"""
SELECT {_ARTIFACT}
  FROM (SELECT * FROM unnest($1::text[], $2::bytea[]) AS n (namespace, version_hash)
         ORDER BY namespace, version_hash) n
 CROSS JOIN LATERAL (
       SELECT * FROM artifact
        WHERE namespace = n.namespace AND version_hash = n.version_hash AND {HAS_MANIFEST}
          FOR KEY SHARE) a
"""

# Blobs are locked in the order of their names, as by all who write them.
INSERT_FILES = """
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::bytea[], $4::text[], $5::text[])
        AS n (artifact_id, position, cas_id, name, media_type)
), there AS (
    SELECT b.cas_id FROM (SELECT DISTINCT cas_id FROM new ORDER BY cas_id) n
     CROSS JOIN LATERAL (SELECT cas_id FROM cas_blob WHERE cas_id = n.cas_id FOR KEY SHARE) b
)
INSERT INTO artifact_blob (artifact_id, role, position, cas_id, name, media_type)
SELECT artifact_id, 'file', position, cas_id, name, media_type FROM new JOIN there USING (cas_id)
RETURNING position
"""

INSERT_META = """
INSERT INTO artifact_meta (artifact_id, namespace, digest)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[]) ORDER BY 3, 2, 1
ON CONFLICT DO NOTHING
"""

# Those of an artifact that others may add to at the same time are added under a lock.
ADD_REFERENCES = """
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS n (artifact_id, cas_id, at)
), there AS (
    SELECT b.cas_id FROM (SELECT DISTINCT cas_id FROM new ORDER BY cas_id) n
     CROSS JOIN LATERAL (SELECT cas_id FROM cas_blob WHERE cas_id = n.cas_id FOR KEY SHARE) b
)
INSERT INTO artifact_blob (artifact_id, role, position, cas_id)
SELECT n.artifact_id, 'reference',
       row_number() OVER (PARTITION BY n.artifact_id ORDER BY n.at) - 1 + coalesce((
           SELECT max(position) + 1 FROM artifact_blob
            WHERE artifact_id = n.artifact_id AND role = 'reference'), 0), n.cas_id
  FROM new n JOIN there USING (cas_id)
ON CONFLICT (artifact_id, cas_id) WHERE role = 'reference' DO NOTHING
"""

LIST_REFERENCES = """
SELECT cas_id FROM artifact_blob
 WHERE artifact_id = $1 AND role = 'reference' ORDER BY position LIMIT $2
"""

# An artifact that stands for one of these contents: the first that had it.
LIST_CONTENTS = """
SELECT n.referring_id, a.artifact_id
  FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS n (referring_id, namespace, cas_id)
 CROSS JOIN LATERAL (
       SELECT artifact_id FROM artifact WHERE version_hash = n.cas_id AND namespace = n.namespace
        ORDER BY created_at LIMIT 1) a
"""

LIST_FILES = """
SELECT x.position, x.cas_id, x.name, x.media_type, b.size_bytes
  FROM artifact_blob x
 CROSS JOIN LATERAL (SELECT size_bytes FROM cas_blob WHERE cas_id = x.cas_id LIMIT 1) b
 WHERE x.artifact_id = $1 AND x.role = 'file' AND x.position > $2
 ORDER BY x.position LIMIT $3
"""

GET_FILE = """
SELECT x.cas_id, x.media_type FROM artifact_blob x
 WHERE x.artifact_id = $1 AND x.name = $2
"""

LIST_PARENTS = """
SELECT parent_id AS artifact_id, relation, added_by, added_at
  FROM lineage WHERE child_id = $1 ORDER BY parent_id, relation COLLATE "C" LIMIT $2
"""

LIST_ANNOTATIONS = f"""
SELECT {_ARTIFACT}
  FROM (SELECT child_id FROM lineage
         WHERE parent_id = $1 AND relation = '{ABOUT}' AND child_id < $2
         ORDER BY child_id DESC LIMIT $3) l
 CROSS JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = l.child_id LIMIT 1) a
 ORDER BY a.artifact_id DESC
"""

PUT_RETAINED = """
INSERT INTO artifact_retained (artifact_id, retained_by) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
DELETE_RETAINED = "DELETE FROM artifact_retained WHERE artifact_id = $1"

GET_STANDING = """
SELECT EXISTS (SELECT FROM artifact_retained r WHERE r.artifact_id = $2) AS retained,
       EXISTS (SELECT FROM tag_move m WHERE m.namespace = $1 AND m.to_id = $2) AS named
"""


class ManifestRepository:
    """Rows of artifact, artifact_blob, artifact_meta, artifact_retained and lineage. The caller
    owns the transaction.
    """

    async def list_locked(
        self, conn: Connection, wanted: Sequence[tuple[str, CasId]]
    ) -> dict[tuple[str, CasId], Artifact]:
        """Of (namespace, manifest), the artifacts that are there; nobody can delete them before we
        commit.
        """
        namespaces = [namespace for namespace, _ in wanted]
        rows = await conn.fetch(LIST_LOCKED, namespaces, [cas_id.raw for _, cas_id in wanted])
        found = [artifact_of(row) for row in rows]
        return {(each.namespace, each.cas_id): each for each in found}

    async def insert_files(self, conn: Connection, files: Sequence[tuple[UUID, int, File]]) -> int:
        """Of (artifact, position, file), how many could be stored: not those whose blob is gone."""
        rows = await conn.fetch(
            INSERT_FILES,
            [artifact_id for artifact_id, _, _ in files],
            [position for _, position, _ in files],
            [file.cas_id.raw for _, _, file in files],
            [file.name for _, _, file in files],
            [file.media_type for _, _, file in files],
        )
        return len(rows)

    async def insert_meta(
        self, conn: Connection, members: Sequence[tuple[UUID, str, bytes]]
    ) -> None:
        """What artifacts are found by: (artifact, namespace, digest of a member of meta)."""
        await conn.execute(INSERT_META, *(list(column) for column in zip(*members, strict=True)))

    async def add_references(self, conn: Connection, held: Sequence[HeldBlobs]) -> None:
        """Blobs that documents name; one that its artifact has already is not added."""
        ids, _, cas_ids = _held(held)
        await conn.execute(ADD_REFERENCES, ids, cas_ids)

    async def list_references(self, conn: Connection, artifact_id: UUID, limit: int) -> list[CasId]:
        """The blobs that its document names, in the order in which they came."""
        rows = await conn.fetch(LIST_REFERENCES, artifact_id, limit)
        return [CasId(row["cas_id"]) for row in rows]

    async def list_contents(
        self, conn: Connection, held: Sequence[HeldBlobs]
    ) -> list[tuple[UUID, UUID]]:
        """Of these blobs that are versions of artifacts: who holds it, and which it is."""
        return [tuple(row) for row in await conn.fetch(LIST_CONTENTS, *_held(held))]

    async def list_files(
        self, conn: Connection, artifact_id: UUID, after: int, limit: int
    ) -> list[tuple[int, File]]:
        """Files with their positions, those after this one."""
        rows = await conn.fetch(LIST_FILES, artifact_id, after, limit)
        return [(row["position"], _file(*row[1:])) for row in rows]

    async def get_file(
        self, conn: Connection, artifact_id: UUID, name: str
    ) -> tuple[CasId, str] | None:
        """The blob under a name, and its media type in this artifact."""
        row = await conn.fetchrow(GET_FILE, artifact_id, name)
        return (CasId(row["cas_id"]), row["media_type"]) if row else None

    async def list_parents(self, conn: Connection, artifact_id: UUID, limit: int) -> list[Parent]:
        """What it comes from directly, oldest first."""
        return [Parent(**row) for row in await conn.fetch(LIST_PARENTS, artifact_id, limit)]

    async def list_annotations(
        self, conn: Connection, artifact_id: UUID, before: UUID, limit: int
    ) -> list[Artifact]:
        """Newest first, older than `before`."""
        return [
            artifact_of(row)
            for row in await conn.fetch(LIST_ANNOTATIONS, artifact_id, before, limit)
        ]

    async def put_retained(self, conn: Connection, artifact_id: UUID, by: str) -> None:
        """From now on garbage collection leaves it."""
        await conn.execute(PUT_RETAINED, artifact_id, by)

    async def delete_retained(self, conn: Connection, artifact_id: UUID) -> None:
        await conn.execute(DELETE_RETAINED, artifact_id)

    async def get_standing(
        self, conn: Connection, namespace: str, artifact_id: UUID
    ) -> tuple[bool, bool]:
        """Whether it is retained, and whether a tag names it or ever did."""
        ((retained, named),) = await conn.fetch(GET_STANDING, namespace, artifact_id)
        return retained, named


def _held(held: Sequence[HeldBlobs]) -> tuple[list[UUID], list[str], list[bytes]]:
    """Artifact, namespace and blob, as columns."""
    pairs = [(each.artifact, cas_id) for each in held for cas_id in each.cas_ids]
    return (
        [artifact.artifact_id for artifact, _ in pairs],
        [artifact.namespace for artifact, _ in pairs],
        [cas_id.raw for _, cas_id in pairs],
    )


def _file(cas_id: bytes, name: str | None, media_type: str, size_bytes: int) -> File:
    return File(cas_id=CasId(cas_id), name=name, media_type=media_type, size_bytes=size_bytes)
