"""Errors become RFC 9457 problem documents here and nowhere else."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from orchestrator import errors
from orchestrator.documents.patch import PatchFailed
from orchestrator.errors import DomainError
from orchestrator.models.idempotency import Answer

log = structlog.get_logger()

AnyRequest = Request[Any, Any, State]
PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 2


class Problem(msgspec.Struct, frozen=True):
    """How one kind of error looks over HTTP."""

    status: int
    slug: str
    title: str


PROBLEMS: dict[type[DomainError], Problem] = {
    errors.InvalidInput: Problem(400, "invalid-input", "Invalid input"),
    errors.DigestMismatch: Problem(400, "digest-mismatch", "Digest mismatch"),
    errors.Unauthenticated: Problem(401, "unauthenticated", "Not authenticated"),
    errors.Forbidden: Problem(403, "forbidden", "Forbidden"),
    errors.NotFound: Problem(404, "not-found", "Not found"),
    errors.BodyTooSlow: Problem(408, "body-too-slow", "Request body too slow"),
    errors.AlreadyExists: Problem(409, "already-exists", "Already exists"),
    errors.VersionConflict: Problem(409, "version-conflict", "Version conflict"),
    errors.NothingToUndo: Problem(409, "nothing-to-undo", "Nothing to undo"),
    errors.NothingToRedo: Problem(409, "nothing-to-redo", "Nothing to redo"),
    errors.NothingToCompact: Problem(409, "nothing-to-compact", "Nothing to compact"),
    errors.NoCommonAncestor: Problem(409, "no-common-ancestor", "No common ancestor"),
    errors.MergeConflict: Problem(409, "merge-conflict", "Merge conflict"),
    errors.UploadConflict: Problem(409, "upload-conflict", "Upload conflict"),
    errors.TooManyUploads: Problem(409, "too-many-uploads", "Too many uploads"),
    errors.UnsupportedProtocol: Problem(412, "unsupported-protocol", "Unsupported protocol"),
    errors.ChecksumMismatch: Problem(460, "checksum-mismatch", "Checksum mismatch"),
    errors.MaintenanceHeld: Problem(409, "maintenance-held", "Maintenance held"),
    errors.PreconditionFailed: Problem(412, "precondition-failed", "Precondition failed"),
    errors.TooLarge: Problem(413, "too-large", "Too large"),
    errors.UnsupportedMediaType: Problem(415, "unsupported-media-type", "Unsupported media type"),
    errors.RangeNotSatisfiable: Problem(416, "range-not-satisfiable", "Range not satisfiable"),
    errors.RuleBroken: Problem(422, "rule-broken", "Rule broken"),
    PatchFailed: Problem(422, "patch-failed", "Patch failed"),
    errors.IdempotencyKeyReused: Problem(422, "idempotency-key-reused", "Idempotency key reused"),
    errors.RateLimited: Problem(429, "rate-limited", "Rate limited"),
    errors.CorruptBlob: Problem(500, "corrupt-blob", "Corrupt blob"),
    errors.StorageUnavailable: Problem(503, "storage-unavailable", "Storage unavailable"),
    errors.OutcomeUnknown: Problem(503, "outcome-unknown", "Outcome unknown"),
    errors.StorageFull: Problem(507, "storage-full", "Storage full"),
}
UNEXPECTED = Problem(500, "internal-error", "Internal error")

_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="orchestrator"'},
    408: {"Connection": "close"},
    503: {"Retry-After": str(RETRY_SECONDS)},
}


def problem_answer(error: DomainError, instance: str | None = None) -> Answer:
    """The answer for a refusal: its attributes become members of the problem."""
    problem = PROBLEMS[type(error)]
    answer = _answer(problem, detail=str(error), instance=instance, members=vars(error))
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
    return _answer(UNEXPECTED, detail=detail, instance=path, members={})


def on_domain_error(request: AnyRequest, error: DomainError) -> Response[bytes]:
    """What a handler refuses."""
    return respond(refusal(error, request.scope["path"]))


def on_http_exception(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """What Litestar itself refuses: unknown routes, wrong methods, bad parameters."""
    status = HTTPStatus(error.status_code)
    problem = Problem(status, status.phrase.lower().replace(" ", "-"), status.phrase)
    members: dict[str, Any] = {}
    detail = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        found = [_parameter_violation(each) for each in error.extra]
        members["errors"], detail = found, found[0].message if found else detail
    elif status is HTTPStatus.NOT_FOUND:
        detail = (
            "There is no such route. A name with a slash is sent with %2F in place of the slash."
        )
    answer = _answer(problem, detail=detail, instance=request.scope["path"], members=members)
    answer.headers.update(error.headers or {})
    return respond(answer)


def on_unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Whatever nobody thought of."""
    return respond(defect(error, request.scope["path"]))


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    DomainError: on_domain_error,
    HTTPException: on_http_exception,
    Exception: on_unexpected,
}


def respond(answer: Answer) -> Response[bytes]:
    """The answer as Litestar sends it."""
    return Response(
        content=answer.body,
        status_code=answer.status,
        headers={k: v for k, v in answer.headers.items() if k != "Content-Type"},
        media_type=answer.headers["Content-Type"],
    )


def _answer(
    problem: Problem, *, detail: str, instance: str | None, members: dict[str, Any]
) -> Answer:
    body = {
        "type": f"urn:orchestrator:problem:{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "error": problem.title.lower(),
    }
    if instance is not None:
        body["instance"] = instance
    body.update(members)
    headers = {"Content-Type": PROBLEM_JSON, **_HEADERS.get(problem.status, {})}
    return Answer(status=problem.status, headers=headers, body=msgspec.json.encode(body))


def _parameter_violation(extra: dict[str, Any]) -> errors.Violation:
    key = extra.get("key", "")
    return errors.Violation(f"/{key}", "parameter", f"{key}: {extra['message']}")
