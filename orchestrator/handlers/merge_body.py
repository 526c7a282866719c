"""The bodies of diffs and merges over HTTP, and how they are made; no requests here."""

from uuid import UUID

import msgspec

from orchestrator.core.digest import CasIdText
from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.workflow_change import parsed
from orchestrator.documents.workflow_diff import WorkflowDiff, diff_workflows
from orchestrator.documents.workflow_diff_text import render_text
from orchestrator.documents.workflow_merge_value import Conflict, Settlement, listed_conflicts
from orchestrator.handlers.http.reading import MessageText
from orchestrator.handlers.version_body import ChangedBody, changed_body
from orchestrator.models.artifact import Kind
from orchestrator.models.reference import ReferenceText
from orchestrator.models.version import Changed, MergeOutcome, WorkflowVersion
from orchestrator.service.merge import Merge


class MergeWorkflow(Settlement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Merge a version into the tag; the base is their nearest common ancestor if not named."""

    from_: ReferenceText = msgspec.field(name="from")
    base: ReferenceText | None = None
    message: MessageText | None = None
    dry_run: bool = False


class MergedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the merge turned out to be. A dry run has a diff of what it would do, and no result.

    `base_id` is null if there are several bases, which were merged first. `settled` ends where a
    list of conflicts would be too long; `settled_count` counts them all.
    """

    outcome: MergeOutcome
    dry_run: bool
    base_id: UUID | None
    base_ids: list[UUID]
    ours_id: UUID
    theirs_id: UUID
    op_count: int
    settled: list[Conflict]
    settled_count: int
    result: ChangedBody | None
    diff: WorkflowDiff | None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a diff."""

    artifact_id: UUID
    kind: Kind
    version_hash: CasIdText


class DiffBody(msgspec.Struct, frozen=True, kw_only=True):
    """What changed, node by node, and the patch that turns one document into the other."""

    before: Endpoint
    after: Endpoint
    diff: WorkflowDiff
    patch: list[PatchOperation]


def merged_body(merge: Merge, changed: Changed | None) -> MergedBody:
    """What the merge turned out to be; nothing was changed by a dry run."""
    sides, revision = merge.sides, merge.revision
    base_ids = [base.artifact_id for base in sides.bases]
    settled = revision.settled if revision else ()
    return MergedBody(
        outcome=sides.outcome,
        dry_run=changed is None,
        base_id=base_ids[0] if len(base_ids) == 1 else None,
        base_ids=base_ids,
        ours_id=sides.ours.version.artifact.artifact_id,
        theirs_id=sides.theirs.artifact.artifact_id,
        op_count=len(revision.operations) if revision else 0,
        settled=listed_conflicts(settled),
        settled_count=len(settled),
        result=changed_body(changed) if changed else None,
        diff=merge.preview,
    )


def diff_body(before: WorkflowVersion, after: WorkflowVersion) -> DiffBody:
    """The difference for programs."""
    old, new = parsed(before.content), parsed(after.content)
    return DiffBody(
        before=_endpoint(before),
        after=_endpoint(after),
        diff=diff_workflows(old, new),
        patch=list(patch_between(old, new)),
    )


def diff_text(before: WorkflowVersion, after: WorkflowVersion) -> bytes:
    """The difference for people."""
    diff = diff_workflows(parsed(before.content), parsed(after.content))
    return render_text(diff, colour=False).encode()


def _endpoint(version: WorkflowVersion) -> Endpoint:
    artifact = version.artifact
    return Endpoint(
        artifact_id=artifact.artifact_id,
        kind=artifact.kind,
        version_hash=str(artifact.version_hash),
    )
