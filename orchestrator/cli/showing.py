"""Shows answers of the server: as tables, as they are, or only their names; commands choose what.

This is the one place that knows how a person wants to see a hash or a time.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from orchestrator.cli.connection import ListPage
from orchestrator.cli.exchange import Reply
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.output import (
    escaped_json,
    printable,
    write_bytes,
    write_error,
    write_json,
    write_lines,
    write_record,
    write_table,
    write_to_stderr,
    write_warning,
)
from orchestrator.cli.session import OutputFormat, Session
from orchestrator.cli.table import column
from orchestrator.cli.times import age, local, shown_moment
from orchestrator.cli.version_text import write_diff

#: What the server did, by the `action` of its answer.
ACTIONS = {
    None: "unchanged",
    "create": "created",
    "move": "moved",
    "undo": "undone",
    "redo": "redone",
    "delete": "deleted",
}
TAG_MEMBERS = (
    "action",
    "namespace",
    "name",
    "version",
    "artifact_id",
    "kind",
    "version_hash",
    "message",
    "moved_by",
    "moved_at",
)
DRY_RUN = "This is a dry run: nothing is stored."
#: What a dry run makes up.
OF_WHAT_IS_STORED = frozenset(
    {"transaction_id", "artifact_id", "created_by", "created_at", "moved_by", "moved_at"}
)
#: What names a thing, the best first.
_NAMES = ("transaction_id", "version_hash", "cas_id", "name")
HASH_DIGITS = 12
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

#: How a thing of a list is called in the next command.
Naming: TypeAlias = Callable[[Mapping[str, Any]], str]


class _WithWorkflow(msgspec.Struct):
    workflow: msgspec.Raw


def workflow_in(reply: Reply) -> bytes:
    """The document of an answer, byte for byte as the server stores it."""
    return bytes(msgspec.json.decode(reply.body, type=_WithWorkflow).workflow)


def show_data(session: Session, body: bytes) -> None:
    """An answer as it is, in the format that a program wants."""
    if session.output == "yaml":
        from orchestrator.cli.yaml_text import dump_yaml

        write_bytes(dump_yaml(msgspec.json.decode(body)).encode())
    else:
        write_json(body)


def show_record(session: Session, reply: Reply, names: Sequence[str]) -> None:
    """Show one thing, and what was done with it if the answer says that."""
    if session.wants_data:
        show_data(session, reply.body)
        return
    members = reply.json()
    if "action" in members:
        members["action"] = ACTIONS[members["action"]]
    if "dry_run" in members and not session.quiet:
        write_lines([DRY_RUN])
        names = [name for name in names if name not in OF_WHAT_IS_STORED]
    show_members(session, members, names)
    show_change(session, members)


def show_change(session: Session, changed: Mapping[str, Any]) -> None:
    """What an answer says of a change besides its members: warnings, and the diff of a dry run."""
    for each in changed.get("warnings", ()):
        write_warning(f"{each['pointer']}: {each['message']}")
    if changed.get("diff") is not None and not session.quiet:
        write_diff(msgspec.Raw(msgspec.json.encode(changed["diff"])))


def show_members(session: Session, members: Mapping[str, Any], names: Iterable[str]) -> None:
    """One line for each of these members that has a value; if quiet, only what names it all."""
    if session.quiet:
        write_lines([printable(str(next(members[name] for name in _NAMES if members.get(name))))])
        return
    now = datetime.now(UTC)
    write_record(
        {
            _label(name): _in_record(session, name, members[name], now)
            for name in names
            if members.get(name) is not None
        }
    )


def show_list(
    session: Session, page: ListPage, columns: Sequence[str], *, named: Naming | None = None
) -> None:
    """Show many things, with these members of each."""
    if session.wants_data:
        show_data(session, msgspec.json.encode(page))
        return
    show_rows(session, columns, [msgspec.json.decode(item) for item in page.items], named=named)


def show_rows(
    session: Session,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    headers: Mapping[str, str] = NO_HEADERS,
    *,
    named: Naming | None = None,
) -> None:
    """A table of these members; if quiet, only what names each: the first of them, usually."""
    if session.quiet:
        write_lines(_text(named(row) if named else row.get(columns[0])) for row in rows)
        return
    now = datetime.now(UTC)
    shown = []
    for name in columns:
        values = [row.get(name) for row in rows]
        cells = [_in_table(session, name, value, now) for value in values]
        shown.append(column(name, headers.get(name) or _header(name), values, cells))
    write_table(shown)


def show_failure(output: OutputFormat, failure: CommandFailed) -> None:
    """What went wrong, on standard error: lines for people, a problem document for programs."""
    if output == "table":
        write_error(failure.detail, failure.lines)
        return
    problem = failure.problem or _problem(failure)
    if output == "yaml":
        from orchestrator.cli.yaml_text import dump_yaml

        write_to_stderr(dump_yaml(msgspec.json.decode(problem)))
    else:
        write_to_stderr(f"{escaped_json(problem).decode()}\n")


def _problem(failure: CommandFailed) -> bytes:
    """An RFC 9457 problem document about what no server refused."""
    name = failure.exit_code.name.lower().replace("_", "-")
    members: dict[str, Any] = {
        "type": f"urn:orchestrator:command:{name}",
        "title": name.replace("-", " ").capitalize(),
        "detail": failure.detail,
        "error": name.replace("-", " "),
        "exit_code": failure.exit_code,
    }
    if failure.lines:
        members["hints"] = failure.lines
    return msgspec.json.encode(members)


def shown_time(session: Session, timestamp: str, now: datetime | None = None) -> str:
    """A moment in a table or a line: at a terminal how long ago it was, for whoever looks."""
    style = session.time_format or ("relative" if sys.stdout.isatty() else "rfc3339")
    return shown_moment(timestamp, style, now or datetime.now(UTC))


def hash_of(session: Session, artifact: Mapping[str, Any]) -> str:
    """The hash of the content of an artifact in a line: short to look at, or whole."""
    name = str(artifact["version_hash"] or artifact["cas_id"])
    return name if session.full else _short(name)


def _short(name: str) -> str:
    return name.removeprefix("blake3:")[:HASH_DIGITS]


def _in_record(session: Session, name: str, value: object, now: datetime) -> str:
    if not name.endswith("_at"):
        return _text(value)
    if session.time_format is None and sys.stdout.isatty():
        moment = datetime.fromisoformat(str(value))
        return f"{local(moment)} ({age(moment, now)})"
    return shown_time(session, str(value), now)


def _in_table(session: Session, name: str, value: object, now: datetime) -> str:
    if value is None:
        return ""
    if name.endswith("_at"):
        return printable(shown_time(session, str(value), now))
    if name == "version_hash" and sys.stdout.isatty() and not session.full:
        return printable(_short(str(value)))
    return _text(value)


def _text(value: object) -> str:
    return "" if value is None else printable(str(value))


def _label(name: str) -> str:
    return name.replace("_", " ")


def _header(name: str) -> str:
    return name.removeprefix("tag_").removesuffix("_count").replace("_", " ")
