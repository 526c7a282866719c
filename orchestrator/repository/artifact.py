"""SQL for artifacts and lineage: one statement per method, no decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact, NewArtifact
from orchestrator.repository.columns import columns

_ARTIFACT = columns("a", *Artifact.__struct_fields__)
_NEW = NewArtifact.__struct_fields__


def artifacts_inserted(source: str, *names: str, conflict: str = "") -> str:
    """The artifacts in the rows of `source`, which has these columns and `at`; in the order of
    what they must be the only ones of, so that two who make the same ones cannot deadlock.

    Of equal ones, which `conflict` tells (else any unique index), only the first is stored.
    """
    return f"""
INSERT INTO artifact ({", ".join(names)})
SELECT {columns("n", *names)} FROM {source} n ORDER BY n.namespace, n.version_hash, n.at
ON CONFLICT {conflict} DO NOTHING
RETURNING artifact_id, created_at
"""


INSERT = f"""
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bytea[],
                         $7::bytea[], $8::uuid[], $9::uuid[], $10::int[], $11::int[], $12::int[],
                         $13::int[], $14::json[], $15::text[]) WITH ORDINALITY
        AS n ({", ".join(_NEW)}, at)
)
{artifacts_inserted("new", *_NEW)}
"""

GET = f"SELECT {_ARTIFACT} FROM artifact a WHERE artifact_id = $1 AND namespace = $2"

# The lock keeps the garbage collector away until what refers to the artifact is committed too.
GET_LOCKED = f"{GET} FOR KEY SHARE"

GET_DAG_VERSION = f"""
SELECT {_ARTIFACT} FROM artifact a
 WHERE namespace = $1 AND version_hash = $2 AND kind = 'dag_version'
"""
# Rows are locked for the reason that GET_LOCKED has.
LIST_DAG_VERSIONS_LOCKED = f"""
SELECT {_ARTIFACT}
  FROM (SELECT * FROM unnest($1::text[], $2::bytea[]) AS n (namespace, version_hash)
         ORDER BY namespace, version_hash) n
 CROSS JOIN LATERAL (
       SELECT * FROM artifact
        WHERE namespace = n.namespace AND version_hash = n.version_hash AND kind = 'dag_version'
          FOR KEY SHARE) a
"""

GET_RUN_SNAPSHOT = f"""
SELECT {_ARTIFACT} FROM artifact a
 WHERE namespace = $1 AND plan_hash = $2 AND kind = 'run_snapshot'
"""
GET_RUN_SNAPSHOT_LOCKED = f"{GET_RUN_SNAPSHOT} FOR KEY SHARE"

LIST_CHAIN = f"""
WITH RECURSIVE chain AS (
    SELECT a.* FROM artifact a
     WHERE a.namespace = $1 AND a.artifact_id = $2 AND a.kind = 'patch_set'
    UNION ALL
    SELECT a.* FROM artifact a JOIN chain c ON a.artifact_id = c.previous_id
)
SELECT {_ARTIFACT} FROM chain a ORDER BY depth
"""

LIST_BY_ID = f"""
SELECT {_ARTIFACT} FROM unnest($1::uuid[]) AS n (id) CROSS JOIN LATERAL (
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
LIST_VERSIONS = f"{_DOWN} SELECT {_ARTIFACT} FROM down a LIMIT $3"

GET_AT_DEPTH = f"{_DOWN} SELECT {_ARTIFACT} FROM down a WHERE depth = $3 LIMIT 1"


class ArtifactRepository:
    """Rows of artifact and lineage. The caller owns the transaction."""

    async def insert(self, conn: Connection, new: Sequence[NewArtifact]) -> list[Artifact | None]:
        """None where an equal dag_version or run_snapshot is there already."""
        rows = await conn.fetch(
            INSERT,
            [each.artifact_id for each in new],
            [each.namespace for each in new],
            [each.kind for each in new],
            [each.cas_id.raw for each in new],
            [each.name for each in new],
            [_raw(each.version_hash) for each in new],
            [_raw(each.plan_hash) for each in new],
            [each.base_id for each in new],
            [each.previous_id for each in new],
            [each.depth for each in new],
            [each.op_count for each in new],
            [each.nodes_count for each in new],
            [each.edges_count for each in new],
            [each.meta for each in new],
            [each.created_by for each in new],
        )
        since = {row[0]: row[1] for row in rows}
        return [
            artifact_made(each, since[each.artifact_id]) if each.artifact_id in since else None
            for each in new
        ]

    async def get(
        self, conn: Connection, namespace: str, artifact_id: UUID, *, locked: bool = False
    ) -> Artifact | None:
        """If it is locked, it cannot be deleted before this transaction ends."""
        row = await conn.fetchrow(GET_LOCKED if locked else GET, artifact_id, namespace)
        return artifact_of(row) if row else None

    async def get_dag_version(
        self, conn: Connection, namespace: str, version_hash: CasId
    ) -> Artifact | None:
        row = await conn.fetchrow(GET_DAG_VERSION, namespace, version_hash.raw)
        return artifact_of(row) if row else None

    async def list_dag_versions_locked(
        self, conn: Connection, wanted: Sequence[tuple[str, CasId]]
    ) -> dict[tuple[str, CasId], Artifact]:
        """Of (namespace, version hash), those that are there; nobody can delete them before we
        commit.
        """
        namespaces = [namespace for namespace, _ in wanted]
        hashes = [version_hash.raw for _, version_hash in wanted]
        rows = await conn.fetch(LIST_DAG_VERSIONS_LOCKED, namespaces, hashes)
        found = [artifact_of(row) for row in rows]
        return {(each.namespace, each.cas_id): each for each in found}

    async def get_run_snapshot(
        self, conn: Connection, namespace: str, plan_hash: CasId, *, locked: bool = False
    ) -> Artifact | None:
        """If it is locked, it cannot be deleted before this transaction ends."""
        statement = GET_RUN_SNAPSHOT_LOCKED if locked else GET_RUN_SNAPSHOT
        row = await conn.fetchrow(statement, namespace, plan_hash.raw)
        return artifact_of(row) if row else None

    async def list_chain(
        self, conn: Connection, namespace: str, head_id: UUID
    ) -> Sequence[Artifact]:
        """The patches up to and with this one, oldest first; empty unless it is a patch_set."""
        return [artifact_of(row) for row in await conn.fetch(LIST_CHAIN, namespace, head_id)]

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


def artifact_made(new: NewArtifact, created_at: datetime) -> Artifact:
    """What became of a new one that was stored."""
    return Artifact(created_at=created_at, **msgspec.structs.asdict(new))


def artifact_of(row: asyncpg.Record) -> Artifact:
    """The artifact in a row that has all of its columns."""
    return Artifact(
        artifact_id=row["artifact_id"],
        namespace=row["namespace"],
        kind=row["kind"],
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
