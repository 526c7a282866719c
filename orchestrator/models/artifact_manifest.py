"""Vocabulary of artifacts of any kind: kinds, files, parents, how long they stay; no I/O."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from orchestrator.core.digest import BlobName, CasId
from orchestrator.models.artifact import Artifact, Kind, Relation
from orchestrator.models.principal import Actor
from orchestrator.models.reference import Reference
from orchestrator.models.tag import ALWAYS, Condition, TagChange, TagOrder

KIND_LENGTH_MAX = 100
KIND_PATTERN = r"[a-z][a-z0-9_.-]*(?:/[a-z0-9][a-z0-9_.-]*)*"
#: What is said about an artifact later. It lives as long as what it is about.
ANNOTATION = "annotation"
#: Kinds that mean something to us, now or later: nobody may give them another meaning.
RESERVED_KINDS = frozenset(
    {
        *Kind,
        *("run_archive", "step_output", "report", "document", "corpus", "snapshot", "council"),
        *("policy", "proposal", "review", "check_report", "deliberation_result"),
    }
)

RELATION_LENGTH_MAX = 100
RELATION_PATTERN = r"[a-z][a-z0-9_.-]*"
ABOUT = "about"
DERIVED_FROM = "derived_from"
#: Relations that we record ourselves, as the history of versions is read from them.
RESERVED_RELATIONS = frozenset(Relation)


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A blob of an artifact, as its manifest lists it."""

    cas_id: CasId
    name: str | None
    media_type: str
    size_bytes: int


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that an artifact is to have; without a media type it has the blob's own."""

    blob: BlobName
    name: str | None = None
    media_type: str | None = None


class NewParent(msgspec.Struct, frozen=True, kw_only=True):
    """What an artifact comes from, as a request names it."""

    reference: Reference
    relation: str


class ArtifactDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact as a request describes it, with every rule checked that needs no look."""

    kind: str
    name: str | None
    files: Sequence[NewFile]
    meta: dict[str, Any]
    #: The blobs that meta names.
    references: Sequence[BlobName]
    parents: Sequence[NewParent]


class NewManifest(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that a namespace is to have, and its manifest, which is its content."""

    namespace: str
    kind: str
    name: str | None
    content: bytes
    cas_id: CasId
    files: Sequence[File]
    #: Canonical JSON.
    meta: bytes
    #: What a list finds it by: a digest of each member of meta that is no list and no object.
    digests: Sequence[bytes]
    references: Sequence[BlobName]
    by: Actor


class NamedBlobs(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact, and the blobs that its document names."""

    artifact: Artifact
    names: Sequence[BlobName]
    is_new: bool
    by: Actor


class HeldBlobs(msgspec.Struct, frozen=True):
    """An artifact, and those of the blobs that its document names that are there."""

    artifact: Artifact
    cas_ids: Sequence[CasId]
    is_new: bool
    by: Actor


class WantedArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that is to be there, and what else is to be so."""

    new: NewManifest
    parents: Sequence[NewParent] = ()
    #: Whether it is to be retained; None: as it was.
    retain: bool | None = None
    #: The tag that is to name it, why, and what must be true of the tag.
    tag: str | None = None
    message: str | None = None
    condition: Condition = ALWAYS

    def order(self, target_id: UUID) -> TagOrder:
        """The order that lets the tag name this artifact."""
        assert self.tag is not None
        return TagOrder(
            namespace=self.new.namespace,
            name=self.tag,
            target_id=target_id,
            message=self.message,
            by=self.new.by,
            condition=self.condition,
        )


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that another one comes from; who added the edge, if it came after its child."""

    artifact_id: UUID
    relation: str
    added_by: str | None
    added_at: datetime | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How long an artifact stays. Without `expires_at` it stays as long as something names it, or
    it is retained; else garbage collection may delete it then, unless something names it by then.
    """

    retained: bool
    expires_at: datetime | None


class ArtifactDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact with all that is known of it."""

    artifact: Artifact
    #: The content of a manifest; None for kinds that have none.
    manifest: bytes | None
    parents: Sequence[Parent]
    #: The blobs that its document names.
    references: Sequence[CasId]
    standing: Standing


class CreatedArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """What a create left, whether the artifact is new, and what happened to the tag."""

    details: ArtifactDetails
    is_new: bool
    change: TagChange | None = None
    #: Names of blobs in meta that mean nothing in the namespace.
    missing_blobs: Sequence[str] = ()


class ArtifactFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which artifacts a list shows; what is None or empty is not asked for."""

    kind: str | None = None
    name: str | None = None
    prefix: str | None = None
    created_by: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    version_hash: CasId | None = None
    #: For each member of meta that is asked for, the digests it may have.
    meta: Sequence[Sequence[bytes]] = ()


EVERY = ArtifactFilter()
