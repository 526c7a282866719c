"""Merges of one version into the tag of another: what must be merged, and what is stored of it.

No HTTP, no SQL, no transaction opened.
"""

from functools import partial

import msgspec

from orchestrator.core.database import Connection
from orchestrator.documents.workflow_change import ChangeRules, Revision, merged, parsed
from orchestrator.documents.workflow_diff import WorkflowDiff, diff_workflows
from orchestrator.documents.workflow_merge_value import Side
from orchestrator.errors import NoCommonAncestor
from orchestrator.models.artifact import Relation
from orchestrator.models.principal import Actor
from orchestrator.models.reference import Reference
from orchestrator.models.version import (
    Change,
    Changed,
    Head,
    MergeOutcome,
    MergeSides,
    Origin,
    WorkflowVersion,
)
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.version import VersionService
from orchestrator.service.version_change import VersionChangeService


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """A merge that was computed and is not stored: without a revision there is nothing to merge.

    `preview` is what it would change on our side, if that was requested.
    """

    sides: MergeSides
    revision: Revision | None
    preview: WorkflowDiff | None


class MergeService:
    """Composes the services of artifacts, versions and their changes."""

    def __init__(
        self,
        artifacts: ArtifactService,
        versions: VersionService,
        changes: VersionChangeService,
        *,
        rules: ChangeRules,
    ) -> None:
        self._artifacts = artifacts
        self._versions = versions
        self._changes = changes
        self._rules = rules

    async def plan(
        self,
        conn: Connection,
        head: Head,
        theirs: Reference,
        *,
        base: Reference | None,
        prefer: Side | None,
        preview: bool,
    ) -> Change[Merge]:
        """Read the versions of a merge into the head; the base is found if none is named."""
        namespace = head.version.artifact.namespace
        base_version = await self._versions.get(conn, namespace, base) if base else None
        their_version = await self._versions.get(conn, namespace, theirs)
        sides = await self.get_sides(conn, head, their_version, base_version)
        return Change(
            head=head,
            size_bytes=len(head.version.content) + len(their_version.content),
            compute=partial(_merge, sides, self._rules, prefer=prefer, preview=preview),
        )

    async def get_sides(
        self, conn: Connection, ours: Head, theirs: WorkflowVersion, base: WorkflowVersion | None
    ) -> MergeSides:
        """Find the base if none is given, and whether there is anything to merge at all."""
        our, their = ours.version.artifact, theirs.artifact
        is_named = base is not None
        if base is None:
            ancestor = await self._artifacts.get_common_ancestor(conn, our, their)
            if ancestor is None:
                raise NoCommonAncestor(str(our.artifact_id), str(their.artifact_id))
            base = await self._versions.with_content(conn, ancestor)
        outcome = MergeOutcome.MERGED
        if their == our or (base.artifact == their and not is_named):
            outcome = MergeOutcome.UP_TO_DATE
        # Ours is in theirs only if lineage says so; a base that was named may be anything.
        elif base.artifact == our and not is_named:
            outcome = MergeOutcome.FAST_FORWARD
        return MergeSides(ours=ours, theirs=theirs, base=base, outcome=outcome)

    async def store(
        self, conn: Connection, merge: Merge, *, by: Actor, message: str | None
    ) -> Changed:
        """Store the merge and move the tag, if it is still where the head was read.

        NotFound if their version, which was read before this transaction, was deleted since.
        """
        head, theirs = merge.sides.ours, merge.sides.theirs.artifact
        if merge.revision is not None:
            origin = Origin(parent_id=theirs.artifact_id, relation=Relation.MERGED_FROM)
            return await self._changes.store_patch(
                conn, head, merge.revision, by=by, message=message, origins=(origin,)
            )
        is_ahead = merge.sides.outcome is MergeOutcome.FAST_FORWARD
        target = theirs if is_ahead else head.version.artifact
        await self._artifacts.get_by_id(conn, target.namespace, target.artifact_id, locked=True)
        change = await self._changes.move(conn, head, target, by=by, message=message)
        return Changed(artifact=target, change=change)


def _merge(sides: MergeSides, rules: ChangeRules, *, prefer: Side | None, preview: bool) -> Merge:
    revision = None
    if sides.outcome is MergeOutcome.MERGED:
        ours = sides.ours.version.content
        revision = merged(sides.base.content, ours, sides.theirs.content, rules, prefer=prefer)
    diff = _preview(sides, revision) if preview else None
    return Merge(sides=sides, revision=revision, preview=diff)


def _preview(sides: MergeSides, revision: Revision | None) -> WorkflowDiff:
    before = parsed(sides.ours.version.content)
    after = before
    if revision is not None:
        after = revision.workflow.document
    elif sides.outcome is MergeOutcome.FAST_FORWARD:
        after = parsed(sides.theirs.content)
    return diff_workflows(before, after)
