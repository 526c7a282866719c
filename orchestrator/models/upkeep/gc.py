"""Vocabulary of garbage collection: what goes, what stays and why, how far it is; no I/O."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasId

ARTIFACT, BLOB = "artifact", "blob"
#: Of artifacts, which are looked at from the newest to the oldest.
ID_AFTER_ALL = UUID(int=2**128 - 1)


class Phase(StrEnum):
    """Artifacts go first: what only they stood on is garbage then."""

    ARTIFACTS = "artifacts"
    BLOBS = "blobs"


class Reason(StrEnum):
    """Why something stays."""

    #: A tag names it.
    NAMED = "named"
    #: A tag named it once: whoever takes that move back must find it.
    WAS_NAMED = "was-named"
    YOUNG = "young"
    #: It is of a run, and those stay longer.
    YOUNG_RUN = "young-run"
    #: Something that stays stands on it.
    NEEDED = "needed"
    #: An artifact that stays has these bytes.
    CONTENT = "content"
    LEASED = "leased"
    #: An upload that has just been completed is told of it.
    UPLOADED = "uploaded"
    #: It was garbage when it was looked at and in use when it was to go.
    IN_USE = "in-use"


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a collection is: after this artifact, or after this blob."""

    phase: Phase = Phase.ARTIFACTS
    artifact_id: UUID = ID_AFTER_ALL
    cas_id: bytes = b""
    #: How often the artifacts have been gone through, and whether some have to wait for others.
    sweep: int = 1
    is_incomplete: bool = False


START = Position()


class Grace(msgspec.Struct, frozen=True, kw_only=True):
    """How long everything stays, and how long what belongs to a run does."""

    seconds: float
    run_seconds: float


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that stays by itself: no other one is asked."""

    artifact_id: UUID
    namespace: str
    reason: Reason
    #: The tag that names it, and the version of the tag that did.
    tag: str | None = None
    tag_version: int | None = None


class ArtifactCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that is looked at; `root` tells if it stays by itself."""

    artifact_id: UUID
    namespace: str
    root: Root | None = None


class WalkStep(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact met on the way from candidates to what stands on them, and from where.

    `root` stands directly on it; None if nothing that stays by itself does.
    """

    artifact_id: UUID
    parent_id: UUID | None
    root: Root | None


class BlobCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that is looked at. Its reason is None if it does not stay by itself."""

    cas_id: bytes
    size_bytes: int
    stored_bytes: int
    reason: Reason | None = None
    artifact_id: UUID | None = None
    namespace: str | None = None
    until: datetime | None = None
    upload_id: UUID | None = None


class DeletedBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob whose row is gone; its object, if it had one, is to go after the commit."""

    cas_id: bytes
    storage_key: str | None
    size_bytes: int
    stored_bytes: int


class Collected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was deleted, or would be."""

    kind: str
    id: str
    namespace: str | None = None
    #: Of blobs; an artifact is a row, its bytes are blobs.
    size_bytes: int | None = None
    stored_bytes: int | None = None


class Keep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stays: why, through what, and both in a sentence without its subject."""

    kind: str
    id: str
    namespace: str | None = None
    reason: Reason
    by: str | None = None
    detail: str


class CollectedPage(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one page. The objects of blobs in storage are still to be deleted."""

    deleted: Sequence[Collected] = ()
    kept: Sequence[Keep] = ()
    storage_keys: Sequence[str] = ()
    #: None after the last page.
    following: Position | None = None

    @property
    def bytes_freed(self) -> int:
        """As they were stored."""
        return sum(each.stored_bytes or 0 for each in self.deleted)


# ------------------------------------------------------------------------------ in words


def keep_of_root(root: Root, grace: Grace) -> Keep:
    """An artifact that stays by itself."""
    tag = f"{root.namespace}/{root.tag}"
    match root.reason:
        case Reason.NAMED:
            by, detail = tag, f"named by tag {tag}"
        case Reason.WAS_NAMED:
            by = f"{tag}@{root.tag_version}"
            detail = f"was named by tag {tag} at version {root.tag_version}"
        case Reason.YOUNG_RUN:
            by = _duration(grace.run_seconds)
            detail = f"run younger than {by}"
        case _:
            by = _duration(grace.seconds)
            detail = f"younger than {by}"
    return _artifact(root.artifact_id, root.namespace, root.reason, by, detail)


def keep_of_needed(candidate: ArtifactCandidate, root: Root, grace: Grace) -> Keep:
    """An artifact on which one that stays by itself stands, directly or through others."""
    why, by = keep_of_root(root, grace).detail, str(root.artifact_id)
    which = {Reason.WAS_NAMED: why, Reason.YOUNG_RUN: f"is a {why}"}.get(root.reason, f"is {why}")
    detail = f"needed by {by}, which {which}"
    return _artifact(candidate.artifact_id, candidate.namespace, Reason.NEEDED, by, detail)


def keep_in_use(kind: str, id_: str, namespace: str | None = None) -> Keep:
    """Garbage that somebody took up before it was gone."""
    detail = "in use since a moment ago"
    return Keep(kind=kind, id=id_, namespace=namespace, reason=Reason.IN_USE, detail=detail)


def keep_of_blob(blob: BlobCandidate, holder_id: UUID | None, grace: Grace) -> Keep:
    """A blob that stays by itself, or because of an artifact that something needs."""
    holder_id = blob.artifact_id or holder_id
    reason = Reason.CONTENT if holder_id else blob.reason
    match reason:
        case Reason.CONTENT:
            by = str(holder_id)
            detail = f"content of artifact {by}"
        case Reason.LEASED:
            by = str(blob.namespace)
            detail = f"leased to {by} until {blob.until:%Y-%m-%dT%H:%M:%SZ}"
        case Reason.UPLOADED:
            by = str(blob.upload_id)
            detail = f"result of upload {by}"
        case _:
            by = _duration(grace.seconds)
            detail = f"younger than {by}"
    reason = reason or Reason.YOUNG
    return Keep(kind=BLOB, id=str(CasId(blob.cas_id)), reason=reason, by=by, detail=detail)


def _artifact(artifact_id: UUID, namespace: str, reason: Reason, by: str, detail: str) -> Keep:
    return Keep(
        kind=ARTIFACT,
        id=str(artifact_id),
        namespace=namespace,
        reason=reason,
        by=by,
        detail=detail,
    )


def _duration(seconds: float) -> str:
    """In the largest unit that says it exactly."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}" + ("s" if count != 1 else "")
    return f"{seconds:g} seconds"
