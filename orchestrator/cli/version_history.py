"""`orchestrator workflow …`: commands that look back at differences and chains."""

from typing import Annotated, Any

import msgspec
from cyclopts import App, Group, Parameter, validators

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.options import ByIdOption, LimitOption, ReferenceName, TagName, WithSession
from orchestrator.cli.output import write_document, write_exactly, write_json, write_table
from orchestrator.cli.session import Session
from orchestrator.cli.showing import show_record, workflow_in
from orchestrator.cli.version_lineage import log_graph
from orchestrator.cli.version_text import hash_of, moment, write_diff

app = App()
_SHOWN = Group("What to show", validator=validators.mutually_exclusive, sort_key=10)

_VERSION_MEMBERS = (
    "seq",
    "version_hash",
    "artifact_id",
    "kind",
    "op_count",
    "message",
    "created_by",
    "created_at",
)


class _Difference(msgspec.Struct):
    diff: msgspec.Raw
    patch: msgspec.Raw


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow diff billing\n"
    "  orchestrator workflow diff billing billing/trial\n"
    "  orchestrator workflow diff billing@3 billing --patch > since-3.json\n"
    "  orchestrator workflow diff billing@3 billing --patch --by-id"
)
def diff(
    before: Annotated[
        ReferenceName, Parameter(name="FROM", help="Alone, a tag: what it named before it moved.")
    ],
    after: Annotated[
        ReferenceName | None, Parameter(name="TO", help="Else what the tag names now.")
    ] = None,
    /,
    *,
    patch: Annotated[
        bool, Parameter(negative="", help="Only the JSON Patch that makes the one of the other.")
    ] = False,
    by_id: ByIdOption = False,
    session: WithSession,
) -> None:
    """Show what changed from one version to another, or by the last move of a tag, node by node.

    A version is a tag, a version of a tag: tag@3, an artifact id, or a hash: blake3:….
    """
    with session.connect() as server:
        if after is None:
            before, after = _version_before(server, before), before
        address = "id" if by_id else None
        reply = server.get("diff", **{"from": before, "to": after}, address=address)
    if session.is_json and not patch:
        write_json(reply.body)
        return
    found = msgspec.json.decode(reply.body, type=_Difference)
    if patch:
        write_json(bytes(found.patch))
    else:
        write_diff(found.diff)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow log billing\n"
    "  orchestrator workflow log billing --graph --limit 20\n"
    "  orchestrator workflow log billing --node invoice"
)
def log(
    tag: TagName,
    /,
    *,
    graph: Annotated[
        bool,
        Parameter(
            group=_SHOWN,
            negative="",
            help="Draw all that led here: merges, revisions, compactions too.",
        ),
    ] = False,
    node: Annotated[
        str | None,
        Parameter(group=_SHOWN, help="Only the versions that added, changed or removed this node."),
    ] = None,
    full: Annotated[
        bool, Parameter(negative="", help="Whole version hashes, as commands take them.")
    ] = False,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List the chain of versions below a tag, newest first."""
    if graph:
        log_graph(session, tag, limit, is_full=full)
    elif node is not None:
        _log_node(session, tag, node, limit, is_full=full)
    else:
        _log_chain(session, tag, limit, is_full=full)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow show billing 2\n"
    "  orchestrator workflow show billing 0 --document | b3sum"
)
def show(
    tag: TagName,
    seq: Annotated[int, Parameter(help="0 is the base, n the n-th patch on it.")],
    /,
    *,
    document: Annotated[
        bool, Parameter(negative="", help="Only the document, in the form that is hashed.")
    ] = False,
    session: WithSession,
) -> None:
    """Show the workflow at a position of the chain below a tag."""
    with session.connect() as server:
        reply = server.get("workflows", tag, "versions", str(seq))
    content = workflow_in(reply)
    if document:
        write_exactly(content)
        return
    show_record(session, reply, _VERSION_MEMBERS)
    if not session.is_json:
        print()
        write_document(content)


@app.command(help_epilogue="Examples:\n\n  orchestrator workflow blame billing")
def blame(
    tag: TagName,
    /,
    *,
    full: Annotated[
        bool, Parameter(negative="", help="Whole version hashes, as commands take them.")
    ] = False,
    session: WithSession,
) -> None:
    """Show which version made each node and each edge what it is, by whom, when and why."""
    with session.connect() as server:
        reply = server.get("workflows", tag, "blame")
    if session.is_json:
        write_json(reply.body)
        return
    found = reply.json()
    rows = [
        (kind, name, *_blamed(version, is_full=full))
        for kind, members in (("node", found["nodes"]), ("edge", found["edges"]))
        for name, version in members.items()
    ]
    write_table(("what", "name", "version", "by", "at", "message"), rows)
    if found["truncated"]:
        print("Older versions were not read: the oldest of those shown may stand for them.")


def _log_node(session: Session, tag: str, node: str, limit: int | None, *, is_full: bool) -> None:
    with session.connect() as server:
        page = server.list_all("workflows", tag, "nodes", node, "history", limit=limit)
    if session.is_json:
        write_json(msgspec.json.encode(page))
        return
    events = [msgspec.json.decode(item) for item in page.items]
    rows = [(event["action"], *_blamed(event, is_full=is_full)) for event in events]
    write_table(("action", "version", "by", "at", "message"), rows)


def _blamed(version: dict[str, Any], *, is_full: bool) -> tuple[Any, ...]:
    return (
        hash_of(version, is_full=is_full),
        version["changed_by"],
        moment(version["changed_at"]),
        version["message"],
    )


def _log_chain(session: Session, tag: str, limit: int | None, *, is_full: bool) -> None:
    with session.connect() as server:
        page = server.list_all("workflows", tag, "versions", limit=limit)
    if session.is_json:
        write_json(msgspec.json.encode(page))
        return
    versions = [msgspec.json.decode(item) for item in page.items]
    rows = [
        (
            hash_of(version, is_full=is_full),
            version["seq"],
            version["created_by"],
            moment(version["created_at"]),
            version["op_count"],
            version["message"],
        )
        for version in versions
    ]
    write_table(("version", "seq", "by", "at", "operations", "message"), rows)


def _version_before(server: ServerConnection, tag: str) -> str:
    version = server.get("tags", tag).json()["version"]
    if version == 1:
        raise CommandFailed(
            f"The tag {tag!r} is at its first version: there is nothing before it.",
            ["Name what to compare it with, such as another tag."],
        )
    return f"{tag}@{version - 1}"
