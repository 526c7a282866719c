"""`orchestrator workflow …`: commands that look back at differences and chains."""

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.options import (
    ByIdOption,
    LimitOption,
    NodeName,
    ReferenceName,
    TagName,
    WithSession,
)
from orchestrator.cli.output import write_document, write_exactly, write_json
from orchestrator.cli.session import Session
from orchestrator.cli.showing import (
    hash_of,
    show_data,
    show_list,
    show_record,
    show_rows,
    workflow_in,
)
from orchestrator.cli.version_lineage import log_graph
from orchestrator.cli.version_text import write_diff, write_manifest_diff

app = App()

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
_CHAIN_COLUMNS = ("version", "seq", "by", "changed_at", "op_count", "message")
_BLAME_COLUMNS = ("what", "name", "version", "by", "changed_at", "message")
_NODE_COLUMNS = ("action", *_BLAME_COLUMNS[2:])
_HEADERS = {"changed_at": "at", "op_count": "operations"}


class _Difference(msgspec.Struct):
    patch: msgspec.Raw
    diff: msgspec.Raw = msgspec.Raw()
    manifest: msgspec.Raw = msgspec.Raw()


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
    if session.wants_data and not patch:
        show_data(session, reply.body)
        return
    found = msgspec.json.decode(reply.body, type=_Difference)
    if patch and session.wants_data:
        show_data(session, bytes(found.patch))
    elif patch:
        write_json(bytes(found.patch))
    elif found.diff:
        write_diff(found.diff)
    else:
        write_manifest_diff(found.manifest)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow log billing\n"
    "  orchestrator workflow log billing --graph --limit 20\n"
    "  orchestrator workflow log billing invoice"
)
def log(
    tag: TagName,
    node: NodeName | None = None,
    /,
    *,
    graph: Annotated[
        bool,
        Parameter(negative="", help="Draw all that led here: merges, revisions, compactions too."),
    ] = False,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List the chain of versions below a tag, newest first.

    With NODE, only the versions that added, changed or removed this node.
    """
    if graph and node is not None:
        raise WrongUsage("A graph is one of whole versions: leave NODE or --graph out.")
    if graph:
        log_graph(session, tag, limit)
    elif node is not None:
        _log_node(session, tag, node, limit)
    else:
        _log_chain(session, tag, limit)


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
    if not (session.wants_data or session.quiet):
        print()
        write_document(content)


@app.command(help_epilogue="Examples:\n\n  orchestrator workflow blame billing")
def blame(tag: TagName, /, *, session: WithSession) -> None:
    """Show which version made each node and each edge what it is, by whom, when and why."""
    with session.connect() as server:
        reply = server.get("workflows", tag, "blame")
    if session.wants_data:
        show_data(session, reply.body)
        return
    found = reply.json()
    rows = [
        _blamed(session, version, what=kind, name=name)
        for kind, members in (("node", found["nodes"]), ("edge", found["edges"]))
        for name, version in members.items()
    ]
    show_rows(session, _BLAME_COLUMNS, rows, _HEADERS)
    if found["truncated"]:
        print("Older versions were not read: the oldest of those shown may stand for them.")


def _log_chain(session: Session, tag: str, limit: int | None) -> None:
    with session.connect() as server:
        page = server.list_all("workflows", tag, "versions", limit=limit)
    if session.wants_data:
        show_list(session, page, _CHAIN_COLUMNS)
        return
    versions = [msgspec.json.decode(item) for item in page.items]
    rows = [
        {
            **each,
            "version": hash_of(session, each),
            "by": each["created_by"],
            "changed_at": each["created_at"],
        }
        for each in versions
    ]
    show_rows(session, _CHAIN_COLUMNS, rows, _HEADERS)


def _log_node(session: Session, tag: str, node: str, limit: int | None) -> None:
    with session.connect() as server:
        page = server.list_all("workflows", tag, "nodes", node, "history", limit=limit)
    if session.wants_data:
        show_list(session, page, _NODE_COLUMNS)
        return
    events = [msgspec.json.decode(item) for item in page.items]
    rows = [_blamed(session, event, action=event["action"]) for event in events]
    show_rows(session, _NODE_COLUMNS, rows, _HEADERS)


def _blamed(session: Session, version: dict[str, Any], **more: str) -> dict[str, Any]:
    return {
        **more,
        "version": hash_of(session, version),
        "by": version["changed_by"],
        "changed_at": version["changed_at"],
        "message": version["message"],
    }


def _version_before(server: ServerConnection, tag: str) -> str:
    version = server.get("tags", tag).json()["version"]
    if version == 1:
        raise CommandFailed(
            f"The tag {tag!r} is at its first version: there is nothing before it.",
            ["Name what to compare it with, such as another tag."],
        )
    return f"{tag}@{version - 1}"
