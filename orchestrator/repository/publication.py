"""SQL that publishes for several requests at once: the write side's join over blob, artifact, tag.

One statement per method, no decisions. It exists so that a create or a move is one round trip and,
as a statement alone is its own transaction, one commit. What an order tells of a tag, the rows do
not tell again: each column of each row is a noticeable part of what the statement costs us.
"""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact, Kind, Relation
from orchestrator.models.cas import WORKFLOW
from orchestrator.models.tag import Action, MovedTag, Tag, TagChange, TagOrder
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow
from orchestrator.repository.tag import COLUMNS, RECORDED

# All blobs come first, then all artifacts, then all tags, each in one order: two that write the
# same rows wait for each other only in one direction. What has been there before is left out, with
# all that follows from it: much more is to be asked then.
CREATE_MANY = f"""
WITH blob AS (
    INSERT INTO cas_blob (cas_id, size_bytes, media_type, content)
    SELECT n.cas_id, octet_length(n.content), '{WORKFLOW}', n.content
      FROM unnest($1::bytea[], $2::bytea[]) AS n (cas_id, content)
     ORDER BY n.cas_id
    ON CONFLICT (cas_id) DO NOTHING
    RETURNING cas_id
), version AS (
    INSERT INTO artifact (artifact_id, namespace, kind, cas_id, name, version_hash, nodes_count,
                          edges_count, created_by)
    SELECT n.artifact_id, n.namespace, 'dag_version', n.cas_id, n.name, n.cas_id, n.nodes_count,
           n.edges_count, n.created_by
      FROM unnest($3::uuid[], $4::text[], $1::bytea[], $5::text[], $6::int[], $7::int[], $8::text[])
           AS n (artifact_id, namespace, cas_id, name, nodes_count, edges_count, created_by)
     WHERE n.cas_id IN (SELECT cas_id FROM blob)
     ORDER BY n.namespace, n.cas_id
    ON CONFLICT (namespace, version_hash) WHERE kind = 'dag_version' DO NOTHING
    RETURNING artifact_id, created_at
), moved AS (
    INSERT INTO tag AS t (namespace, name, target_id, version, cursor, action, message, moved_by,
                          moved_at)
    SELECT n.namespace, n.name, n.target_id, 1, 1, 'create', n.message, n.moved_by,
           clock_timestamp()
      FROM unnest($4::text[], $9::text[], $3::uuid[], $10::text[], $8::text[])
           AS n (namespace, name, target_id, message, moved_by)
     WHERE n.target_id IN (SELECT artifact_id FROM version)
     ORDER BY n.namespace, n.name
    ON CONFLICT (namespace, name) DO UPDATE
       SET target_id = excluded.target_id, version = t.version + 1, cursor = t.version + 1,
           action = CASE WHEN t.target_id IS NULL THEN 'create' ELSE 'move' END,
           from_id = t.target_id, parent_seq = t.cursor, message = excluded.message,
           moved_by = excluded.moved_by, moved_at = greatest(t.moved_at, clock_timestamp())
    RETURNING {COLUMNS}
){RECORDED}, revised AS (
    INSERT INTO lineage (child_id, parent_id, relation)
    SELECT target_id, from_id, '{Relation.REVISION_OF}' FROM moved WHERE from_id IS NOT NULL
)
SELECT v.artifact_id, v.created_at, m.version, m.protected, m.from_id, m.parent_seq, m.moved_at
  FROM moved m JOIN version v ON v.artifact_id = m.target_id
"""

