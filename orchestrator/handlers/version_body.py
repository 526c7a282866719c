"""The bodies of versions over HTTP, and how they are made from artifacts; no requests here."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasIdText
from orchestrator.core.moment import Moment
from orchestrator.documents.workflow_merge_value import Settlement
from orchestrator.errors import Violation
from orchestrator.handlers.http.body import MessageText, Version
from orchestrator.handlers.workflow_body import CreatedWorkflowBody, created_body
from orchestrator.models.artifact import Artifact, Kind
from orchestrator.models.name import TagText
from orchestrator.models.reference import ReferenceText
from orchestrator.models.tag import TagChange
from orchestrator.models.version import Changed, Head
from orchestrator.models.workflow import CreatedWorkflow

SEQ_DIGITS_MAX = 9


class CompactWorkflow(msgspec.Struct, forbid_unknown_fields=True):
    """Make one version of a chain; `move` lets the tag name it."""

    move: bool = False
    message: MessageText | None = None
    expected_version: Version | None = None


class CherryPick(Settlement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make the change that made this version again, on the tag's head."""

    version: ReferenceText
    message: MessageText | None = None
    expected_version: Version | None = None


class Revert(Settlement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take back the change that made a version: a position in the chain, or a reference."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=10**SEQ_DIGITS_MAX)] | None = None
    version: ReferenceText | None = None
    message: MessageText | None = None
    expected_version: Version | None = None


class VersionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a chain: who made it, when, and by how many operations."""

    seq: int
    artifact_id: UUID
    kind: Kind
    version_hash: CasIdText
    cas_id: CasIdText
    op_count: int
    message: str | None
    created_by: str
    created_at: Moment


class VersionBody(VersionItem, frozen=True, kw_only=True):
    """A version of a chain with its document."""

    workflow: dict[str, Any]


class ChangedBody(CreatedWorkflowBody, frozen=True, kw_only=True):
    """The version that the tag names after the change; `action` is null if nothing changed.

    With `on_conflict=merge`, `merged` is whether the tag had moved since the version that the patch
    was made for.
    """

    op_count: int
    merged: bool | msgspec.UnsetType = msgspec.UNSET


class CompactedBody(msgspec.Struct, frozen=True, kw_only=True):
    """The version that equals the chain's head; `created` is false if there was one already.

    A dry run has made none: an id that would be new is nobody's.
    """

    artifact_id: UUID
    version_hash: CasIdText
    compacted_from: UUID
    original_depth: int
    created: bool
    tag: TagText
    tag_version: int
    moved: bool
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET


def changed_body(changed: Changed, warnings: Sequence[Violation] = ()) -> ChangedBody:
    """The version that the tag names after a change."""
    created = created_body(
        CreatedWorkflow(
            artifact=changed.artifact,
            change=changed.change,
            missing_blobs=changed.missing_blobs,
        ),
        warnings,
    )
    return ChangedBody(**msgspec.structs.asdict(created), op_count=changed.artifact.op_count)


def compacted_body(
    head: Head, artifact: Artifact, change: TagChange | None, *, created: bool, dry_run: bool
) -> CompactedBody:
    """What became, or would become, of the head's chain, and of the tag if it was to move."""
    return CompactedBody(
        artifact_id=artifact.artifact_id,
        version_hash=str(artifact.version_hash),
        compacted_from=head.version.artifact.artifact_id,
        original_depth=head.version.artifact.depth,
        created=created,
        tag=head.tag,
        tag_version=change.tag.version if change else head.tag_version,
        moved=change is not None,
        dry_run=dry_run or msgspec.UNSET,
    )


def version_item(artifact: Artifact) -> VersionItem:
    """One line of a chain."""
    return VersionItem(
        seq=artifact.depth,
        artifact_id=artifact.artifact_id,
        kind=Kind(artifact.kind),
        version_hash=str(artifact.version_hash),
        cas_id=str(artifact.cas_id),
        op_count=artifact.op_count,
        message=artifact.meta.get("message"),
        created_by=artifact.created_by,
        created_at=artifact.created_at,
    )
