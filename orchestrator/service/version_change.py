"""Versions made from versions: patches, cherry-picks, reverts, compaction.

Planning a change and storing it are separate steps: between them it is computed, outside any
transaction. The tag's version guards the gap: of changes made on the same head one wins, the others
leave nothing, and may be planned again. No SQL, no HTTP, no transaction opened.
"""

from collections.abc import Sequence
from functools import partial

import msgspec

from orchestrator.core.database import Connection
from orchestrator.documents.blob_names import blobs_named
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.documents.workflow_change import (
    USUAL,
    ChangeRules,
    Manner,
    Revision,
    merged,
    patched,
    patched_elsewhere,
    rebased,
)
from orchestrator.documents.workflow_merge_value import Settlement
from orchestrator.documents.workflow_patch import PatchFormat, size_of_work
from orchestrator.errors_change import NothingToCompact
from orchestrator.models.artifact import Artifact, Kind, NewPatch, NewVersion, Relation
from orchestrator.models.artifact_manifest import NamedBlobs
from orchestrator.models.cas import PATCH_OPERATIONS, WORKFLOW, Document
from orchestrator.models.principal import Actor
from orchestrator.models.reference import Reference
from orchestrator.models.tag import Condition, TagChange, TagOrder
from orchestrator.models.version import Change, Changed, Head, Origin, WorkflowVersion
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from orchestrator.service.version import VersionService


