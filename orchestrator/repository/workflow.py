"""SQL over blob, artifact and tag at once: one statement per method, no decisions.

It exists so that a lookup by tag is one round trip, and so that a create is one round trip and, as
a statement alone is its own transaction, one commit. What it writes is put together from what the
repositories of the three say.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import NewArtifact, Relation
from orchestrator.models.cas import WORKFLOW
from orchestrator.models.found import Count, Found
from orchestrator.models.tag import TagTarget
from orchestrator.models.tag_search import TagFilter, TagsAmong
from orchestrator.models.workflow import (
    CreatedWorkflow,
    NewWorkflow,
    Pointing,
    ResolvedWorkflow,
    StoredVersion,
    WorkflowEntry,
)
from orchestrator.repository.artifact import artifact_made, artifacts_inserted
from orchestrator.repository.artifact_lineage import linked
from orchestrator.repository.brief import BRIEF_WAIT
from orchestrator.repository.cas import blobs_inserted
from orchestrator.repository.columns import columns
from orchestrator.repository.looking import count, found
from orchestrator.repository.tag import change_of, made, moved_by, recorded
from orchestrator.repository.tag_move import move_searched
from orchestrator.repository.tag_search import (
    TagSearch,
    by_what_is_asked,
    chosen,
    tags_wanted,
)

_VERSION = columns(
    "a",
    *("artifact_id", "kind", "cas_id", "version_hash", "depth", "nodes_count", "edges_count"),
    *("created_by", "created_at"),
)
_SAID = ("message", "moved_by", "moved_at")
_TAG = columns("t", "namespace", *_SAID, tag="name", tag_version="version")
_MOVE = columns("t", "namespace", *_SAID, tag="name", tag_version="seq")


_KINDS = "'dag_version', 'patch_set'"


def _artifact(artifact_id: str, condition: str = "true") -> str:
    """Found by its id alone: without LIMIT 1 the planner may think that there are many."""
    return f"SELECT * FROM artifact WHERE artifact_id = {artifact_id} AND {condition} LIMIT 1"


# A version never changes: if the tag still names the one that the caller has, it is not read.
RESOLVE = f"""
SELECT q.at, t.version AS tag_version, {columns("t", *_SAID)},
       t.target_id = q.known_id AS is_known, v.*
  FROM unnest($1::text[], $2::text[], $3::uuid[])
       WITH ORDINALITY AS q (namespace, name, known_id, at)
  JOIN tag t ON t.namespace = q.namespace AND t.name = q.name
  LEFT JOIN LATERAL (
       SELECT {_VERSION}, b.content
         FROM artifact a JOIN cas_blob b ON b.cas_id = a.version_hash
        WHERE a.artifact_id = CASE WHEN t.target_id = q.known_id THEN NULL ELSE t.target_id END
       ) v ON true
 WHERE t.target_id = q.known_id OR v.artifact_id IS NOT NULL
"""

_RESOLVED_MOVE = f"""
SELECT {_MOVE}, {_VERSION}, b.content
  FROM tag_move t CROSS JOIN LATERAL ({_artifact("t.to_id")}) a
  JOIN cas_blob b ON b.cas_id = a.version_hash
 WHERE t.namespace = $1 AND t.name = $2
"""

RESOLVE_VERSION = f"{_RESOLVED_MOVE} AND t.seq = $3"

# The last move of the time decides, also when it deleted the tag.
RESOLVE_AT = f"""
WITH RECURSIVE {move_searched()} {_RESOLVED_MOVE} AND t.seq = (SELECT max(low) FROM search)
"""

_LISTED = f"{columns('f', 'namespace', *_SAID, tag='name', tag_version='version')}, {_VERSION}"
_LISTED_AT = f"{columns('f', 'namespace', *_SAID, tag='name', tag_version='seq')}, {_VERSION}"
_TAGS, _CHOSEN = TagSearch.now(_KINDS), TagSearch.now(_KINDS, names="$11")
_TAGS_AT, _CHOSEN_AT = TagSearch.then(_KINDS), TagSearch.then(_KINDS, names="$12")
LIST, COUNT = _TAGS.listed(_LISTED, "$11"), _TAGS.counted()
LIST_CHOSEN, COUNT_CHOSEN = _CHOSEN.listed(_LISTED, "$12"), _CHOSEN.counted()
LIST_AT, COUNT_AT = _TAGS_AT.listed(_LISTED_AT, "$12"), _TAGS_AT.counted()
LIST_CHOSEN_AT, COUNT_CHOSEN_AT = _CHOSEN_AT.listed(_LISTED_AT, "$13"), _CHOSEN_AT.counted()
_LISTS = by_what_is_asked(LIST, LIST_CHOSEN, LIST_AT, LIST_CHOSEN_AT)
_COUNTS = by_what_is_asked(COUNT, COUNT_CHOSEN, COUNT_AT, COUNT_CHOSEN_AT)

_NEW_VERSION = (
    *("artifact_id", "namespace", "kind", "cas_id", "name", "version_hash"),
    *("nodes_count", "edges_count", "created_by"),
)
_ONE_VERSION = "(namespace, version_hash) WHERE kind = 'dag_version'"

# All blobs come first, then all artifacts, then all tags, each in one order: two that write the
# same rows wait for each other only in one direction. What has been there before is left out, with
# all that follows from it: it must be looked at first.
CREATE_NEW = f"""
WITH new AS (
    SELECT n.*, 'dag_version' AS kind, n.cas_id AS version_hash,
           '{WORKFLOW}' AS media_type, octet_length(n.content) AS size_bytes
      FROM unnest($1::bytea[], $2::bytea[], $3::uuid[], $4::text[], $5::text[], $6::int[],
                  $7::int[], $8::text[], $9::text[], $10::text[]) WITH ORDINALITY
        AS n (cas_id, content, artifact_id, namespace, name, nodes_count, edges_count, created_by,
              tag, message, at), {BRIEF_WAIT}
), blob AS (
    {blobs_inserted("new", "cas_id", "size_bytes", "media_type", "content")}
    RETURNING cas_id
), brought AS (
    SELECT * FROM new WHERE cas_id IN (SELECT cas_id FROM blob)
), version AS (
    {artifacts_inserted("brought", *_NEW_VERSION, conflict=_ONE_VERSION)}
), named AS (
    SELECT namespace, tag AS name, artifact_id AS target_id, message, created_by AS moved_by
      FROM new WHERE artifact_id IN (SELECT artifact_id FROM version)
     ORDER BY namespace, tag
), {moved_by("named")}, {recorded()}, replaced AS (
    SELECT target_id AS child_id, from_id AS parent_id, '{Relation.REVISION_OF}' AS relation
      FROM moved WHERE from_id IS NOT NULL
), revised AS (
    {linked("replaced")}
)
SELECT v.artifact_id, v.created_at, {made("m")}
  FROM moved m JOIN version v ON v.artifact_id = m.target_id
