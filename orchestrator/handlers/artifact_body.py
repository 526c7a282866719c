"""The bodies of artifacts over HTTP, and how they are made from artifacts; no requests here."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from orchestrator.core.digest import BlobNameText, CasIdText
from orchestrator.core.moment import Moment
from orchestrator.documents.artifact_draft import KindText, RelationText
from orchestrator.documents.manifest import read_manifest
from orchestrator.handlers.http.paging import Page
from orchestrator.handlers.tag_body import TagChangeBody, change_body
from orchestrator.models.artifact import Artifact, LineageEdge
from orchestrator.models.artifact_manifest import ArtifactDetails, CreatedArtifact, File, Parent
from orchestrator.models.cas import (
    MANIFEST,
    PATCH_OPERATIONS,
    RUN_MANIFEST,
    RUN_SNAPSHOT,
    WORKFLOW,
)
from orchestrator.models.name import NamespaceText, TagText

MEDIA_TYPES = {
    "dag_version": WORKFLOW,
    "patch_set": PATCH_OPERATIONS,
    "run_manifest": RUN_MANIFEST,
    "run_snapshot": RUN_SNAPSHOT,
}


class ArtifactBody(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    artifact_id: UUID
    namespace: NamespaceText
    kind: KindText
    cas_id: CasIdText
    media_type: str
    name: str | None
    version_hash: CasIdText | None
    plan_hash: CasIdText | None
    base_id: UUID | None
    previous_id: UUID | None
    depth: int
    op_count: int
    nodes_count: int | None
    edges_count: int | None
    meta: Any
    created_by: str
    created_at: Moment


class FileBody(msgspec.Struct, frozen=True, kw_only=True):
    """A blob of an artifact; one without a name is the only one."""

    cas_id: CasIdText
    name: str | None
    media_type: str
    size_bytes: int


class ParentBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an artifact comes from; who said so and when, if that was after it was created."""

    artifact_id: UUID
    relation: RelationText
    added_by: str | UnsetType = UNSET
    added_at: Moment | UnsetType = UNSET


class ArtifactDetailsBody(ArtifactBody, frozen=True, kw_only=True):
    """An artifact with its blobs, and the first 1,000 of its parents and of the blobs that its
    document names.

    `expires_at`: when garbage collection may delete it, unless something names it by then.
    """

    blobs: list[FileBody]
    parents: list[ParentBody]
    references: list[CasIdText]
    retained: bool
    expires_at: Moment | None


class CreatedArtifactBody(ArtifactDetailsBody, frozen=True, kw_only=True):
    """An artifact after a create; `action` is null when it was there already.

    `missing_blobs` are names of blobs in its meta that mean nothing in the namespace.
    """

    action: Literal["create"] | None
    missing_blobs: list[BlobNameText] | UnsetType = UNSET
    tag: TagChangeBody | UnsetType = UNSET


class ChainBody(msgspec.Struct, frozen=True, kw_only=True):
    """The version at the bottom and the patches on it, oldest first."""

    base: ArtifactBody
    patches: list[ArtifactBody]


class LineageItem(msgspec.Struct, frozen=True, kw_only=True):
    """A typed edge, which way the walk met it, the artifact at its farther end, and the tags that
    name that if it is asked.
    """

    child_id: UUID
    parent_id: UUID
    relation: RelationText
    direction: Literal["up", "down"]
    distance: int
    artifact: ArtifactBody
    tags: list[TagText] | UnsetType = UNSET


class LineageBody(Page[LineageItem], frozen=True, kw_only=True):
    """A page of edges; `truncated` if `depth` left some out behind those on this page."""

    truncated: bool


def artifact_body(artifact: Artifact) -> ArtifactBody:
    """The artifact with its hashes as text."""
    return ArtifactBody(**_members(artifact))


def details_body(details: ArtifactDetails) -> ArtifactDetailsBody:
    """The artifact with all that is known of it."""
    return ArtifactDetailsBody(**_detailed(details))


def created_body(created: CreatedArtifact) -> CreatedArtifactBody:
    """The artifact after a create, and what the create did."""
    return CreatedArtifactBody(
        **_detailed(created.details),
        action="create" if created.is_new else None,
        missing_blobs=list(created.missing_blobs) or UNSET,
        tag=UNSET if created.change is None else change_body(created.change),
    )


def file_body(file: File) -> FileBody:
    """The file with its name as text."""
    return FileBody(
        cas_id=str(file.cas_id),
        name=file.name,
        media_type=file.media_type,
        size_bytes=file.size_bytes,
    )


def lineage_item(edge: LineageEdge, tags: list[str] | UnsetType = UNSET) -> LineageItem:
    """The edge with its artifact as it is shown."""
    return LineageItem(
        child_id=edge.child_id,
        parent_id=edge.parent_id,
        relation=edge.relation,
        direction="up" if edge.up else "down",
        distance=edge.distance,
        artifact=artifact_body(edge.artifact),
        tags=tags,
    )


def _detailed(details: ArtifactDetails) -> dict[str, Any]:
    members = _members(details.artifact)
    blobs: list[FileBody] = []
    if details.manifest is not None:
        manifest = read_manifest(details.manifest)
        members["meta"] = manifest.meta
        blobs = [FileBody(**msgspec.structs.asdict(blob)) for blob in manifest.blobs]
    return {
        **members,
        "blobs": blobs,
        "parents": [_parent_body(parent) for parent in details.parents],
        "references": [str(each) for each in details.references],
        "retained": details.standing.retained,
        "expires_at": details.standing.expires_at,
    }


def _parent_body(parent: Parent) -> ParentBody:
    return ParentBody(
        artifact_id=parent.artifact_id,
        relation=parent.relation,
        added_by=parent.added_by or UNSET,
        added_at=parent.added_at or UNSET,
    )


def _members(artifact: Artifact) -> dict[str, Any]:
    members = msgspec.structs.asdict(artifact)
    for name in ("cas_id", "version_hash", "plan_hash"):
        members[name] = str(members[name]) if members[name] is not None else None
    members["media_type"] = MEDIA_TYPES.get(artifact.kind, MANIFEST)
    return members
