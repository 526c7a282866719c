"""How versions, changes and conflicts look to people; it sends nothing."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from orchestrator.cli.exchange import Reply
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.output import console, write_bytes, write_json
from orchestrator.cli.session import Session

HASH_DIGITS = 12
VALUE_CHARACTERS_MAX = 80


class _Conflict(msgspec.Struct):
    pointer: str
    message: str
    base: dict[str, msgspec.Raw]
    ours: dict[str, msgspec.Raw]
    theirs: dict[str, msgspec.Raw]


class _Conflicts(msgspec.Struct):
    detail: str
    conflicts: list[_Conflict]
    conflicts_count: int


def refuse_conflicts(session: Session, reply: Reply, *, can_settle: bool = True) -> Reply:
    """The answer, unless it lists conflicts: these are a failure, which programs can read too."""
    if reply.status != 409:
        return reply
    if session.is_json:
        write_json(reply.body)
    refused = msgspec.json.decode(reply.body, type=_Conflicts)
    lines = [line for conflict in refused.conflicts for line in _conflict_lines(conflict)]
    if more := refused.conflicts_count - len(refused.conflicts):
        lines.append(f"There {'is one' if more == 1 else f'are {more}'} more.")
    settle = [
        "Settle all of them with --prefer ours or --prefer theirs,",
        'or one by one with --resolve POINTER=ours, =theirs or ={"value": ...}.',
    ]
    raise CommandFailed(refused.detail, [*lines, *(settle if can_settle else ())])


def write_diff(diff: msgspec.Raw) -> None:
    """One line for each change, in colours on a terminal."""
    from orchestrator.documents.workflow_diff import WorkflowDiff
    from orchestrator.documents.workflow_diff_text import render_text

    screen = console(sys.stdout)
    is_coloured = screen.color_system is not None and not screen.no_color
    text = render_text(msgspec.json.decode(diff, type=WorkflowDiff), colour=is_coloured)
    write_bytes(text.encode())


def hash_of(artifact: Mapping[str, Any], *, is_full: bool = False) -> str:
    """The hash of the content of an artifact: short to look at, or whole to copy."""
    name = str(artifact["version_hash"] or artifact["cas_id"])
    return name if is_full else name.removeprefix("blake3:")[:HASH_DIGITS]


def moment(timestamp: str) -> str:
    """To the second."""
    return f"{timestamp[:19].replace('T', ' ')}Z"


def _conflict_lines(conflict: _Conflict) -> Iterator[str]:
    yield f"{conflict.pointer}: {conflict.message}"
    for side in ("base", "ours", "theirs"):
        yield f"  {side:<6}  {_value(getattr(conflict, side))}"


def _value(found: Mapping[str, msgspec.Raw]) -> str:
    if "size_bytes" in found:
        return f"({bytes(found['size_bytes']).decode()} bytes)"
    if "value" not in found:
        return "(nothing)"
    text = bytes(found["value"]).decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
