"""Errors become RFC 9457 problem documents here and nowhere else."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog

from orchestrator import errors
from orchestrator.documents.patch import PatchFailed
from orchestrator.errors import Current, DomainError
from orchestrator.models.idempotency import Answer

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 2


class ProblemKind(msgspec.Struct, frozen=True):
    """How one kind of error looks over HTTP."""

    status: int
    slug: str
    title: str


PROBLEMS: dict[type[DomainError], ProblemKind] = {
    errors.InvalidInput: ProblemKind(400, "invalid-input", "Invalid input"),
    errors.DigestMismatch: ProblemKind(400, "digest-mismatch", "Digest mismatch"),
    errors.Unauthenticated: ProblemKind(401, "unauthenticated", "Not authenticated"),
    errors.Forbidden: ProblemKind(403, "forbidden", "Forbidden"),
    errors.NotFound: ProblemKind(404, "not-found", "Not found"),
    errors.BodyTooSlow: ProblemKind(408, "body-too-slow", "Request body too slow"),
    errors.AlreadyExists: ProblemKind(409, "already-exists", "Already exists"),
    errors.VersionConflict: ProblemKind(409, "version-conflict", "Version conflict"),
    errors.NothingToUndo: ProblemKind(409, "nothing-to-undo", "Nothing to undo"),
    errors.NothingToRedo: ProblemKind(409, "nothing-to-redo", "Nothing to redo"),
    errors.NothingToCompact: ProblemKind(409, "nothing-to-compact", "Nothing to compact"),
    errors.NoCommonAncestor: ProblemKind(409, "no-common-ancestor", "No common ancestor"),
    errors.MergeConflict: ProblemKind(409, "merge-conflict", "Merge conflict"),
    errors.UploadConflict: ProblemKind(409, "upload-conflict", "Upload conflict"),
    errors.TooManyUploads: ProblemKind(409, "too-many-uploads", "Too many uploads"),
    errors.UnsupportedProtocol: ProblemKind(412, "unsupported-protocol", "Unsupported protocol"),
    errors.ChecksumMismatch: ProblemKind(460, "checksum-mismatch", "Checksum mismatch"),
    errors.MaintenanceHeld: ProblemKind(409, "maintenance-held", "Maintenance held"),
    errors.PreconditionFailed: ProblemKind(412, "precondition-failed", "Precondition failed"),
    errors.TooLarge: ProblemKind(413, "too-large", "Too large"),
    errors.UnsupportedMediaType: ProblemKind(
        415, "unsupported-media-type", "Unsupported media type"
    ),
    errors.RangeNotSatisfiable: ProblemKind(416, "range-not-satisfiable", "Range not satisfiable"),
    errors.RuleBroken: ProblemKind(422, "rule-broken", "Rule broken"),
    PatchFailed: ProblemKind(422, "patch-failed", "Patch failed"),
    errors.IdempotencyKeyReused: ProblemKind(
        422, "idempotency-key-reused", "Idempotency key reused"
    ),
    errors.RateLimited: ProblemKind(429, "rate-limited", "Rate limited"),
    errors.CorruptBlob: ProblemKind(500, "corrupt-blob", "Corrupt blob"),
    errors.StorageUnavailable: ProblemKind(503, "storage-unavailable", "Storage unavailable"),
    errors.OutcomeUnknown: ProblemKind(503, "outcome-unknown", "Outcome unknown"),
    errors.StorageFull: ProblemKind(507, "storage-full", "Storage full"),
}
UNEXPECTED = ProblemKind(500, "internal-error", "Internal error")

_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="orchestrator"'},
    408: {"Connection": "close"},
    503: {"Retry-After": str(RETRY_SECONDS)},
}


def problem_answer(error: DomainError, instance: str | None = None) -> Answer:
    """The answer for a refusal: its attributes become members of the document."""
    kind = PROBLEMS[type(error)]
    answer = problem_of(
        kind,
        detail=str(error),
        instance=instance,
        short=error.short,
        members=_members_of(error),
    )
    if isinstance(error, errors.RangeNotSatisfiable):
        answer.headers["Content-Range"] = f"bytes */{error.size_bytes}"
    if isinstance(error, errors.OutcomeUnknown):
        del answer.headers["Retry-After"]  # What is just sent again may be done twice.
    if isinstance(error, errors.RateLimited):
        answer.headers["Retry-After"] = str(error.retry_after_seconds)
    return answer


def refusal(error: DomainError, path: str) -> Answer:
    """A refusal is an answer like any other; only trouble of our own is logged as such."""
    answer = problem_answer(error, path)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("storage trouble", error=type(error).__name__, cause=repr(error.__cause__))
    return answer


def defect(error: Exception, path: str) -> Answer:
    """A defect of ours: the log has it all, the caller the correlation id to ask about."""
    log.error("unexpected error", exc_info=error)
    detail = "Something failed on our side. The correlation id of this response leads to the log."
    return problem_of(UNEXPECTED, detail=detail, instance=path, members={})


def problem_of(
    kind: ProblemKind,
    *,
    detail: str,
    instance: str | None,
    members: dict[str, Any],
    short: str | None = None,
) -> Answer:
    """The document. No member can take the place of those that every problem has."""
    own: dict[str, Any] = {
        "type": f"urn:orchestrator:problem:{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "error": short or kind.title.lower(),
    }
    if instance is not None:
        own["instance"] = instance
    headers = {"Content-Type": PROBLEM_JSON, **_HEADERS.get(kind.status, {})}
    body = msgspec.json.encode({**own, **members, **own})
    return Answer(status=kind.status, headers=headers, body=body)


def _members_of(error: DomainError) -> dict[str, Any]:
    """What the error says of what failed; the facts of what is there instead are named so."""
    members = dict(vars(error))
    current = members.pop("current", None)
    if isinstance(current, Current):
        facts = msgspec.structs.asdict(current)
        members |= {f"current_{k}": v for k, v in facts.items() if v is not msgspec.UNSET}
    return members
