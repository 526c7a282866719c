"""Vocabulary of workflows as the store returns them; the document's own rules live elsewhere."""

from datetime import datetime
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Artifact, Kind
from orchestrator.models.principal import Actor
from orchestrator.models.tag import TagChange


class NewWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A version to be stored and the tag that is to name it; `cas_id` is the content's name."""

    namespace: str
    tag: str
    content: bytes
    cas_id: CasId
    name: str | None
    nodes_count: int
    edges_count: int
    by: Actor
    message: str | None


class CreatedWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """What a create left: the version that the tag names now, and what happened to the tag."""

    artifact: Artifact
    change: TagChange


class WorkflowEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that names a workflow, joined with the version it names."""

    namespace: str
    tag: str
    tag_version: int
    message: str | None
    moved_by: str
    moved_at: datetime
    artifact_id: UUID
    kind: Kind
    cas_id: CasId
    version_hash: CasId
    depth: int
    nodes_count: int
    edges_count: int
    created_by: str
    created_at: datetime


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version with its canonical bytes: all of a lookup that never changes."""

    artifact_id: UUID
    kind: Kind
    cas_id: CasId
    version_hash: CasId
    depth: int
    nodes_count: int
    edges_count: int
    created_by: str
    created_at: datetime
    content: bytes


class Pointing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a tag points now; `version` is None when it is the one that the caller knows."""

    turn: int
    tag_version: int
    message: str | None
    moved_by: str
    moved_at: datetime
    version: StoredVersion | None


class ResolvedWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow by tag: its entry and its canonical bytes, verified against the version hash."""

    entry: WorkflowEntry
    content: bytes


class PatchComponent(msgspec.Struct, frozen=True, kw_only=True):
    """One patch of a chain, with the operations exactly as they are stored."""

    seq: int
    artifact: Artifact
    operations: bytes


class WorkflowComponents(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow taken apart: the version at the bottom and the patches on it, oldest first."""

    entry: WorkflowEntry
    base: Artifact
    base_content: bytes
    patches: tuple[PatchComponent, ...]
