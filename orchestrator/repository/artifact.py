"""SQL for artifacts and lineage: one statement per method, no decisions."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from orchestrator.database import Connection
from orchestrator.digest import CasId
from orchestrator.models.artifact import Artifact, Kind, LineageEdge, NewArtifact, Relation

COLUMNS = """artifact_id, namespace, kind, cas_id, name, version_hash, plan_hash, base_id,
previous_id, depth, op_count, nodes_count, edges_count, meta, created_by, created_at"""

# Of kinds that are unique by hash only the first is stored: the caller looks that one up.
INSERT = f"""
INSERT INTO artifact (artifact_id, namespace, kind, cas_id, name, version_hash, plan_hash, base_id,
    previous_id, depth, op_count, nodes_count, edges_count, meta, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT DO NOTHING
RETURNING {COLUMNS}
"""

GET = f"SELECT {COLUMNS} FROM artifact WHERE artifact_id = $1 AND namespace = $2"

# The lock keeps the garbage collector away until what refers to the artifact is committed too.
GET_LOCKED = f"{GET} FOR KEY SHARE"

GET_DAG_VERSION = f"""
SELECT {COLUMNS} FROM artifact
 WHERE namespace = $1 AND version_hash = $2 AND kind = 'dag_version'
"""
GET_DAG_VERSION_LOCKED = f"{GET_DAG_VERSION} FOR KEY SHARE"

GET_RUN_SNAPSHOT = f"""
SELECT {COLUMNS} FROM artifact
 WHERE namespace = $1 AND plan_hash = $2 AND kind = 'run_snapshot'
"""
GET_RUN_SNAPSHOT_LOCKED = f"{GET_RUN_SNAPSHOT} FOR KEY SHARE"

LIST_BY_VERSION_HASH = f"""
SELECT {COLUMNS} FROM artifact
 WHERE namespace = $1 AND version_hash = $2 AND ($3::text IS NULL OR kind = $3)
   AND artifact_id < $4
 ORDER BY artifact_id DESC LIMIT $5
"""

LIST_BY_KIND = f"""
SELECT {COLUMNS} FROM artifact
 WHERE namespace = $1 AND kind = $2 AND artifact_id < $3
 ORDER BY artifact_id DESC LIMIT $4
"""

LIST_ALL = f"""
SELECT {COLUMNS} FROM artifact
 WHERE namespace = $1 AND artifact_id < $2
 ORDER BY artifact_id DESC LIMIT $3
"""

LIST_CHAIN = f"""
WITH RECURSIVE chain AS (
    SELECT a.* FROM artifact a
     WHERE a.namespace = $1 AND a.artifact_id = $2 AND a.kind = 'patch_set'
    UNION ALL
    SELECT a.* FROM artifact a JOIN chain c ON a.artifact_id = c.previous_id
)
SELECT {COLUMNS} FROM chain ORDER BY depth
"""

INSERT_LINEAGE = """
INSERT INTO lineage (child_id, parent_id, relation) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

# Each edge once, at its shortest distance: a breadth-first walk (edges lead to older artifacts
# only, so it ends). UNION drops a node met again at the same distance.
_LINEAGE = f"""
WITH RECURSIVE walk (id, distance) AS (
    SELECT $1::uuid, 0
    UNION
    SELECT l.{{far}}, w.distance + 1 FROM walk w JOIN lineage l ON l.{{near}} = w.id
     WHERE w.distance < $2
), edges AS (
    SELECT l.child_id, l.parent_id, l.relation, min(w.distance) + 1 AS distance
      FROM walk w JOIN lineage l ON l.{{near}} = w.id
     WHERE w.distance < $2
     GROUP BY l.child_id, l.parent_id, l.relation
)
SELECT e.child_id, e.parent_id, e.relation, e.distance, {COLUMNS}
  FROM edges e JOIN artifact a ON a.artifact_id = e.{{far}}
 WHERE (e.distance, e.child_id, e.parent_id, e.relation) > ($3, $4, $5, $6)
 ORDER BY e.distance, e.child_id, e.parent_id, e.relation LIMIT $7
"""
LIST_LINEAGE_UP = _LINEAGE.format(near="child_id", far="parent_id")
LIST_LINEAGE_DOWN = _LINEAGE.format(near="parent_id", far="child_id")

# From a version down to its base. Rows come as they are walked, so a page costs a page.
_DOWN = """
WITH RECURSIVE down AS (
    SELECT a.* FROM artifact a WHERE a.namespace = $1 AND a.artifact_id = $2
    UNION ALL
    SELECT a.* FROM down d JOIN artifact a
        ON a.artifact_id = coalesce(d.previous_id, d.base_id) WHERE d.kind = 'patch_set'
)
"""
LIST_VERSIONS = f"{_DOWN} SELECT {COLUMNS} FROM down LIMIT $3"

GET_AT_DEPTH = f"{_DOWN} SELECT {COLUMNS} FROM down WHERE depth = $3 LIMIT 1"

LIST_PARENTS = f"""
SELECT {COLUMNS} FROM lineage l JOIN artifact a ON a.artifact_id = l.parent_id
 WHERE l.child_id = $1 AND l.relation = ANY($2::text[])
 ORDER BY l.relation, l.parent_id
"""

# Of the versions that both contain, one that no other of them contains.
GET_COMMON_ANCESTOR = f"""
WITH RECURSIVE ours (id) AS (
    SELECT $1::uuid
    UNION SELECT l.parent_id FROM ours o JOIN lineage l ON l.child_id = o.id
           WHERE l.relation = ANY($3::text[])
), theirs (id) AS (
    SELECT $2::uuid
    UNION SELECT l.parent_id FROM theirs t JOIN lineage l ON l.child_id = t.id
           WHERE l.relation = ANY($3::text[])
), common AS (SELECT id FROM ours INTERSECT SELECT id FROM theirs)
SELECT {COLUMNS} FROM common c JOIN artifact a ON a.artifact_id = c.id
 WHERE NOT EXISTS (SELECT FROM lineage l JOIN common k ON k.id = l.child_id
                    WHERE l.parent_id = c.id AND l.relation = ANY($3::text[]))
 ORDER BY a.artifact_id DESC LIMIT 1
"""


class ArtifactRepository:
    """Rows of artifact and lineage. The caller owns the transaction."""

    async def insert(self, conn: Connection, new: NewArtifact) -> Artifact | None:
        """None when an equal dag_version or run_snapshot is there already."""
        row = await conn.fetchrow(
            INSERT,
            new.artifact_id,
            new.namespace,
            new.kind,
            new.cas_id.raw,
            new.name,
            _raw(new.version_hash),
            _raw(new.plan_hash),
            new.base_id,
            new.previous_id,
            new.depth,
            new.op_count,
            new.nodes_count,
            new.edges_count,
            new.meta,
            new.created_by,
        )
        return artifact_of(row) if row else None

    async def get(
        self, conn: Connection, namespace: str, artifact_id: UUID, *, locked: bool = False
    ) -> Artifact | None:
        """What is locked, nobody can delete before we commit; so with the next two."""
        row = await conn.fetchrow(GET_LOCKED if locked else GET, artifact_id, namespace)
        return artifact_of(row) if row else None

    async def get_dag_version(
        self, conn: Connection, namespace: str, version_hash: CasId, *, locked: bool = False
    ) -> Artifact | None:
        statement = GET_DAG_VERSION_LOCKED if locked else GET_DAG_VERSION
        row = await conn.fetchrow(statement, namespace, version_hash.raw)
        return artifact_of(row) if row else None

    async def get_run_snapshot(
        self, conn: Connection, namespace: str, plan_hash: CasId, *, locked: bool = False
    ) -> Artifact | None:
        statement = GET_RUN_SNAPSHOT_LOCKED if locked else GET_RUN_SNAPSHOT
        row = await conn.fetchrow(statement, namespace, plan_hash.raw)
        return artifact_of(row) if row else None

    async def list_by_version_hash(
        self,
        conn: Connection,
        namespace: str,
        version_hash: CasId,
        kind: Kind | None,
        before: UUID,
        limit: int,
    ) -> list[Artifact]:
        """Newest first, older than `before`; of one kind or of any."""
        rows = await conn.fetch(
            LIST_BY_VERSION_HASH, namespace, version_hash.raw, kind, before, limit
        )
        return [artifact_of(row) for row in rows]

    async def list_by_kind(
        self, conn: Connection, namespace: str, kind: Kind, before: UUID, limit: int
    ) -> list[Artifact]:
        """Newest first, older than `before`."""
        rows = await conn.fetch(LIST_BY_KIND, namespace, kind, before, limit)
        return [artifact_of(row) for row in rows]

    async def list_all(
        self, conn: Connection, namespace: str, before: UUID, limit: int
    ) -> list[Artifact]:
        """Newest first, older than `before`."""
        rows = await conn.fetch(LIST_ALL, namespace, before, limit)
        return [artifact_of(row) for row in rows]

    async def list_chain(
        self, conn: Connection, namespace: str, head_id: UUID
    ) -> Sequence[Artifact]:
        """The patches up to and with this one, oldest first; empty unless it is a patch_set."""
        return [artifact_of(row) for row in await conn.fetch(LIST_CHAIN, namespace, head_id)]

    async def insert_lineage(
        self, conn: Connection, child_id: UUID, parent_id: UUID, relation: Relation
    ) -> None:
        """Adding an edge that is there already changes nothing."""
        await conn.execute(INSERT_LINEAGE, child_id, parent_id, relation)

    async def list_lineage(
        self,
        conn: Connection,
        artifact_id: UUID,
        *,
        up: bool,
        depth_max: int,
        after: tuple[int, UUID, UUID, str],
        limit: int,
    ) -> list[LineageEdge]:
        """Edges within `depth_max` steps, nearest first, after this (distance, child, parent,
        relation).
        """
        statement = LIST_LINEAGE_UP if up else LIST_LINEAGE_DOWN
        rows = await conn.fetch(statement, artifact_id, depth_max, *after, limit)
        return [
            LineageEdge(
                child_id=row["child_id"],
                parent_id=row["parent_id"],
                relation=Relation(row["relation"]),
                distance=row["distance"],
                artifact=artifact_of(row),
            )
            for row in rows
        ]

    async def list_versions(
        self, conn: Connection, namespace: str, head_id: UUID, limit: int
    ) -> list[Artifact]:
        """The version, the one below it and so on: the last one is the base."""
        return [
            artifact_of(row) for row in await conn.fetch(LIST_VERSIONS, namespace, head_id, limit)
        ]

    async def get_at_depth(
        self, conn: Connection, namespace: str, head_id: UUID, depth: int
    ) -> Artifact | None:
        """The version at this depth below the head."""
        row = await conn.fetchrow(GET_AT_DEPTH, namespace, head_id, depth)
        return artifact_of(row) if row else None

    async def list_parents(
        self, conn: Connection, child_id: UUID, relations: Sequence[Relation]
    ) -> list[Artifact]:
        """What an artifact comes from in one of these ways, one step up."""
        return [artifact_of(row) for row in await conn.fetch(LIST_PARENTS, child_id, relations)]

    async def get_common_ancestor(
        self, conn: Connection, one_id: UUID, other_id: UUID, relations: Sequence[Relation]
    ) -> Artifact | None:
        """The nearest artifact that both come from in these ways; it may be one of them."""
        row = await conn.fetchrow(GET_COMMON_ANCESTOR, one_id, other_id, relations)
        return artifact_of(row) if row else None


def artifact_of(row: asyncpg.Record) -> Artifact:
    """The artifact in a row that has all of COLUMNS."""
    return Artifact(
        artifact_id=row["artifact_id"],
        namespace=row["namespace"],
        kind=Kind(row["kind"]),
        cas_id=CasId(row["cas_id"]),
        name=row["name"],
        version_hash=_cas_id(row["version_hash"]),
        plan_hash=_cas_id(row["plan_hash"]),
        base_id=row["base_id"],
        previous_id=row["previous_id"],
        depth=row["depth"],
        op_count=row["op_count"],
        nodes_count=row["nodes_count"],
        edges_count=row["edges_count"],
        meta=row["meta"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def _raw(cas_id: CasId | None) -> bytes | None:
    return cas_id.raw if cas_id else None


def _cas_id(raw: bytes | None) -> CasId | None:
    return CasId(raw) if raw else None
