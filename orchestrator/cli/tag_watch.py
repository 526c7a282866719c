"""`orchestrator tag watch`: each move of a tag as it happens; it asks, and asks again."""

import time
from typing import Annotated, Any, TypeAlias

import msgspec
from cyclopts import App, Parameter, validators

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import CommandFailed, ExitCode, NotFound
from orchestrator.cli.options import TagName, WithSession
from orchestrator.cli.output import printable, write_lines
from orchestrator.cli.session import Session
from orchestrator.cli.showing import hash_of, show_data, shown_time

app = App()

Move: TypeAlias = dict[str, Any]


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator tag watch production\n"
    "  orchestrator tag watch production --count 1 && ./deploy\n"
    "  orchestrator tag watch production --since 7 -o json"
)
def watch(
    tag: TagName,
    /,
    *,
    since: Annotated[
        int | None, Parameter(help="Begin after this version of the tag, not with what comes now.")
    ] = None,
    count: Annotated[
        int | None, Parameter(validator=validators.Number(gte=1), help="End after so many moves.")
    ] = None,
    interval: Annotated[
        float, Parameter(validator=validators.Number(gte=0.1), help="Seconds between two looks.")
    ] = 2.0,
    session: WithSession,
) -> None:
    """Print each move of a tag as it happens, until you press Ctrl-C; also before there is a tag.

    A server that cannot be reached for a while is asked again.
    """
    shown = 0
    with session.connect() as server:
        last = since if since is not None else _newest(server, tag)
        while True:
            for move in _moves_after(server, tag, last):
                _show(session, tag, move)
                last, shown = move["version"], shown + 1
                if shown == count:
                    return
            time.sleep(interval)


def _newest(server: ServerConnection, tag: str) -> int:
    return max((move["version"] for move in _moves(server, tag, limit=1)), default=0)


def _moves_after(server: ServerConnection, tag: str, version: int) -> list[Move]:
    """The oldest first; none while the server cannot say."""
    try:
        limit = 1
        while True:
            found = _moves(server, tag, limit=limit)
            if len(found) < limit or found[-1]["version"] <= version + 1:
                return [move for move in reversed(found) if move["version"] > version]
            limit = found[0]["version"] - version
    except CommandFailed as failure:
        if failure.exit_code is not ExitCode.UNREACHABLE:
            raise
        return []


def _moves(server: ServerConnection, tag: str, *, limit: int) -> list[Move]:
    """The newest first; none if there never was such a tag."""
    try:
        page = server.list_all("tags", tag, "history", limit=limit)
    except NotFound:
        return []
    return [msgspec.json.decode(item) for item in page.items]


def _show(session: Session, tag: str, move: Move) -> None:
    name = f"{tag}@{move['version']}"
    if session.wants_data:
        if session.output == "yaml":
            write_lines(["---"])
        show_data(session, msgspec.json.encode(move))
    elif session.quiet:
        write_lines([name])
    else:
        parts = (
            shown_time(session, move["moved_at"]),
            name,
            move["action"],
            hash_of(session, move),
            move["moved_by"],
            move["message"],
        )
        write_lines([printable("  ".join(part for part in parts if part))])
