"""SQL for artifacts and lineage: one statement per method, no decisions."""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact, Kind, NewArtifact, Relation
from orchestrator.models.lineage import LineageStep

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

# Edges in the order in which they are met, nearest first. Rows come as they are walked, so a page
# costs a page. An artifact whose edges were told in part goes on with the farther end told last.
# The planner cannot know how short a walk is; what has a limit it never reads as a whole table.
_WALK_LINEAGE = """
WITH RECURSIVE walk (id, after) AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[])
    UNION
    SELECT l.{far}, {first} FROM walk w CROSS JOIN LATERAL (
        SELECT {far} FROM lineage WHERE {near} = w.id AND {far} {beyond} w.after LIMIT $3) l
)
SELECT l.child_id, l.parent_id, l.relation,
       (SELECT true FROM lineage WHERE {near} = l.{far} LIMIT 1) IS NOT NULL AS leads_on
  FROM walk w CROSS JOIN LATERAL (
       SELECT * FROM lineage l WHERE l.{near} = w.id AND l.{far} {beyond} w.after
        ORDER BY l.{far} {order}, l.relation COLLATE "C" LIMIT $3) l
 LIMIT $3
"""
WALK_LINEAGE_UP = _WALK_LINEAGE.format(
    near="child_id",
    far="parent_id",
    first="'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid",
    beyond="<=",
    order="DESC",
)
WALK_LINEAGE_DOWN = _WALK_LINEAGE.format(
    near="parent_id",
    far="child_id",
    first="'00000000-0000-0000-0000-000000000000'::uuid",
    beyond=">=",
    order="ASC",
)

LIST_BY_ID = f"""
SELECT {COLUMNS} FROM unnest($1::uuid[]) AS n (id) CROSS JOIN LATERAL (
       SELECT * FROM artifact WHERE artifact_id = n.id AND namespace = $2 LIMIT 1) a
"""

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

# Of the versions that both contain, one that no other of them contains. The planner, which cannot
# know how few are met, would read all lineage and all artifacts beside them: not what is fenced
# off by OFFSET or LIMIT.
_PARENTS = """
       SELECT parent_id FROM lineage
        WHERE child_id = {of}.id AND relation = ANY($3::text[]) OFFSET 0"""
GET_COMMON_ANCESTOR = f"""
WITH RECURSIVE ours (id) AS (
    SELECT $1::uuid
     UNION
    SELECT p.parent_id FROM ours o CROSS JOIN LATERAL ({_PARENTS.format(of="o")}) p
), theirs (id) AS (
    SELECT $2::uuid
     UNION
    SELECT p.parent_id FROM theirs t CROSS JOIN LATERAL ({_PARENTS.format(of="t")}) p
), common AS (SELECT id FROM ours INTERSECT SELECT id FROM theirs)
SELECT {COLUMNS}
  FROM (SELECT id FROM common
        EXCEPT
        SELECT p.parent_id FROM common c CROSS JOIN LATERAL ({_PARENTS.format(of="c")}) p) c
 CROSS JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = c.id LIMIT 1) a
 ORDER BY artifact_id DESC LIMIT 1
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

    async def walk_lineage(
        self,
        conn: Connection,
        from_ids: Sequence[UUID],
        after: Sequence[UUID],
        *,
        up: bool,
        limit: int,
    ) -> list[LineageStep]:
        """So many of the edges that can be reached from these, nearest first; those of one nearer
        end follow each other. `after` is for each the first farther end that counts.
        """
        statement = WALK_LINEAGE_UP if up else WALK_LINEAGE_DOWN
        return [
            LineageStep(**{**row, "relation": Relation(row["relation"])})
            for row in await conn.fetch(statement, from_ids, after, limit)
        ]

    async def list_by_id(
        self, conn: Connection, namespace: str, artifact_ids: Collection[UUID]
    ) -> list[Artifact]:
        """Those of them that are in the namespace, in no order."""
        return [artifact_of(row) for row in await conn.fetch(LIST_BY_ID, artifact_ids, namespace)]

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
