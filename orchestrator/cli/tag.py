"""`orchestrator tag …`: named, versioned pointers; the server decides whether they move."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from cyclopts import App, Group, Parameter, validators

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.options import (
    AtOption,
    ExpectedVersionOption,
    LimitOption,
    MessageOption,
    TagName,
    VersionOption,
    WithSession,
)
from orchestrator.cli.session import Session
from orchestrator.cli.showing import show_list, show_record

app = App(name="tag", help="Named pointers to artifacts: show, move, undo, redo, look back.")

MEMBERS = (
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
_LIST_COLUMNS = ("name", "version", "artifact_id", "moved_at", "message")
_MOVE_COLUMNS = ("seq", "action", "to_id", "from_id", "moved_at", "moved_by", "message")
_EITHER = Group("Condition", validator=validators.mutually_exclusive, sort_key=10)


@app.command(
    name="list",
    help_epilogue="Examples:\n\n  orchestrator tag list\n  orchestrator tag list --limit 10",
)
def list_tags(*, limit: LimitOption = None, session: WithSession) -> None:
    """List the tags of the namespace by name."""
    with session.connect() as server:
        page = server.list_all("tags", limit=limit)
    show_list(session, page, _LIST_COLUMNS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator tag show release/v1.0\n"
    "  orchestrator tag show release/v1.0 --version 3\n"
    "  orchestrator tag show release/v1.0 --at 2026-01-31T12:00:00Z"
)
def show(
    tag: TagName, /, *, version: VersionOption = None, at: AtOption = None, session: WithSession
) -> None:
    """Show what a tag names, or named."""
    with session.connect() as server:
        show_record(session, server.get("tags", tag, version=version, at=at), MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator tag move production release/v1.0\n"
    "  orchestrator tag move production blake3:6c21… --expected-version 7 --message 'Roll out'\n"
    "  orchestrator tag move staging production --create"
)
def move(
    tag: TagName,
    target: Annotated[str, Parameter(help="An artifact id, another tag, or a version hash.")],
    /,
    *,
    message: MessageOption = None,
    expected_version: Annotated[ExpectedVersionOption, Parameter(group=_EITHER)] = None,
    create: Annotated[
        bool, Parameter(group=_EITHER, negative="", help="Create the tag if there is none.")
    ] = False,
    session: WithSession,
) -> None:
    """Let a tag name another artifact."""
    with session.connect() as server:
        members = {"artifact_id": _artifact_id(server, target), "message": message}
        if create:
            reply = server.put("tags", tag, **members)
        else:
            reply = server.post("tags", tag, "move", **members, expected_version=expected_version)
    show_record(session, reply, MEMBERS)


@app.command(help_epilogue="Examples:\n\n  orchestrator tag undo production --message 'Roll back'")
def undo(
    tag: TagName,
    /,
    *,
    message: MessageOption = None,
    expected_version: ExpectedVersionOption = None,
    session: WithSession,
) -> None:
    """Take the last move back; again, the one before it."""
    _step(session, tag, "undo", message, expected_version)


@app.command(help_epilogue="Examples:\n\n  orchestrator tag redo production")
def redo(
    tag: TagName,
    /,
    *,
    message: MessageOption = None,
    expected_version: ExpectedVersionOption = None,
    session: WithSession,
) -> None:
    """Do again what was undone."""
    _step(session, tag, "redo", message, expected_version)


@app.command(help_epilogue="Examples:\n\n  orchestrator tag history production --limit 5")
def history(tag: TagName, /, *, limit: LimitOption = None, session: WithSession) -> None:
    """List every move of a tag, newest first; also of a tag that was deleted."""
    with session.connect() as server:
        page = server.list_all("tags", tag, "history", limit=limit)
    show_list(session, page, _MOVE_COLUMNS)


@app.command(help_epilogue="Examples:\n\n  orchestrator tag delete candidate --expected-version 4")
def delete(
    tag: TagName, /, *, expected_version: ExpectedVersionOption = None, session: WithSession
) -> None:
    """Delete a tag; its history and what it named stay."""
    with session.connect() as server:
        show_record(session, server.delete("tags", tag, expected_version=expected_version), MEMBERS)


def _step(
    session: Session, tag: str, step: str, message: str | None, expected_version: int | None
) -> None:
    with session.connect() as server:
        reply = server.post("tags", tag, step, message=message, expected_version=expected_version)
    show_record(session, reply, MEMBERS)


def _artifact_id(server: ServerConnection, target: str) -> str:
    """No tag can look like an id or a hash, so there is nothing to guess."""
    if _is_uuid(target):
        return target
    if ":" not in target:
        return str(server.get("tags", target).json()["artifact_id"])
    page = server.list_all("artifacts", version_hash=target)
    found: list[dict[str, Any]] = [msgspec.json.decode(item) for item in page.items]
    if not found:
        raise CommandFailed(f"There is no version {target}.")
    # The same document may also be the result of patches; as a version it stands for itself.
    versions = [artifact for artifact in found if artifact["kind"] == "dag_version"]
    return str((versions or found)[0]["artifact_id"])


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
