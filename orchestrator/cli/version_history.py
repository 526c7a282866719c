"""`orchestrator workflow …` that look back: differences, chains, lineage; they change nothing."""

from itertools import islice
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from cyclopts import App, Group, Parameter, validators

from orchestrator.cli.connection import Connection
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.options import Limit, Tag, WithSession
from orchestrator.cli.output import write_bytes, write_document, write_json, write_table
from orchestrator.cli.session import Session
from orchestrator.cli.showing import show_record
from orchestrator.cli.version import Reference
from orchestrator.cli.version_graph import in_lines, rails
from orchestrator.cli.version_text import hash_of, moment, write_diff

app = App()

#: As far as a server walks.
DEPTH_MAX = 10_000
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
#: What leads from a version to the ones below it, the one it was made on first.
_RAILS = ("patch_of", "revision_of", "compacted_from", "merged_from")
_NOTES = {"cherry_picked_from": "cherry-pick of", "revert_of": "revert of"}
_FORMS = Group("What to print", validator=validators.mutually_exclusive, sort_key=10)

Artifact = dict[str, Any]


class _Document(msgspec.Struct):
    workflow: msgspec.Raw


class _Difference(msgspec.Struct):
    diff: msgspec.Raw
    patch: msgspec.Raw


class _Edge(msgspec.Struct):
    child_id: str
    parent_id: str
    relation: str
    distance: int
    artifact: Artifact


class _Lineage(msgspec.Struct):
    """The edges, and every artifact on them."""

    start: str
    artifacts: dict[str, Artifact]
    edges: list[_Edge]


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow diff billing\n"
    "  orchestrator workflow diff billing billing/trial\n"
    "  orchestrator workflow diff billing @3 --patch > since-3.json"
)
def diff(
    tag: Tag,
    against: Annotated[
        Reference | None, Parameter(help="Where it begins. Else what the tag named before.")
    ] = None,
    /,
    *,
    patch: Annotated[
        bool, Parameter(negative="", help="Only the JSON Patch that makes the one of the other.")
    ] = False,
    session: WithSession,
) -> None:
    """Show what changed, up to what a tag names now, node by node."""
    with session.connect() as server:
        against = against or _version_before(server, tag)
        reply = server.get("workflows", tag, "diff", against=against)
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
    "  orchestrator workflow log billing --graph --limit 20"
)
def log(
    tag: Tag,
    /,
    *,
    graph: Annotated[
        bool,
        Parameter(negative="", help="Draw all that led here: merges, revisions, compactions too."),
    ] = False,
    full: Annotated[
        bool, Parameter(negative="", help="Whole version hashes, as commands take them.")
    ] = False,
    limit: Limit = None,
    session: WithSession,
) -> None:
    """List the chain of versions below a tag, newest first."""
    if graph:
        _log_graph(session, tag, limit, is_full=full)
        return
    with session.connect() as server:
        page = server.list_all("workflows", tag, "versions", limit=limit)
    if session.is_json:
        write_json(msgspec.json.encode(page))
        return
    versions = [msgspec.json.decode(item) for item in page.items]
    rows = [
        (
            hash_of(version, is_full=full),
            version["seq"],
            version["created_by"],
            moment(version["created_at"]),
            version["op_count"],
            version["message"],
        )
        for version in versions
    ]
    write_table(("version", "seq", "by", "at", "operations", "message"), rows)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow show billing 2\n"
    "  orchestrator workflow show billing 0 --document | b3sum"
)
def show(
    tag: Tag,
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
    content = bytes(msgspec.json.decode(reply.body, type=_Document).workflow)
    if document:
        write_bytes(content)
        return
    show_record(session, reply, _VERSION_MEMBERS)
    if not session.is_json:
        print()
        write_document(content)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow lineage billing\n"
    "  orchestrator workflow lineage billing@1 --direction down --depth 3"
)
def lineage(
    artifact: Annotated[str, Parameter(help="An artifact id, a tag, or a version of it: tag@3.")],
    /,
    *,
    direction: Annotated[
        Literal["up", "down"], Parameter(help="To what it came from, or to what came of it.")
    ] = "up",
    depth: Annotated[
        int, Parameter(validator=validators.Number(gte=1, lte=DEPTH_MAX), help="So many steps.")
    ] = 100,
    session: WithSession,
) -> None:
    """List how an artifact is related to others, the nearest first."""
    with session.connect() as server:
        found = _lineage(server, artifact, direction=direction, depth=depth)
    if session.is_json:
        write_json(msgspec.json.encode({"items": found.edges}))
        return
    rows = [
        (
            edge.distance,
            hash_of(found.artifacts[edge.child_id]),
            edge.relation,
            hash_of(found.artifacts[edge.parent_id]),
            edge.artifact["artifact_id"],
            moment(edge.artifact["created_at"]),
        )
        for edge in found.edges
    ]
    far = "parent id" if direction == "up" else "child id"
    write_table(("distance", "child", "relation", "parent", far, "created at"), rows)


def _version_before(server: Connection, tag: str) -> str:
    version = server.get("tags", tag).json()["version"]
    if version == 1:
        raise CommandFailed(
            f"The tag {tag!r} is at its first version: there is nothing before it.",
            ["Name what to compare it with, such as another tag."],
        )
    return f"@{version - 1}"


def _artifact_id(server: Connection, name: str) -> str:
    try:
        return str(UUID(name))
    except ValueError:
        tag, _, version = name.partition("@")
        return str(server.get("tags", tag, version=version or None).json()["artifact_id"])


def _lineage(server: Connection, name: str, *, direction: str, depth: int) -> _Lineage:
    start = _artifact_id(server, name)
    artifacts = {start: server.get("artifacts", start).json()}
    page = server.list_all("artifacts", start, "lineage", direction=direction, depth=depth)
    edges = [msgspec.json.decode(item, type=_Edge) for item in page.items]
    artifacts |= {edge.artifact["artifact_id"]: edge.artifact for edge in edges}
    return _Lineage(start, artifacts, edges)


def _log_graph(session: Session, tag: str, limit: int | None, *, is_full: bool) -> None:
    with session.connect() as server:
        found = _lineage(server, tag, direction="up", depth=DEPTH_MAX)
    parents: dict[str, list[str]] = {}
    for edge in sorted(found.edges, key=_rail_order):
        if edge.relation in _RAILS:
            parents.setdefault(edge.child_id, []).append(edge.parent_id)
    history = islice(in_lines(found.start, parents), limit)
    if session.is_json:
        items = [{**found.artifacts[node], "parents": below} for node, below in history]
        write_json(msgspec.json.encode({"items": items}))
        return
    for rail, node in rails(history):
        text = "" if node is None else f" {_described(found, node, is_full=is_full)}"
        write_bytes(f"{rail}{text}\n".encode())
    if any(edge.distance == DEPTH_MAX for edge in found.edges):
        print(f"Only {DEPTH_MAX:,} steps back are shown.")
