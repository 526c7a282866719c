"""The bodies of workflows over HTTP, and how they are made from versions; no requests here."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from orchestrator.core.digest import BlobNameText, CasIdText
from orchestrator.core.moment import Moment
from orchestrator.documents.workflow_diff import WorkflowDiff
from orchestrator.documents.workflow_prepare import PreparedWorkflow, WorkflowVerdict
from orchestrator.errors import Violation
from orchestrator.handlers.http.reply import etag, json_answer, location
from orchestrator.models.artifact import Kind
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import NamespaceText, TagText
from orchestrator.models.principal import Actor
from orchestrator.models.tag import Action
from orchestrator.models.workflow import (
    CreatedWorkflow,
    NewWorkflow,
    WorkflowComponents,
    WorkflowEntry,
)

CreatedBody = TypeVar("CreatedBody", bound="CreatedWorkflowBody")


class WorkflowBody(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a workflow and the tag that names it, without the document."""

    namespace: NamespaceText
    tag: TagText
    tag_version: int
    artifact_id: UUID
    kind: Kind
    cas_id: CasIdText
    version_hash: CasIdText
    depth: int
    nodes_count: int
    edges_count: int
    created_by: str
    created_at: Moment
    message: str | None
    moved_by: str
    moved_at: Moment


class CreatedWorkflowBody(WorkflowBody, frozen=True, kw_only=True):
    """The version that the tag names now; `action` is null when it named that one already.

    `missing_blobs` are names of blobs in the document that mean nothing in the namespace, and
    `warnings` what in it may be a mistake. Of a dry run, which has changed nothing, ids and times
    that would be new are nobody's; `diff` is against what the tag names, if that is a workflow.
    """

    action: Action | None
    missing_blobs: list[BlobNameText] | UnsetType = UNSET
    warnings: list[Violation] | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    diff: WorkflowDiff | UnsetType | None = UNSET


class ValidatedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of a document if it were stored: refused for its violations, or with
    warnings. A document of a wrong shape is not counted.
    """

    valid: bool
    version_hash: CasIdText
    size_bytes: int
    nodes_count: int | None
    edges_count: int | None
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]


class BaseBody(msgspec.Struct, frozen=True, kw_only=True):
    """The version at the bottom of a chain, and its document."""

    artifact_id: UUID
    cas_id: CasIdText
    version_hash: CasIdText
    workflow: Any


class PatchBody(msgspec.Struct, frozen=True, kw_only=True):
    """One patch of a chain, with its operations."""

    seq: int
    artifact_id: UUID
    cas_id: CasIdText
    version_hash: CasIdText
    depth: int
    op_count: int
    created_by: str
    created_at: Moment
    operations: Any


class ResolvedWorkflowBody(WorkflowBody, frozen=True, kw_only=True):
    """A version of a workflow: its canonical document after all patches, or what it is made of."""

    workflow: dict[str, Any] | UnsetType = UNSET
    base: BaseBody | UnsetType = UNSET
    patches: list[PatchBody] | UnsetType = UNSET


class ComponentsBody(WorkflowBody, frozen=True, kw_only=True):
    """A workflow as it is stored: its base and the patches on it, oldest first."""

    base: BaseBody
    patches: list[PatchBody]


def new_workflow(
    prepared: PreparedWorkflow, *, namespace: str, tag: str, by: Actor, message: str | None
) -> NewWorkflow:
    """What a request to store this document under a tag comes to."""
    return NewWorkflow(
        namespace=namespace,
        tag=tag,
        content=prepared.content,
        cas_id=prepared.cas_id,
        name=prepared.name,
        nodes_count=prepared.nodes_count,
        edges_count=prepared.edges_count,
        by=by,
        message=message,
        references=prepared.references,
    )


def validated_body(verdict: WorkflowVerdict) -> ValidatedBody:
    """The verdict with its hash as text."""
    fields = msgspec.structs.asdict(verdict)
    valid = not verdict.violations
    return ValidatedBody(**{**fields, "version_hash": str(verdict.version_hash)}, valid=valid)


def workflow_body(entry: WorkflowEntry) -> WorkflowBody:
    """The entry with its hashes as text."""
    fields = msgspec.structs.asdict(entry)
    return WorkflowBody(
        **{**fields, "cas_id": str(entry.cas_id), "version_hash": str(entry.version_hash)}
    )


def created_body(
    created: CreatedWorkflow, warnings: Sequence[Violation] = ()
) -> CreatedWorkflowBody:
    """The version and its tag after a create."""
    artifact, tag = created.artifact, created.change.tag
    return CreatedWorkflowBody(
        namespace=tag.namespace,
        tag=tag.name,
        tag_version=tag.version,
        artifact_id=artifact.artifact_id,
        kind=Kind(artifact.kind),
        cas_id=str(artifact.cas_id),
        version_hash=str(artifact.version_hash),
        depth=artifact.depth,
        nodes_count=artifact.nodes_count or 0,
        edges_count=artifact.edges_count or 0,
        created_by=artifact.created_by,
        created_at=artifact.created_at,
        message=tag.message,
        moved_by=tag.moved_by,
        moved_at=tag.moved_at,
        action=created.change.action,
        missing_blobs=list(created.missing_blobs) or UNSET,
        warnings=list(warnings) or UNSET,
    )


def created_answer(created: CreatedWorkflow, warnings: Sequence[Violation]) -> Answer:
    """201 with the address and the version hash."""
    body = created_body(created, warnings)
    where = location("workflows", body.tag, body.namespace)
    return json_answer(body, 201, {"ETag": etag(body.version_hash), "Location": where})


def rehearsed(body: CreatedBody, preview: bytes | None) -> CreatedBody:
    """What a dry run answers of a change: `preview` is what it would change, if that is known."""
    diff: Any = None if preview is None else msgspec.Raw(preview)
    return replace(body, dry_run=True, diff=diff)


def components_body(parts: WorkflowComponents) -> ComponentsBody:
    """Base and patches, their stored bytes as they are."""
    base = parts.base
    return ComponentsBody(
        **msgspec.structs.asdict(workflow_body(parts.entry)),
        base=BaseBody(
            artifact_id=base.artifact_id,
            cas_id=str(base.cas_id),
            version_hash=str(base.version_hash),
            workflow=msgspec.Raw(parts.base_content),
        ),
        patches=[
            PatchBody(
                seq=patch.seq,
                artifact_id=patch.artifact.artifact_id,
                cas_id=str(patch.artifact.cas_id),
                version_hash=str(patch.artifact.version_hash),
                depth=patch.artifact.depth,
                op_count=patch.artifact.op_count,
                created_by=patch.artifact.created_by,
                created_at=patch.artifact.created_at,
                operations=msgspec.Raw(patch.operations),
            )
            for patch in parts.patches
        ],
    )
