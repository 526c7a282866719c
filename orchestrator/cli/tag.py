"""`orchestrator tag …`: named, versioned pointers; the server decides whether they move."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from orchestrator.cli import tag_watch
from orchestrator.cli.deletion import delete_tag
from orchestrator.cli.expectation import Expectation, version_expected
from orchestrator.cli.failure import WrongUsage
from orchestrator.cli.options import (
    ALL_TAGS,
    AtOption,
    ExpectOption,
    LimitOption,
    MessageOption,
    ReferenceName,
    TagFilters,
    TagName,
    VersionedTagName,
    VersionOption,
    WithSession,
    YesOption,
)
from orchestrator.cli.reference import tag_and_version
from orchestrator.cli.session import Session
from orchestrator.cli.showing import TAG_MEMBERS, show_list, show_record

app = App(
    name="tag",
    help="Named pointers to artifacts: show, move, undo, redo, look back.",
    help_epilogue="Examples:\n\n"
    "  orchestrator tag list\n"
    "  orchestrator tag move production release/v1.0 -m 'Roll out'\n"
    "  orchestrator tag undo production",
)

app.command(tag_watch.app, name="*")

_LIST_COLUMNS = ("name", "version", "kind", "version_hash", "moved_at", "moved_by", "message")
_HISTORY_COLUMNS = (
    "version",
    "action",
    "kind",
    "version_hash",
    "moved_at",
    "moved_by",
    "transaction_id",
    "message",
)


@app.command(
    name="list",
    help_epilogue="Examples:\n\n"
    "  orchestrator tag list --limit 10\n"
    "  orchestrator tag list --prefix release/ --since -7d\n"
    "  orchestrator tag list --at 2026-01-31\n"
    "  orchestrator tag list -q",
)
def list_tags(
    *,
    only: TagFilters = ALL_TAGS,
    deleted: Annotated[
        bool, Parameter(negative="", help="Those that are deleted, instead of those that are not.")
    ] = False,
    session: WithSession,
) -> None:
    """List the tags of the namespace by name, as they are or as they were."""
    with session.connect() as server:
        page = server.list_all("tags", **only.params, deleted="true" if deleted else None)
    show_list(session, page, _LIST_COLUMNS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator tag show release/v1.0\n"
    "  orchestrator tag show release/v1.0@3\n"
    "  orchestrator tag show release/v1.0 --at 2026-01-31T12:00:00Z"
)
def show(
    tag: VersionedTagName,
    /,
    *,
    version: VersionOption = None,
    at: AtOption = None,
    session: WithSession,
) -> None:
    """Show what a tag names, or named."""
    name, named = tag_and_version(tag, version, at)
    with session.connect() as server:
        show_record(session, server.get("tags", name, version=named, at=at), TAG_MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator tag move production release/v1.0\n"
    "  orchestrator tag move production 6c21e0a9 --expect 7 -m 'Roll out'\n"
    "  orchestrator tag move staging production --create"
)
def move(
    tag: TagName,
    target: ReferenceName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    create: Annotated[
        bool, Parameter(negative="", help="Create the tag if there is none.")
    ] = False,
    session: WithSession,
) -> None:
    """Let a tag name another artifact."""
    is_absent = expect is not None and expect.is_absent
    if create and expect and not is_absent:
        raise WrongUsage("A tag that is expected somewhere is there: leave --create out.")
    members: dict[str, Any] = {"from": target, "message": message}
    with session.connect() as server:
        if create or is_absent:
            reply = server.put("tags", tag, is_absent=is_absent, **members)
        else:
            version = version_expected(server, tag, expect)
            reply = server.post("tags", tag, "move", **members, expected_version=version)
    show_record(session, reply, TAG_MEMBERS)


@app.command(help_epilogue="Examples:\n\n  orchestrator tag undo production -m 'Roll back'")
def undo(
    tag: TagName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    session: WithSession,
) -> None:
    """Take the last move back; again, the one before it."""
    _step(session, "undo", tag, message, expect)


@app.command(help_epilogue="Examples:\n\n  orchestrator tag redo production --expect 8")
def redo(
    tag: TagName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    session: WithSession,
) -> None:
    """Do again what was undone."""
    _step(session, "redo", tag, message, expect)


@app.command(help_epilogue="Examples:\n\n  orchestrator tag history production --limit 5")
def history(tag: TagName, /, *, limit: LimitOption = None, session: WithSession) -> None:
    """List every move of a tag, newest first; also of a tag that was deleted."""
    with session.connect() as server:
        page = server.list_all("tags", tag, "history", limit=limit)
    show_list(session, page, _HISTORY_COLUMNS, named=lambda move: f"{tag}@{move['version']}")


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator tag delete candidate --expect 4 -m 'Superseded'\n"
    "  orchestrator tag delete candidate --yes"
)
def delete(
    tag: TagName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    yes: YesOption = False,
    session: WithSession,
) -> None:
    """Delete a tag; its history and what it named stay, and undo restores it.

    At a terminal you are asked before, unless --yes says that you are sure.
    """
    delete_tag(session, "tags", tag, message, expect, is_sure=yes)


def _step(
    session: Session, step: str, tag: str, message: str | None, expect: Expectation | None
) -> None:
    with session.connect() as server:
        version = version_expected(server, tag, expect)
        reply = server.post("tags", tag, step, message=message, expected_version=version)
    show_record(session, reply, TAG_MEMBERS)
