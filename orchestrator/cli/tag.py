"""`orchestrator tag …`: named, versioned pointers; the server decides whether they move."""

from typing import Annotated, Any

from cyclopts import App, Group, Parameter, validators

from orchestrator.cli.options import (
    AtOption,
    ExpectedVersionOption,
    KindOption,
    LimitOption,
    MessageOption,
    MovedByOption,
    PrefixOption,
    ReferenceName,
    SinceOption,
    TagName,
    UntilOption,
    VersionOption,
    WithSession,
)
from orchestrator.cli.reference import artifact_id_of
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
_ALL_MOVES_COLUMNS = ("moved_at", "moved_by", "name", "version", "action", "to_id", "message")
MOVES_EXAMPLES = (
    "Examples:\n\n  orchestrator moves --limit 10\n  orchestrator moves --prefix prod/ --since -2h"
)
_EITHER = Group("Condition", validator=validators.mutually_exclusive, sort_key=10)


@app.command(
    name="list",
    help_epilogue="Examples:\n\n"
    "  orchestrator tag list --limit 10\n"
    "  orchestrator tag list --prefix release/ --since -7d\n"
    "  orchestrator tag list --at 2026-01-31",
)
def list_tags(
    *,
    prefix: PrefixOption = None,
    moved_by: MovedByOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    kind: KindOption = None,
    at: AtOption = None,
    deleted: Annotated[
        bool, Parameter(negative="", help="Those that are deleted, instead of those that are not.")
    ] = False,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List the tags of the namespace by name, as they are or as they were."""
    with session.connect() as server:
        page = server.list_all(
            "tags",
            prefix=prefix,
            moved_by=moved_by,
            since=since,
            until=until,
            kind=kind,
            at=at,
            deleted="true" if deleted else None,
            limit=limit,
        )
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
    target: ReferenceName,
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
        members: dict[str, Any] = {
            "artifact_id": artifact_id_of(server, target),
            "message": message,
        }
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


def moves(
    *,
    prefix: PrefixOption = None,
    moved_by: MovedByOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    transaction: Annotated[
        str | None, Parameter(help="Only what this transaction moved: its id.")
    ] = None,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List every move of every tag of the namespace, newest first."""
    with session.connect() as server:
        page = server.list_all(
            "moves",
            prefix=prefix,
            moved_by=moved_by,
            since=since,
            until=until,
            transaction_id=transaction,
            limit=limit,
        )
    show_list(session, page, _ALL_MOVES_COLUMNS)


def _step(
    session: Session, tag: str, step: str, message: str | None, expected_version: int | None
) -> None:
    with session.connect() as server:
        reply = server.post("tags", tag, step, message=message, expected_version=expected_version)
    show_record(session, reply, MEMBERS)
