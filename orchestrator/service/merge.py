"""Merges of one version into the tag of another: what must be merged, and what is stored of it.

No HTTP, no SQL, no transaction opened.
"""

from functools import partial

import msgspec

from orchestrator.core.database import Connection
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.documents.workflow_change import (
    USUAL,
    ChangeRules,
    Manner,
    MergeResult,
    merge_result,
    rebased_merge,
    unmerged_result,
)
from orchestrator.documents.workflow_merge_base import MergeBase, size_bytes_of
from orchestrator.documents.workflow_merge_value import Settlement
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
from orchestrator.service.merge_base import MergeBaseService
from orchestrator.service.version import VersionService
from orchestrator.service.version_change import VersionChangeService


class MergeService:
    """Composes the services of artifacts, versions and their changes."""

    def __init__(
        self,
        bases: MergeBaseService,
        artifacts: ArtifactService,
        versions: VersionService,
        changes: VersionChangeService,
        *,
        rules: ChangeRules,
    ) -> None:
        self._bases = bases
        self._artifacts = artifacts
        self._versions = versions
        self._changes = changes
        self._rules = rules

    async def plan(
        self,
        conn: Connection,
        head: Head,
        their: Reference,
        *,
        base: Reference | None,
        settlement: Settlement,
        manner: Manner = USUAL,
    ) -> Change[MergeResult]:
        """Read the versions of a merge into the head; the base is found if none is named."""
        our, namespace = head.version.artifact, head.version.artifact.namespace
        named = await self._versions.get(conn, namespace, base) if base else None
        version = await self._versions.get(conn, namespace, their)
        old: MergeBase
        if named is not None:
            bases, old = [named.artifact], named.content
        else:
            bases, old = await self._bases.find(conn, our, version.artifact)
        outcome = MergeOutcome.MERGED
        # Ours is in theirs only if lineage says so; a base that was named may be anything.
        if version.artifact == our or (named is None and bases == [version.artifact]):
            outcome = MergeOutcome.UP_TO_DATE
        elif named is None and bases == [our]:
            outcome = MergeOutcome.FAST_FORWARD
        sides = MergeSides(ours=head, theirs=version, bases=bases, outcome=outcome)

        ours, theirs = head.version.content, version.content
        if outcome is MergeOutcome.MERGED:
            work = partial(merge_result, old, ours, theirs, self._rules, settlement)
        else:
            after = theirs if outcome is MergeOutcome.FAST_FORWARD else ours
            work = partial(unmerged_result, ours, after, settlement)
        return Change(
            head=head,
            sides=sides,
            size_bytes=size_of_reading(ours) + size_of_reading(theirs) + size_bytes_of(old),
            compute=partial(work, manner=manner),
        )

    async def plan_again(
        self,
        conn: Connection,
        head: Head,
        change: Change[MergeResult],
        made: MergeResult,
        *,
        manner: Manner = USUAL,
    ) -> Change[MergeResult]:
        """Merge what came of the head that was found into the head of now, unless there is nothing
        to bring, or somebody has brought it meanwhile.
        """
        sides = change.sides
        assert sides is not None
        theirs, now = sides.theirs, head.version.content
        if sides.outcome is MergeOutcome.UP_TO_DATE or await self._contains(conn, head, theirs):
            return msgspec.structs.replace(
                change,
                head=head,
                sides=msgspec.structs.replace(sides, outcome=MergeOutcome.UP_TO_DATE),
                compute=partial(unmerged_result, now, now, Settlement(), manner=manner),
            )
        changed = theirs.content if made.revision is None else made.revision.content
        given = change.head.version.content, changed, made.revision, now
        return msgspec.structs.replace(
            change,
            head=head,
            sides=msgspec.structs.replace(sides, outcome=MergeOutcome.MERGED),
            size_bytes=change.size_bytes + size_of_reading(now),
            compute=partial(rebased_merge, *given, self._rules, manner=manner),
        )

    async def _contains(self, conn: Connection, head: Head, version: WorkflowVersion) -> bool:
        """Whether the head is the version, or comes from it."""
        ours, theirs = head.version.artifact, version.artifact
        if ours == theirs:
            return True
        nearest = await self._artifacts.list_common_ancestors(conn, ours, theirs, limit=1)
        return nearest == [theirs]

    async def store(
        self,
        conn: Connection,
        change: Change[MergeResult],
        result: MergeResult,
        *,
        by: Actor,
        message: str | None,
    ) -> Changed:
        """Store the merge and move the tag, if it is still where the head was read.

        NotFound if their version, which was read before this transaction, was deleted since.
        """
        assert change.sides is not None
        head, theirs = change.head, change.sides.theirs.artifact
        if result.revision is not None:
            origin = Origin(parent_id=theirs.artifact_id, relation=Relation.MERGED_FROM)
            return await self._changes.store_patch(
                conn, head, result.revision, by=by, message=message, origins=(origin,)
            )
        is_ahead = change.sides.outcome is MergeOutcome.FAST_FORWARD
        target = theirs if is_ahead else head.version.artifact
        await self._artifacts.get_by_id(conn, target.namespace, target.artifact_id, locked=True)
        moved = await self._changes.move(conn, head, target, by=by, message=message)
        return Changed(artifact=target, change=moved)
