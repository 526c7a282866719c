"""Says in a sentence why garbage collection leaves something: for people, decided elsewhere."""

from uuid import UUID

from orchestrator.core.digest import CasId
from orchestrator.models.artifact_manifest import ANNOTATION
from orchestrator.models.upkeep.gc import (
    ARTIFACT,
    BLOB,
    ArtifactCandidate,
    BlobCandidate,
    Grace,
    Retained,
    RetainedReason,
    Root,
)

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def retained_root(root: Root, grace: Grace) -> Retained:
    """An artifact that stays by itself."""
    by, detail = _why_root(root, grace)
    return _artifact(root.artifact_id, root.namespace, root.reason, by, detail)


def retained_by_need(candidate: ArtifactCandidate, root: Root, grace: Grace) -> Retained:
    """An artifact on which one that stays by itself stands, directly or through others."""
    by, (_, why) = str(root.artifact_id), _why_root(root, grace)
    match root.reason:
        case RetainedReason.WAS_NAMED:
            detail = f"needed by {by}, which {why}"
        case RetainedReason.YOUNG_RUN:
            detail = f"needed by {by}, which is a {why}"
        case _:
            detail = f"needed by {by}, which is {why}"
    reason = RetainedReason.NEEDED
    if candidate.kind == ANNOTATION:
        reason, detail = RetainedReason.ABOUT, f"about what stays, as it is {detail}"
    return _artifact(candidate.artifact_id, candidate.namespace, reason, by, detail)


def retained_in_use(kind: str, id_: str, namespace: str | None = None) -> Retained:
    """Garbage that somebody began to use before it was deleted."""
    return Retained(
        kind=kind,
        id=id_,
        namespace=namespace,
        reason=RetainedReason.IN_USE,
        detail="in use since a moment ago",
    )


def retained_blob(blob: BlobCandidate, holder_id: UUID | None, grace: Grace) -> Retained:
    """A blob that stays by itself, or because of an artifact that something needs."""
    holder_id = blob.artifact_id or holder_id
    reason = RetainedReason.CONTENT if holder_id else blob.reason or RetainedReason.YOUNG
    match reason:
        case RetainedReason.CONTENT:
            by = str(holder_id)
            detail = f"content of artifact {by}"
        case RetainedReason.LEASED:
            by = str(blob.namespace)
            detail = f"leased to {by} until {blob.until:%Y-%m-%dT%H:%M:%SZ}"
        case RetainedReason.UPLOADED:
            by = str(blob.upload_id)
            detail = f"result of upload {by}"
        case _:
            by = _duration(grace.seconds)
            detail = f"younger than {by}"
    return Retained(kind=BLOB, id=str(CasId(blob.cas_id)), reason=reason, by=by, detail=detail)


def _why_root(root: Root, grace: Grace) -> tuple[str, str]:
    """What keeps it, and that in a sentence without its subject."""
    tag = f"{root.namespace}/{root.tag}"
    match root.reason:
        case RetainedReason.NAMED:
            return tag, f"named by tag {tag}"
        case RetainedReason.WAS_NAMED:
            version = root.tag_version
            return f"{tag}@{version}", f"was named by tag {tag} at version {version}"
        case RetainedReason.RETAINED:
            return "retain", "retained"
        case RetainedReason.YOUNG_RUN:
            age = _duration(grace.run_seconds)
            return age, f"run younger than {age}"
        case _:
            age = _duration(grace.seconds)
            return age, f"younger than {age}"


def _artifact(
    artifact_id: UUID, namespace: str, reason: RetainedReason, by: str, detail: str
) -> Retained:
    return Retained(
        kind=ARTIFACT,
        id=str(artifact_id),
        namespace=namespace,
        reason=reason,
        by=by,
        detail=detail,
    )


def _duration(seconds: float) -> str:
    """In the largest unit that says it exactly."""
    for unit, length in _UNITS:
        if seconds and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}" + ("s" if count != 1 else "")
    return f"{seconds:g} seconds"
