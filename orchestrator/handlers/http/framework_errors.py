"""What the framework answers when something is raised: the same problems as on the fast path."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from orchestrator.errors import DomainError, Violation
from orchestrator.handlers.http.framework import AnyRequest, ReplyResponse
from orchestrator.handlers.http.problem import ProblemType, defect, problem_of, refusal
from orchestrator.models.idempotency import Answer


def framework_refusal(error: HTTPException, path: str) -> Answer:
    """What the framework itself refuses: unknown routes, wrong methods, bad parameters."""
    status = HTTPStatus(error.status_code)
    kind = ProblemType(status, status.phrase.lower().replace(" ", "-"), status.phrase)
    members: dict[str, Any] = {}
    detail = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        found = [_parameter_violation(each) for each in error.extra]
        members["errors"], detail = found, found[0].message if found else detail
    answer = problem_of(kind, detail=detail, instance=path, members=members)
    answer.headers.update(error.headers or {})
    return answer


def exception_handlers(
    headers: Callable[[Exception], dict[str, str]] = lambda _: {},
) -> ExceptionHandlersMap:
    """For each kind of error; a protocol may add headers of its own to what is refused."""

    def answering(
        answer: Callable[[Any, str], Answer],
    ) -> Callable[[AnyRequest, Any], ReplyResponse]:
        def handle(request: AnyRequest, error: Any) -> ReplyResponse:
            found = answer(error, request.scope["path"])
            found.headers.update(headers(error))
            return ReplyResponse(found)

        return handle

    return {
        DomainError: answering(refusal),
        HTTPException: answering(framework_refusal),
        Exception: answering(defect),
    }


def _parameter_violation(extra: dict[str, Any]) -> Violation:
    key = extra.get("key", "")
    return Violation(f"/{key}", "parameter", f"{key}: {extra['message']}")
