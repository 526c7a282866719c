"""Turns the problem document of a server that refuses into the failure that a person reads."""

from collections.abc import Mapping

import msgspec

from orchestrator.cli.failure import CommandFailed, ServerUnusable, violation_lines
from orchestrator.errors import Violation


class ShownProblem(msgspec.Struct):
    """The members of an RFC 9457 problem document that are shown."""

    detail: str
    errors: list[Violation] = []
    current_version: int | None = None
    current_artifact_id: str | None = None


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, token_line: str
) -> CommandFailed:
    """The failure that an answer other than success becomes."""
    try:
        problem = msgspec.json.decode(body, type=ShownProblem)
    except msgspec.MsgspecError:
        return CommandFailed(f"{url} answered {status}, and not as an orchestrator server does.")
    if status == 401:
        return ServerUnusable(problem.detail, [token_line])
    lines = violation_lines(problem.detail, problem.errors)
    if problem.current_version is not None:
        lines.append(f"It is at version {problem.current_version} now.")
    if status >= 500 and "x-correlation-id" in headers:
        lines.append(f"Correlation id: {headers['x-correlation-id']}")
    return CommandFailed(problem.detail, lines)