"""


class WorkflowRepository:
    """Rows of cas_blob, artifact, lineage, tag and tag_move. The caller owns the transaction."""

    async def create_new(
        self, conn: Connection, new: Sequence[NewWorkflow], versions: Sequence[NewArtifact]
    ) -> list[CreatedWorkflow | None]:
        """Store contents as these versions and let tags name them, whatever they name now; each
        tag at most once. None where the content is there already, whoever has it.
        """
        rows = await conn.fetch(
            CREATE_NEW,
            [each.cas_id.raw for each in new],
            [each.content for each in new],
            [each.artifact_id for each in versions],
            [each.namespace for each in new],
            [each.name for each in new],
            [each.nodes_count for each in new],
            [each.edges_count for each in new],
            [each.by.name for each in new],
            [each.tag for each in new],
            [each.message for each in new],
        )
        found = {row[0]: row[1:] for row in rows}
        return [
            _created(each, version, *row) if (row := found.get(version.artifact_id)) else None
            for each, version in zip(new, versions, strict=True)
        ]

    async def resolve(
        self, conn: Connection, wanted: Sequence[tuple[str, str, UUID | None]]
    ) -> list[Pointing]:
        """Of (namespace, tag, version that the caller has), those that name something with a
        version hash, of whatever kind.
        """
        namespaces, names, known_ids = zip(*wanted, strict=True)
        rows = await conn.fetch(RESOLVE, namespaces, names, known_ids)
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

    async def list_by_tag(
        self,
        conn: Connection,
        namespace: str,
        wanted: TagFilter,
        among: TagsAmong,
        after: str,
        limit: int,
    ) -> Found[WorkflowEntry, str]:
        """By tag name, those after this one."""
        given = tags_wanted(namespace, wanted, among, after, limit)
        rows = await conn.fetch(chosen(_LISTS, wanted, among), *given)
        return found(rows, among.rows_max, _entry, itemgetter("tag"))

    async def count(
        self, conn: Connection, namespace: str, wanted: TagFilter, among: TagsAmong
    ) -> Count:
        """On all pages."""
        given = tags_wanted(namespace, wanted, among)
        return await count(conn, chosen(_COUNTS, wanted, among), given, among.rows_max)


def _created(
    new: NewWorkflow, version: NewArtifact, created_at: datetime, *changed: Any
) -> CreatedWorkflow:
    artifact = artifact_made(version, created_at)
    target = TagTarget(
        artifact_id=artifact.artifact_id,
        kind=artifact.kind,
        version_hash=artifact.version_hash,
    )
    change = change_of(new.order(artifact.artifact_id), target, changed)
    return CreatedWorkflow(artifact=artifact, change=change)


def _pointing(row: asyncpg.Record) -> Pointing:
    return Pointing(
        at=row["at"] - 1,
        tag_version=row["tag_version"],
        message=row["message"],
        moved_by=row["moved_by"],
        moved_at=row["moved_at"],
        version=None if row["is_known"] else _version(row),
    )


# The members of a version stand here twice: through a dict, a row would take half as long again.
def _version(row: asyncpg.Record) -> StoredVersion:
    return StoredVersion(
        artifact_id=row["artifact_id"],
        kind=row["kind"],
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
        kind=row["kind"],
        cas_id=CasId(row["cas_id"]),
        version_hash=CasId(row["version_hash"]),
        depth=row["depth"],
        nodes_count=row["nodes_count"],
        edges_count=row["edges_count"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )
