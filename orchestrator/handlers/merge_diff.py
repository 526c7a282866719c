"""The body of a diff over HTTP, and how it is made from two documents. It knows no request and
imports no framework, so that processes that compute can make it.
"""

from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from orchestrator.core.digest import CasIdText
from orchestrator.documents.artifact_draft import KindText
from orchestrator.documents.equality import equal
from orchestrator.documents.manifest_diff import (
    ManifestDiff,
    diff_manifests,
    render_manifest_diff,
)
from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.workflow_address import Address
from orchestrator.documents.workflow_address_diff import patch_between_by_id
from orchestrator.documents.workflow_address_patch import apply_by_id
from orchestrator.documents.workflow_change import parsed
from orchestrator.documents.workflow_diff import WorkflowDiff, diff_workflows
from orchestrator.documents.workflow_diff_text import render_text
from orchestrator.models.version import WorkflowVersion


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a diff."""

    artifact_id: UUID
    kind: KindText
    version_hash: CasIdText


class DiffBody(msgspec.Struct, frozen=True, kw_only=True):
    """What changed, node by node in workflows, and in the manifests of other artifacts, and the
    patch that turns one document into the other.

    With `address=id` the patch says nothing of the order of nodes and edges, and `exact` is whether
    it makes the very document with this hash.
    """

    before: Endpoint
    after: Endpoint
    diff: WorkflowDiff | UnsetType = UNSET
    manifest: ManifestDiff | UnsetType = UNSET
    patch: list[PatchOperation]
    exact: bool | UnsetType = UNSET


def endpoint(version: WorkflowVersion) -> Endpoint:
    """A side without its document."""
    artifact = version.artifact
    return Endpoint(
        artifact_id=artifact.artifact_id,
        kind=artifact.kind,
        version_hash=str(artifact.version_hash),
    )


def diff_json(
    before: Endpoint,
    after: Endpoint,
    old_content: bytes,
    new_content: bytes,
    address: Address,
) -> bytes:
    """The difference for programs."""
    old, new = parsed(old_content), parsed(new_content)
    exact: bool | UnsetType = UNSET
    if address == "id":
        patch = patch_between_by_id(old, new)
        exact = equal(apply_by_id(old, patch)[0], new)
    else:
        patch = patch_between(old, new)
    diff = diff_workflows(old, new)
    return msgspec.json.encode(
        DiffBody(before=before, after=after, diff=diff, patch=list(patch), exact=exact)
    )


def manifest_diff_json(
    before: Endpoint, after: Endpoint, old_content: bytes, new_content: bytes
) -> bytes:
    """The difference of two manifests for programs."""
    patch = patch_between(parsed(old_content), parsed(new_content))
    diff = diff_manifests(old_content, new_content)
    return msgspec.json.encode(
        DiffBody(before=before, after=after, manifest=diff, patch=list(patch))
    )


def manifest_diff_text(old_content: bytes, new_content: bytes) -> bytes:
    """The difference of two manifests for people."""
    return render_manifest_diff(diff_manifests(old_content, new_content)).encode()


def diff_text(old_content: bytes, new_content: bytes) -> bytes:
    """The difference for people."""
    diff = diff_workflows(parsed(old_content), parsed(new_content))
    return render_text(diff, colour=False).encode()
