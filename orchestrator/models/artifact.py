"""Vocabulary of the catalogue: artifacts, their kinds and their lineage; no I/O."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasId
from orchestrator.models.principal import Actor


class Kind(StrEnum):
    """The kinds of artifacts whose members the database knows one by one. An artifact of any other
    kind is named by its manifest (models/artifact_manifest.py).
    """

    DAG_VERSION = "dag_version"
    PATCH_SET = "patch_set"
    RUN_MANIFEST = "run_manifest"
    RUN_SNAPSHOT = "run_snapshot"
    OCI_MANIFEST = "oci_manifest"


class Relation(StrEnum):
    """Why a lineage edge leads from a child to its parent, where we made the edge ourselves."""

    #: A whole new version replaced the parent as what the tag names.
    REVISION_OF = "revision_of"
    #: A patch was applied on the parent.
    PATCH_OF = "patch_of"
    #: The parent's changes were merged in.
    MERGED_FROM = "merged_from"
    #: The child is the parent after all its patches, as one version.
    COMPACTED_FROM = "compacted_from"
    #: The change that made the parent was made again, or taken back, on another version.
    CHERRY_PICKED_FROM = "cherry_picked_from"
    REVERT_OF = "revert_of"
    #: The child's document names the content of the parent.
    REFERS_TO = "refers_to"


#: What `/workflows/{tag}` is for.
WORKFLOW_KINDS = frozenset({Kind.DAG_VERSION, Kind.PATCH_SET})


class NewArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact before the database gave it its time.

    `version_hash` names the workflow after all patches; `base_id` is the dag_version below a
    chain of patches, `previous_id` the patch before this one (None for the first).
    """

    artifact_id: UUID
    namespace: str
    kind: str
    cas_id: CasId
    name: str | None = None
    version_hash: CasId | None = None
    plan_hash: CasId | None = None
    base_id: UUID | None = None
    previous_id: UUID | None = None
    depth: int = 0
    op_count: int = 0
    nodes_count: int | None = None
    edges_count: int | None = None
    #: An object; of one that is new also its JSON text (msgspec.Raw), whose spelling then stays.
    meta: Any = {}
    created_by: str


class Artifact(NewArtifact, frozen=True, kw_only=True):
    """One entry of the catalogue. It never changes."""

    created_at: datetime


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole version of a workflow that a namespace is to have; `cas_id` names its content."""

    namespace: str
    cas_id: CasId
    name: str | None
    nodes_count: int
    edges_count: int
    by: Actor
    meta: dict[str, Any] = {}


class NewPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch above a version; `cas_id` names the operations, `version_hash` the workflow after
    them.
    """

    below: "Artifact"
    cas_id: CasId
    version_hash: CasId
    op_count: int
    nodes_count: int
    edges_count: int
    by: Actor
    meta: dict[str, Any] = {}


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A lineage edge as it is stored."""

    child_id: UUID
    parent_id: UUID
    relation: str


#: A version contains the changes of a parent to which it has one of these relations.
CONTAINING = (
    Relation.REVISION_OF,
    Relation.PATCH_OF,
    Relation.MERGED_FROM,
    Relation.COMPACTED_FROM,
)


class LineageEdge(msgspec.Struct, frozen=True, kw_only=True):
    """A typed link child → parent, at this distance from the start of the walk.

    `artifact` is the end of the edge that is farther from the start: the parent if the walk goes
    `up`.
    """

    up: bool
    child_id: UUID
    parent_id: UUID
    relation: str
    distance: int
    artifact: Artifact