class VersionChangeService:
    """Composes the focused services and that of versions."""

    def __init__(
        self,
        cas: CASService,
        artifacts: ArtifactService,
        tags: TagService,
        versions: VersionService,
        references: BlobReferenceService,
        *,
        rules: ChangeRules,
    ) -> None:
        self._cas = cas
        self._artifacts = artifacts
        self._tags = tags
        self._versions = versions
        self._references = references
        self._rules = rules

    # ------------------------------------------------------------------------------- planning

    def plan_patch(
        self, head: Head, patch: bytes, format_: PatchFormat, manner: Manner = USUAL
    ) -> Change[Revision]:
        """Apply a patch; nothing but the head is needed for it."""
        content = head.version.content
        return Change(
            head=head,
            size_bytes=size_of_work(content, patch),
            compute=partial(patched, content, patch, format_, self._rules, manner),
        )

    def plan_patch_elsewhere(
        self,
        head: Head,
        base: WorkflowVersion,
        patch: bytes,
        format_: PatchFormat,
        manner: Manner = USUAL,
    ) -> Change[Revision]:
        """Apply a patch to the version that it was made for, and merge the result into the head."""
        content = head.version.content
        given = base.content, patch, format_, content
        return Change(
            head=head,
            size_bytes=size_of_work(base.content, patch) + 2 * len(content),
            compute=partial(patched_elsewhere, *given, self._rules, manner),
        )

    def plan_again(
        self, head: Head, change: Change[Revision], made: Revision, *, manner: Manner = USUAL
    ) -> Change[Revision]:
        """Merge what a change made of the head that it found into the head of now."""
        contents = change.head.version.content, made.content, head.version.content
        return msgspec.structs.replace(
            change,
            head=head,
            size_bytes=sum(map(len, contents)),
            compute=partial(rebased, *contents, self._rules, manner),
        )

    async def plan_cherry_pick(
        self,
        conn: Connection,
        head: Head,
        picked: Reference,
        settlement: Settlement,
        manner: Manner = USUAL,
    ) -> Change[Revision]:
        """Make the change that made a version again: merge it, from the version before it."""
        namespace = head.version.artifact.namespace
        theirs = await self._versions.get(conn, namespace, picked)
        base = await self._versions.get_before(conn, namespace, theirs, picked)
        origin = _origin(theirs, Relation.CHERRY_PICKED_FROM)
        return self._plan_merge(head, base, theirs, origin, settlement, manner)

    async def plan_revert(
        self,
        conn: Connection,
        head: Head,
        at: int | Reference,
        settlement: Settlement,
        manner: Manner = USUAL,
    ) -> Change[Revision]:
        """Take back the change that made a version: merge the version before it, from this one.

        The version is named, or it is the one at a position of the head's chain.
        """
        namespace = head.version.artifact.namespace
        if isinstance(at, Reference):
            reverted = await self._versions.get(conn, namespace, at)
            before = await self._versions.get_before(conn, namespace, reverted, at)
        else:
            reverted = await self._versions.get_at_seq(conn, namespace, head.version.artifact, at)
            before = await self._versions.get_before(conn, namespace, reverted, None)
        origin = _origin(reverted, Relation.REVERT_OF)
        return self._plan_merge(head, reverted, before, origin, settlement, manner)

    def _plan_merge(
        self,
        head: Head,
        base: WorkflowVersion,
        theirs: WorkflowVersion,
        origin: Origin,
        settlement: Settlement,
        manner: Manner,
    ) -> Change[Revision]:
        contents = base.content, head.version.content, theirs.content
        return Change(
            head=head,
            origins=(origin,),
            size_bytes=sum(map(size_of_reading, contents)),
            compute=partial(merged, *contents, self._rules, settlement, manner),
        )

    # ------------------------------------------------------------------------------- writing

    async def store_patch(
        self,
        conn: Connection,
        head: Head,
        revision: Revision,
        *,
        by: Actor,
        message: str | None,
        origins: Sequence[Origin] = (),
    ) -> Changed:
        """Store a revision of the head as a patch and move the tag to it, if it is still there.

        A revision that changes nothing is not stored, unless it is a merge: a later merge of the
        same versions must find that this one was made.
        """
        below = head.version.artifact
        is_merge = any(origin.relation is Relation.MERGED_FROM for origin in origins)
        if revision.version_hash == below.version_hash and not is_merge:
            # A change that changes nothing must be one on the current head, too.
            change = await self.move(conn, head, below, by=by, message=message)
            return Changed(artifact=below, change=change)
        await self._cas.store_documents(conn, patch_documents(revision, by))
        new = new_patch(below, revision, by, message)
        (artifact,) = await self._artifacts.create_patch_sets(conn, [new])
        for origin in origins:
            # It was read before this transaction, and may have been deleted since.
            parent_id = origin.parent_id
            await self._artifacts.get_by_id(conn, below.namespace, parent_id, locked=True)
            await self._artifacts.link(conn, artifact.artifact_id, parent_id, origin.relation)
        named = NamedBlobs(artifact=artifact, names=revision.references, is_new=True, by=by)
        (missing,) = await self._references.refer(conn, [named])
        change = await self.move(conn, head, artifact, by=by, message=message)
        return Changed(artifact=artifact, change=change, missing_blobs=missing)

    async def move(
        self, conn: Connection, head: Head, artifact: Artifact, *, by: Actor, message: str | None
    ) -> TagChange:
        """Move the head's tag to a version, if it is still where the head was read."""
        order = TagOrder(
            namespace=artifact.namespace,
            name=head.tag,
            target_id=artifact.artifact_id,
            message=message,
            by=by,
            condition=Condition(exists=True, versions=frozenset({head.tag_version})),
        )
        return await self._tags.move(conn, order)

    async def compact(self, conn: Connection, head: Head, *, by: Actor) -> tuple[Artifact, bool]:
        """One dag_version equal to a chain's head, and whether it is new; no tag is moved."""
        top = head.version.artifact
        if top.kind != Kind.PATCH_SET or top.version_hash is None:
            raise NothingToCompact(head.tag)
        version = NewVersion(
            namespace=top.namespace,
            cas_id=top.version_hash,
            name=top.name,
            nodes_count=top.nodes_count or 0,
            edges_count=top.edges_count or 0,
            by=by,
            meta={"compacted_from": str(top.artifact_id), "original_depth": top.depth},
        )
        compacted, is_new = await self._artifacts.find_or_create_dag_version(conn, version)
        names = blobs_named(head.version.content)
        named = NamedBlobs(artifact=compacted, names=names, is_new=is_new, by=by)
        await self._references.refer(conn, [named])
        # An equal version that was there before does not come from this chain, unless nothing
        # of the chain comes from it: then the edge cannot close a cycle.
        if is_new or await self._is_apart(conn, compacted, top):
            await self._artifacts.link(
                conn, compacted.artifact_id, top.artifact_id, Relation.COMPACTED_FROM
            )
        return compacted, is_new

    async def _is_apart(self, conn: Connection, version: Artifact, top: Artifact) -> bool:
        """Whether neither of the two has anything of the other in its history."""
        return not await self._artifacts.list_common_ancestors(conn, version, top, limit=1)


def _origin(version: WorkflowVersion, relation: Relation) -> Origin:
    return Origin(parent_id=version.artifact.artifact_id, relation=relation)


def new_patch(below: Artifact, revision: Revision, by: Actor, message: str | None) -> NewPatch:
    """What the catalogue is to have of a revision."""
    return NewPatch(
        below=below,
        cas_id=revision.operations_id,
        version_hash=revision.version_hash,
        op_count=revision.op_count,
        nodes_count=revision.nodes_count,
        edges_count=revision.edges_count,
        by=by,
        meta={} if message is None else {"message": message},
    )


def patch_documents(revision: Revision, by: Actor) -> list[Document]:
    """A patch is its operations and the workflow after them."""
    return [
        Document(
            content=revision.operations_content,
            media_type=PATCH_OPERATIONS,
            cas_id=revision.operations_id,
            by=by,
        ),
        Document(
            content=revision.content,
            media_type=WORKFLOW,
            cas_id=revision.version_hash,
            by=by,
        ),
    ]