# Only a tag at the version that is expected, if any, is moved, and only to what is there; both
# stay locked, in one order.
MOVE_MANY = f"""
WITH target AS (
    SELECT artifact_id, namespace, kind, version_hash FROM artifact
     WHERE (namespace, artifact_id) IN (SELECT * FROM unnest($1::text[], $3::uuid[]))
     ORDER BY artifact_id FOR KEY SHARE
), held AS (
    SELECT t.namespace, t.name
      FROM unnest($1::text[], $2::text[]) AS n (namespace, name)
      JOIN tag t ON t.namespace = n.namespace AND t.name = n.name
     ORDER BY t.namespace, t.name FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE tag t
       SET target_id = n.target_id, version = t.version + 1, cursor = t.version + 1,
           action = 'move', from_id = t.target_id, parent_seq = t.cursor, message = n.message,
           moved_by = n.moved_by, moved_at = greatest(t.moved_at, clock_timestamp())
      FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::bigint[])
           AS n (namespace, name, target_id, message, moved_by, expected)
      JOIN held h ON h.namespace = n.namespace AND h.name = n.name
      JOIN target a ON a.namespace = n.namespace AND a.artifact_id = n.target_id
     WHERE t.namespace = n.namespace AND t.name = n.name AND t.target_id <> n.target_id
       AND (n.expected IS NULL OR t.version = n.expected)
    RETURNING {{columns}}, a.kind, a.version_hash
){RECORDED}
SELECT namespace, name, version, protected, from_id, parent_seq, moved_at, kind, version_hash
  FROM moved
""".format(columns=", ".join(f"t.{column.strip()}" for column in COLUMNS.split(",")))


class PublicationRepository:
    """Rows of cas_blob, artifact, lineage, tag and tag_move. The caller owns the transaction."""

    async def create_many(
        self, conn: Connection, new: Sequence[NewWorkflow], artifact_ids: Sequence[UUID]
    ) -> dict[UUID, CreatedWorkflow]:
        """Those whose content nobody had, by their artifact id; no tag may be there twice."""
        rows = await conn.fetch(
            CREATE_MANY,
            [each.cas_id.raw for each in new],
            [each.content for each in new],
            artifact_ids,
            [each.namespace for each in new],
            [each.name for each in new],
            [each.nodes_count for each in new],
            [each.edges_count for each in new],
            [each.by.name for each in new],
            [each.tag for each in new],
            [each.message for each in new],
        )
        asked = dict(zip(artifact_ids, new, strict=True))
        made = {}
        for artifact_id, created_at, version, protected, from_id, parent_seq, moved_at in rows:
            each = asked[artifact_id]
            artifact = Artifact(
                artifact_id=artifact_id,
                namespace=each.namespace,
                kind=Kind.DAG_VERSION,
                cas_id=each.cas_id,
                name=each.name,
                version_hash=each.cas_id,
                nodes_count=each.nodes_count,
                edges_count=each.edges_count,
                created_by=each.by.name,
                created_at=created_at,
            )
            # The table sees to it that a create, and nothing else, comes from nowhere.
            action = Action.CREATE if from_id is None else Action.MOVE
            tag = Tag(
                namespace=each.namespace,
                name=each.tag,
                target_id=artifact_id,
                version=version,
                cursor=version,
                protected=protected,
                action=action,
                from_id=from_id,
                parent_seq=parent_seq,
                message=each.message,
                moved_by=each.by.name,
                moved_at=moved_at,
            )
            change = TagChange(tag=tag, action=action)
            made[artifact_id] = CreatedWorkflow(artifact=artifact, change=change)
        return made

    async def move_many(
        self, conn: Connection, orders: Sequence[TagOrder]
    ) -> dict[tuple[str, str], MovedTag]:
        """Those that exist, are at the version expected and have another target, which exists; by
        namespace and name, of which none may be there twice.
        """
        rows = await conn.fetch(
            MOVE_MANY,
            [each.namespace for each in orders],
            [each.name for each in orders],
            [each.target_id for each in orders],
            [each.message for each in orders],
            [each.by.name for each in orders],
            [each.expected for each in orders],
        )
        asked = {(each.namespace, each.name): each for each in orders}
        made = {}
        for namespace, name, version, protected, from_id, parent_seq, moved_at, kind, raw in rows:
            order = asked[namespace, name]
            tag = Tag(
                namespace=namespace,
                name=name,
                target_id=order.target_id,
                version=version,
                cursor=version,
                protected=protected,
                action=Action.MOVE,
                from_id=from_id,
                parent_seq=parent_seq,
                message=order.message,
                moved_by=order.by.name,
                moved_at=moved_at,
            )
            made[namespace, name] = MovedTag(
                change=TagChange(tag=tag, action=Action.MOVE),
                artifact_id=order.target_id,
                kind=Kind(kind),
                version_hash=CasId(raw) if raw else None,
            )
        return made
