"""SQL that resolves tags to workflows: the read side's join over tag, artifact and blob.

One statement per method, no decisions. It exists so that a lookup by tag is one round trip.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Kind
from orchestrator.models.workflow import (
    Pointing,
    ResolvedWorkflow,
    StoredVersion,
    WorkflowEntry,
)
from orchestrator.repository.tag import MOVE_SEARCH

ARTIFACT_COLUMNS = """a.artifact_id, a.kind, a.cas_id, a.version_hash, a.depth, a.nodes_count,
a.edges_count, a.created_by, a.created_at"""
TAG_COLUMNS = """t.namespace, t.name AS tag, t.version AS tag_version, t.message, t.moved_by,
t.moved_at"""
MOVE_COLUMNS = TAG_COLUMNS.replace("t.version", "t.seq")
IS_WORKFLOW = "kind IN ('dag_version', 'patch_set')"
# Found by its id alone: without LIMIT 1 the planner may think that all workflows are but a few.
_WORKFLOW = f"SELECT * FROM artifact WHERE artifact_id = {{id}} AND {IS_WORKFLOW} LIMIT 1"

# A version never changes: if the tag still names the one that the caller has, it is not read.
RESOLVE_MANY = f"""
SELECT q.turn, t.version AS tag_version, t.message, t.moved_by, t.moved_at,
       t.target_id = q.known_id AS is_known, v.*
  FROM unnest($1::text[], $2::text[], $3::uuid[])
       WITH ORDINALITY AS q (namespace, name, known_id, turn)
  JOIN tag t ON t.namespace = q.namespace AND t.name = q.name
  LEFT JOIN LATERAL (
       SELECT {ARTIFACT_COLUMNS}, b.content
         FROM artifact a JOIN cas_blob b ON b.cas_id = a.version_hash
        WHERE a.artifact_id = CASE WHEN t.target_id = q.known_id THEN NULL ELSE t.target_id END
          AND a.{IS_WORKFLOW}) v ON true
 WHERE t.target_id = q.known_id OR v.artifact_id IS NOT NULL
"""

RESOLVE_VERSION = f"""
SELECT {MOVE_COLUMNS}, {ARTIFACT_COLUMNS}, b.content
  FROM tag_move t CROSS JOIN LATERAL ({_WORKFLOW.format(id="t.to_id")}) a
  JOIN cas_blob b ON b.cas_id = a.version_hash
 WHERE t.namespace = $1 AND t.name = $2 AND t.seq = $3
"""

# The last move of the time decides, also when it deleted the tag.
RESOLVE_AT = f"""
WITH RECURSIVE {MOVE_SEARCH}
SELECT {MOVE_COLUMNS}, {ARTIFACT_COLUMNS}, b.content
  FROM tag_move t CROSS JOIN LATERAL ({_WORKFLOW.format(id="t.to_id")}) a
  JOIN cas_blob b ON b.cas_id = a.version_hash
 WHERE t.namespace = $1 AND t.name = $2 AND t.seq = (SELECT max(low) FROM search)
"""

LIST = f"""
SELECT {TAG_COLUMNS}, {ARTIFACT_COLUMNS}
  FROM tag t CROSS JOIN LATERAL ({_WORKFLOW.format(id="t.target_id")}) a
 WHERE t.namespace = $1 AND t.name > $2
 ORDER BY t.name LIMIT $3
"""


class ResolutionRepository:
    """Joins for reading. Nothing here writes."""

    async def resolve_many(
        self, conn: Connection, wanted: Sequence[tuple[str, str, UUID | None]]
    ) -> list[Pointing]:
        """Of (namespace, tag, version that the caller has), those that name a workflow."""
        namespaces, names, known_ids = zip(*wanted, strict=True)
        rows = await conn.fetch(RESOLVE_MANY, namespaces, names, known_ids)
        return [_pointing(row) for row in rows]

    async def resolve_version(
        self, conn: Connection, namespace: str, tag: str, version: int
    ) -> ResolvedWorkflow | None:
        row = await conn.fetchrow(RESOLVE_VERSION, namespace, tag, version)
        return _resolved(row) if row else None

    async def resolve_at(
        self, conn: Connection, namespace: str, tag: str, at: datetime
    ) -> ResolvedWorkflow | None:
        row = await conn.fetchrow(RESOLVE_AT, namespace, tag, at)
        return _resolved(row) if row else None

    async def list_by_namespace(
        self, conn: Connection, namespace: str, after: str, limit: int
    ) -> list[WorkflowEntry]:
        """By tag name, those after this one."""
        return [_entry(row) for row in await conn.fetch(LIST, namespace, after, limit)]


def _pointing(row: asyncpg.Record) -> Pointing:
    return Pointing(
        turn=row["turn"] - 1,
        tag_version=row["tag_version"],
        message=row["message"],
        moved_by=row["moved_by"],
        moved_at=row["moved_at"],
        version=None if row["is_known"] else _version(row),
    )


def _version(row: asyncpg.Record) -> StoredVersion:
    return StoredVersion(
        artifact_id=row["artifact_id"],
        kind=Kind(row["kind"]),
        cas_id=CasId(row["cas_id"]),
        version_hash=CasId(row["version_hash"]),
        depth=row["depth"],
        nodes_count=row["nodes_count"],
        edges_count=row["edges_count"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        content=row["content"],
    )


def _resolved(row: asyncpg.Record) -> ResolvedWorkflow:
    return ResolvedWorkflow(entry=_entry(row), content=row["content"])


def _entry(row: asyncpg.Record) -> WorkflowEntry:
    return WorkflowEntry(
        namespace=row["namespace"],
        tag=row["tag"],
        tag_version=row["tag_version"],
        message=row["message"],
        moved_by=row["moved_by"],
        moved_at=row["moved_at"],
        artifact_id=row["artifact_id"],
        kind=Kind(row["kind"]),
        cas_id=CasId(row["cas_id"]),
        version_hash=CasId(row["version_hash"]),
        depth=row["depth"],
        nodes_count=row["nodes_count"],
        edges_count=row["edges_count"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )
