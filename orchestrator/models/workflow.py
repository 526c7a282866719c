"""Vocabulary of workflows as the store returns them; the document's own rules live elsewhere."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from orchestrator.core.digest import BlobName, CasId
from orchestrator.models.artifact import Artifact, NewVersion
from orchestrator.models.cas import WORKFLOW, Document
from orchestrator.models.principal import Actor
from orchestrator.models.tag import ALWAYS, Condition, TagChange, TagOrder


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
    message: str | None = None
    condition: Condition = ALWAYS
    #: The blobs that the document names.
    references: Sequence[BlobName] = ()

    def order(self, target_id: UUID) -> TagOrder:
        """The order that lets the tag name this artifact."""
        return TagOrder(
            namespace=self.namespace,
            name=self.tag,
            target_id=target_id,
            message=self.message,
            by=self.by,
            condition=self.condition,
        )

    def document(self) -> Document:
        """The document, as the store of blobs takes it."""
        return Document(content=self.content, media_type=WORKFLOW, cas_id=self.cas_id, by=self.by)

    def version(self) -> NewVersion:
        """The version, as the catalogue takes it."""
        return NewVersion(
            namespace=self.namespace,
            cas_id=self.cas_id,
            name=self.name,
            nodes_count=self.nodes_count,
            edges_count=self.edges_count,
            by=self.by,
        )


class CreatedWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """What a create left: the version that the tag names now, and what happened to the tag."""

    artifact: Artifact
    change: TagChange
    #: Names of blobs in the document that mean nothing in the namespace.
    missing_blobs: Sequence[str] = ()


class WorkflowEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that names a workflow, joined with the version it names."""

    namespace: str
    tag: str
    tag_version: int
    message: str | None
    moved_by: str
    moved_at: datetime
    artifact_id: UUID
    kind: str
    cas_id: CasId
    version_hash: CasId
    depth: int
    nodes_count: int
    edges_count: int
    created_by: str
    created_at: datetime


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A version with its canonical bytes: all of a lookup that never changes."""

    # An entry repeats these members: inherited ones would come first in its JSON.
    artifact_id: UUID
    kind: str
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

    #: The place of the question among those that were put at once.
    at: int
    tag_version: int
    message: str | None
    moved_by: str
    moved_at: datetime
    version: StoredVersion | None


class ResolvedWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow by tag: its entry and its canonical bytes, verified against the version hash."""

    entry: WorkflowEntry
    content: bytes
    #: What the bytes belong to, if other answers share them.
    version: StoredVersion | None = None


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
