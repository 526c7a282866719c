"""Turns the problem document of a server that refuses into the failure that a person reads."""

from collections.abc import Iterator, Mapping

import msgspec

from orchestrator.cli.failure import (
    EXIT_CODES,
    CommandFailed,
    ExitCode,
    NotFound,
    ServerUnusable,
    violation_lines,
)
from orchestrator.errors import Violation

VALUE_CHARACTERS_MAX = 80


class _MovedTag(msgspec.Struct):
    name: str
    version: int
    current_version: int


class _Conflict(msgspec.Struct):
    pointer: str
    message: str
    base: dict[str, msgspec.Raw]
    ours: dict[str, msgspec.Raw]
    theirs: dict[str, msgspec.Raw]


class _ShownProblem(msgspec.Struct):
    """The members of an RFC 9457 problem document that are shown."""

    detail: str
    errors: list[Violation] = []
    current_version: int | None = None
    #: Those that have moved since a transaction that is to be taken back.
    tags: list[_MovedTag] = []
    #: The places that both sides of a merge changed.
    conflicts: list[_Conflict] = []
    conflicts_count: int = 0


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, token_line: str
) -> CommandFailed:
    """The failure that an answer other than success becomes."""
    try:
        problem = msgspec.json.decode(body, type=_ShownProblem)
    except msgspec.MsgspecError:
        return CommandFailed(f"{url} answered {status}, and not as an orchestrator server does.")
    exit_code = EXIT_CODES.get(status, ExitCode.FAILED)
    if status == 401:
        return ServerUnusable(problem.detail, [token_line], exit_code=exit_code, problem=body)
    lines = violation_lines(problem.detail, problem.errors)
    lines += _conflict_lines(problem)
    lines += [
        f"{tag.name}: at version {tag.current_version}, not {tag.version}" for tag in problem.tags
    ]
    if problem.current_version is not None:
        lines.append(f"It is at version {problem.current_version} now.")
    if status >= 500 and "x-correlation-id" in headers:
        lines.append(f"Correlation id: {headers['x-correlation-id']}")
    kind = NotFound if exit_code is ExitCode.NOT_FOUND else CommandFailed
    return kind(problem.detail, lines, exit_code=exit_code, problem=body)


def _conflict_lines(problem: _ShownProblem) -> Iterator[str]:
    for conflict in problem.conflicts:
        yield f"{conflict.pointer}: {conflict.message}"
        for side in ("base", "ours", "theirs"):
            yield f"  {side:<6}  {_value(getattr(conflict, side))}"
    if more := problem.conflicts_count - len(problem.conflicts):
        yield f"There {'is one' if more == 1 else f'are {more}'} more."


def _value(found: Mapping[str, msgspec.Raw]) -> str:
    if "size_bytes" in found:
        return f"({bytes(found['size_bytes']).decode()} bytes)"
    if "value" not in found:
        return "(nothing)"
    text = bytes(found["value"]).decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
