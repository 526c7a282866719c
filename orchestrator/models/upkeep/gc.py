"""Vocabulary of garbage collection: what goes, what stays and why, how far it is; no I/O.

What stays for which reason is said in sentences by `service/upkeep/gc_reason.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from orchestrator.models.name import NamespaceText

ARTIFACT, BLOB = "artifact", "blob"
#: Artifacts are judged from the newest to the oldest, so this is where they begin.
ID_AFTER_ALL = UUID(int=2**128 - 1)


class GCPhase(StrEnum):
    """Artifacts are deleted first: blobs that only they had are garbage then."""

    ARTIFACTS = "artifacts"
    BLOBS = "blobs"


class RetainedReason(StrEnum):
    """Why something stays."""

    #: A tag names it.
    NAMED = "named"
    #: A tag named it once: an undo of that move must find it.
    WAS_NAMED = "was-named"
    YOUNG = "young"
    #: It belongs to a run, and runs stay longer.
    YOUNG_RUN = "young-run"
    #: Somebody said that it is to stay.
    RETAINED = "retained"
    #: It says something about an artifact that stays.
    ABOUT = "about"
    #: Something that stays stands on it.
    NEEDED = "needed"
    #: An artifact that stays has these bytes.
    CONTENT = "content"
    LEASED = "leased"
    #: An upload that was completed a short time ago tells its client of it.
    UPLOADED = "uploaded"
    #: It was garbage when it was judged, and in use when it was to be deleted.
    IN_USE = "in-use"


class GCPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a collection is: it goes on after this artifact, or after this blob."""

    phase: GCPhase = GCPhase.ARTIFACTS
    artifact_id: UUID = ID_AFTER_ALL
    cas_id: bytes = b""
    #: The number of this pass through the artifacts, and whether it left some that have to wait.
    sweep: int = 1
    is_incomplete: bool = False


GC_START = GCPosition()


class Grace(msgspec.Struct, frozen=True, kw_only=True):
    """How long everything stays after its creation, and how long parts of a run do."""

    seconds: float
    run_seconds: float


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that stays by itself, whatever becomes of the others."""

    artifact_id: UUID
    namespace: str
    reason: RetainedReason
    #: The tag that names it, and the version of the tag that did.
    tag: str | None = None
    tag_version: int | None = None


class ArtifactCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact of a page that is judged; `root` is set if it stays by itself."""

    artifact_id: UUID
    namespace: str
    kind: str
    root: Root | None = None


class Annotated(msgspec.Struct, frozen=True, kw_only=True):
    """An annotation, and one of the artifacts that it is about."""

    annotation: ArtifactCandidate
    subject: ArtifactCandidate


class WalkStep(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact met on the way from candidates to what stands on them, and from where.

    `root` stands directly on it; None if nothing that stays by itself does.
    """

    artifact_id: UUID
    parent_id: UUID | None
    root: Root | None


class BlobCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A blob of a page that is judged. Its reason is None if it does not stay by itself."""

    cas_id: bytes
    size_bytes: int
    stored_bytes: int
    reason: RetainedReason | None = None
    artifact_id: UUID | None = None
    namespace: NamespaceText | None = None
    until: datetime | None = None
    upload_id: UUID | None = None


class DeletedBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob whose row is gone; its object, if it had one, is to go after the commit."""

    cas_id: bytes
    storage_key: str | None
    size_bytes: int
    stored_bytes: int


class Collected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was deleted, or would be deleted in a dry run."""

    kind: str
    id: str
    namespace: NamespaceText | None = None
    #: Of blobs; an artifact is a row, its bytes are blobs.
    size_bytes: int | None = None
    stored_bytes: int | None = None


class Retained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stays: why, because of what, and both in a sentence without its subject."""

    kind: str
    id: str
    namespace: NamespaceText | None = None
    reason: RetainedReason
    by: str | None = None
    detail: str


class CollectedPage(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one page. The objects under `storage_keys` are still to be deleted."""

    deleted: Sequence[Collected] = ()
    retained: Sequence[Retained] = ()
    storage_keys: Sequence[str] = ()
    #: None after the last page.
    following: GCPosition | None = None

    @property
    def bytes_freed(self) -> int:
        """The stored bytes of the blobs that were deleted, which compression may have shortened."""
        return sum(each.stored_bytes or 0 for each in self.deleted)
