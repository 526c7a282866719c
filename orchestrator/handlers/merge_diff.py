"""The body of a diff over HTTP, and how it is made from two documents. It knows no request and
imports no framework, so that processes that compute can make it.
"""

from uuid import UUID

import msgspec

from orchestrator.core.digest import CasIdText
from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.workflow_change import parsed
from orchestrator.documents.workflow_diff import WorkflowDiff, diff_workflows
from orchestrator.documents.workflow_diff_text import render_text
from orchestrator.models.artifact import Kind
from orchestrator.models.version import WorkflowVersion


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


def endpoint(version: WorkflowVersion) -> Endpoint:
    """A side without its document."""
    artifact = version.artifact
    return Endpoint(
        artifact_id=artifact.artifact_id,
        kind=Kind(artifact.kind),
        version_hash=str(artifact.version_hash),
    )


def diff_json(
    before: Endpoint,
    after: Endpoint,
    old_content: bytes,
    new_content: bytes,
    *,
    operations_max: int,
) -> bytes:
    """The difference for programs, with a patch that is not refused for its length."""
    old, new = parsed(old_content), parsed(new_content)
    patch = patch_between(old, new)
    if len(patch) > operations_max:
        patch = (PatchOperation(op="replace", path="", value=new),)
    return msgspec.json.encode(
        DiffBody(before=before, after=after, diff=diff_workflows(old, new), patch=list(patch))
    )


def diff_text(old_content: bytes, new_content: bytes) -> bytes:
    """The difference for people."""
    diff = diff_workflows(parsed(old_content), parsed(new_content))
    return render_text(diff, colour=False).encode()
