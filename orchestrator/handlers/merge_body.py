"""The bodies of diffs and merges over HTTP, and how they are made; no requests here."""

from typing import Any
from uuid import UUID

import msgspec

from orchestrator.documents.workflow_change import MergeResult
from orchestrator.documents.workflow_diff import WorkflowDiff
from orchestrator.documents.workflow_merge_value import Conflict, Settlement
from orchestrator.handlers.http.body import MessageText, Version
from orchestrator.handlers.version_body import ChangedBody, changed_body
from orchestrator.models.reference import ReferenceText
from orchestrator.models.version import Changed, MergeOutcome, MergeSides


class MergeWorkflow(Settlement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Merge a version into the tag; the base is their nearest common ancestor if not named."""

    from_: ReferenceText = msgspec.field(name="from")
    base: ReferenceText | None = None
    message: MessageText | None = None
    expected_version: Version | None = None
    dry_run: bool = False


class MergedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the merge turned out to be. A dry run has a diff of what it would do.

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
    result: ChangedBody
    diff: WorkflowDiff | None


def merged_body(
    sides: MergeSides, result: MergeResult, changed: Changed, *, dry_run: bool
) -> MergedBody:
    """What the merge turned out to be; nothing was changed by a dry run."""
    revision = result.revision
    warnings = revision.warnings if revision else ()
    base_ids = [base.artifact_id for base in sides.bases]
    return MergedBody(
        outcome=sides.outcome,
        dry_run=dry_run,
        base_id=base_ids[0] if len(base_ids) == 1 else None,
        base_ids=base_ids,
        ours_id=sides.ours.version.artifact.artifact_id,
        theirs_id=sides.theirs.artifact.artifact_id,
        op_count=revision.op_count if revision else 0,
        settled=_encoded(revision.settled if revision else b"[]"),
        settled_count=revision.settled_count if revision else 0,
        result=changed_body(changed, warnings),
        diff=None if result.preview is None else _encoded(result.preview),
    )


def _encoded(content: bytes) -> Any:
    """JSON that becomes a part of the body as it is."""
    return msgspec.Raw(content)
