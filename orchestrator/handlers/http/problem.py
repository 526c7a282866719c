"""Errors become RFC 9457 problem documents here and nowhere else."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog

from orchestrator import errors, errors_change, errors_request, errors_upload
from orchestrator.documents.patch import PatchFailed
from orchestrator.errors import Current, DomainError
from orchestrator.models.idempotency import Answer

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 2


class ProblemType(msgspec.Struct, frozen=True):
    """How one kind of error looks over HTTP."""

    status: int
    slug: str
    title: str


PROBLEMS: dict[type[DomainError], ProblemType] = {
    errors.InvalidInput: ProblemType(400, "invalid-input", "Invalid input"),
    errors.AmbiguousHash: ProblemType(400, "ambiguous-hash", "Ambiguous hash"),
    errors.DigestMismatch: ProblemType(400, "digest-mismatch", "Digest mismatch"),
    errors_request.Unauthenticated: ProblemType(401, "unauthenticated", "Not authenticated"),
    errors_request.Forbidden: ProblemType(403, "forbidden", "Forbidden"),
    errors.NotFound: ProblemType(404, "not-found", "Not found"),
    errors_request.BodyTooSlow: ProblemType(408, "body-too-slow", "Request body too slow"),
    errors.AlreadyExists: ProblemType(409, "already-exists", "Already exists"),
    errors.WrongKind: ProblemType(409, "wrong-kind", "Wrong kind"),
    errors.VersionConflict: ProblemType(409, "version-conflict", "Version conflict"),
    errors_change.TagsMoved: ProblemType(409, "tags-moved", "Tags moved"),
    errors_change.AlreadyReverted: ProblemType(409, "already-reverted", "Already reverted"),
    errors_change.NothingToUndo: ProblemType(409, "nothing-to-undo", "Nothing to undo"),
    errors_change.NothingToRedo: ProblemType(409, "nothing-to-redo", "Nothing to redo"),
    errors_change.NothingToCompact: ProblemType(409, "nothing-to-compact", "Nothing to compact"),
    errors_change.NoCommonAncestor: ProblemType(409, "no-common-ancestor", "No common ancestor"),
    errors_change.TooManyBases: ProblemType(409, "several-bases", "Several bases"),
    errors_change.MergeConflict: ProblemType(409, "merge-conflict", "Merge conflict"),
    errors_upload.UploadConflict: ProblemType(409, "upload-conflict", "Upload conflict"),
    errors_upload.TooManyUploads: ProblemType(409, "too-many-uploads", "Too many uploads"),
    errors_upload.UnsupportedProtocol: ProblemType(
        412, "unsupported-protocol", "Unsupported protocol"
    ),
    errors_upload.ChecksumMismatch: ProblemType(460, "checksum-mismatch", "Checksum mismatch"),
    errors.MaintenanceHeld: ProblemType(409, "maintenance-held", "Maintenance held"),
    errors.PreconditionFailed: ProblemType(412, "precondition-failed", "Precondition failed"),
    errors.TooLarge: ProblemType(413, "too-large", "Too large"),
    errors_request.TargetTooLong: ProblemType(414, "target-too-long", "Target too long"),
    errors_request.UnsupportedMediaType: ProblemType(
        415, "unsupported-media-type", "Unsupported media type"
    ),
    errors_request.RangeNotSatisfiable: ProblemType(
        416, "range-not-satisfiable", "Range not satisfiable"
    ),
    errors.TooComplex: ProblemType(422, "too-complex", "Too complex"),
    errors.RuleBroken: ProblemType(422, "rule-broken", "Rule broken"),
    PatchFailed: ProblemType(422, "patch-failed", "Patch failed"),
    errors_request.IdempotencyKeyReused: ProblemType(
        422, "idempotency-key-reused", "Idempotency key reused"
    ),
    errors_request.RateLimited: ProblemType(429, "rate-limited", "Rate limited"),
    errors_request.HeadTooLarge: ProblemType(431, "head-too-large", "Head too large"),
    errors.CallerLeft: ProblemType(499, "caller-left", "Caller left"),
    errors.CorruptBlob: ProblemType(500, "corrupt-blob", "Corrupt blob"),
    errors_request.UnsupportedMethod: ProblemType(501, "unsupported-method", "Unsupported method"),
    errors_request.UnsupportedVersion: ProblemType(
        505, "unsupported-version", "Unsupported version"
    ),
    errors_request.UnsupportedTransferCoding: ProblemType(
        501, "unsupported-transfer-coding", "Unsupported transfer coding"
    ),
    errors.StorageUnavailable: ProblemType(503, "storage-unavailable", "Storage unavailable"),
    errors.Contended: ProblemType(503, "contended", "Contended"),
    errors.Locked: ProblemType(503, "contended", "Contended"),
    errors.OutcomeUnknown: ProblemType(503, "outcome-unknown", "Outcome unknown"),
    errors.OutcomeUnknownToKey: ProblemType(503, "outcome-unknown", "Outcome unknown"),
    errors.Overloaded: ProblemType(503, "overloaded", "Overloaded"),
    errors.StorageFull: ProblemType(507, "storage-full", "Storage full"),
}
UNEXPECTED = ProblemType(500, "internal-error", "Internal error")

_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="orchestrator"'},
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
    if isinstance(error, errors_request.RangeNotSatisfiable):
        answer.headers["Content-Range"] = f"bytes */{error.size_bytes}"
    if type(error) is errors.OutcomeUnknown:
        del answer.headers["Retry-After"]  # What is just sent again may be done twice.
    if isinstance(error, errors_request.RateLimited):
        answer.headers["Retry-After"] = str(error.retry_after_seconds)
    return answer


def refusal(error: DomainError, path: str) -> Answer:
    """A refusal is an answer like any other; only trouble of our own is logged as such."""
    answer = problem_answer(error, path)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and type(error) is not errors.Overloaded:
        log.error("storage trouble", error=type(error).__name__, cause=repr(error.__cause__))
    return answer


def defect(error: Exception, path: str) -> Answer:
    """A defect of ours: the log has it all, the caller the correlation id to ask about."""
    log.error("unexpected error", exc_info=error)
    detail = "Something failed on our side. The correlation id of this response leads to the log."
    return problem_of(UNEXPECTED, detail=detail, instance=path, members={})


def problem_of(
    kind: ProblemType,
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
