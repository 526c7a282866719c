"""`orchestrator workflow lineage` and `log --graph`; `version_graph` draws the rails."""

from collections import defaultdict
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter, validators

from orchestrator.cli.connection import ListPage, ServerConnection
from orchestrator.cli.limits import DEFAULTS
from orchestrator.cli.options import ReferenceName, WithSession
from orchestrator.cli.output import printable, write_lines
from orchestrator.cli.reference import artifact_named
from orchestrator.cli.session import Session
from orchestrator.cli.showing import hash_of, show_data, show_list, show_rows, shown_time
from orchestrator.cli.version_graph import in_lines, rails

app = App()

#: What leads from a version to the ones below it; the one it was made on comes first.
_RAILS = ("patch_of", "revision_of", "compacted_from", "merged_from")
_COLUMNS = ("distance", "child", "relation", "parent", "artifact_id", "created_at")
_FARTHER = {"up": "parent id", "down": "child id", "both": "artifact id"}
_NOTES = {"cherry_picked_from": "cherry-pick of", "revert_of": "revert of"}

Artifact = dict[str, Any]


class _Edge(msgspec.Struct):
    child_id: str
    parent_id: str
    relation: str
    direction: str
    distance: int
    artifact: Artifact


class _Lineage(msgspec.Struct):
    """The page of edges as it came, the edges, and every artifact on them."""

    start: str
    page: ListPage
    edges: list[_Edge]
    artifacts: dict[str, Artifact]


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow lineage billing\n"
    "  orchestrator workflow lineage billing@1 --direction down --depth 3"
)
def lineage(
    artifact: ReferenceName,
    /,
    *,
    direction: Annotated[
        Literal["up", "down", "both"],
        Parameter(help="To what it came from, to what came of it, or both."),
    ] = "up",
    depth: Annotated[
        int,
        Parameter(
            validator=validators.Number(gte=1, lte=DEFAULTS.lineage_depth_max),
            help="So many steps.",
        ),
    ] = 100,
    session: WithSession,
) -> None:
    """List how an artifact is related to others, the nearest first."""
    with session.connect() as server:
        found = _load(server, artifact, direction=direction, depth=depth)
    if session.wants_data:
        show_list(session, found.page, _COLUMNS)
        return
    rows = [
        {
            "distance": edge.distance,
            "child": hash_of(session, found.artifacts[edge.child_id]),
            "relation": edge.relation,
            "parent": hash_of(session, found.artifacts[edge.parent_id]),
            "artifact_id": edge.artifact["artifact_id"],
            "created_at": edge.artifact["created_at"],
        }
        for edge in sorted(found.edges, key=lambda edge: (edge.direction != "up", edge.distance))
    ]
    show_rows(session, _COLUMNS, rows, {"artifact_id": _FARTHER[direction]})


def log_graph(session: Session, tag: str, limit: int | None) -> None:
    """Draw what a tag names and all that it came from, up to a number of versions."""
    depth_max = session.limits.lineage_depth_max
    with session.connect() as server:
        found = _load(server, tag, direction="up", depth=depth_max)
    above: defaultdict[str, list[_Edge]] = defaultdict(list)
    for edge in found.edges:
        above[edge.child_id].append(edge)
    parents = {child: _parents(edges) for child, edges in above.items()}
    history = islice(in_lines(found.start, parents), limit)
    if session.wants_data:
        items = [{**found.artifacts[node], "parents": below} for node, below in history]
        show_data(session, msgspec.json.encode({"items": items}))
        return
    if session.quiet:
        write_lines(hash_of(session, found.artifacts[node]) for node, _ in history)
        return
    for rail, node in rails(history):
        text = "" if node is None else f" {_describe(session, found, node, above[node])}"
        write_lines([f"{rail}{text}"])
    if any(edge.distance == depth_max for edge in found.edges):
        print(f"What is more than {depth_max:,} steps back is not shown.")


def _load(server: ServerConnection, name: str, *, direction: str, depth: int) -> _Lineage:
    first = artifact_named(server, name)
    start = first["artifact_id"]
    page = server.list_all("artifacts", start, "lineage", direction=direction, depth=depth)
    edges = [msgspec.json.decode(item, type=_Edge) for item in page.items]
    artifacts = {start: first, **{edge.artifact["artifact_id"]: edge.artifact for edge in edges}}
    return _Lineage(start, page, edges, artifacts)


def _parents(edges: list[_Edge]) -> list[str]:
    """The versions that this one was made on. Picks and reverts are notes beside it, no rails."""
    leading = [edge for edge in edges if edge.relation in _RAILS]
    return [edge.parent_id for edge in sorted(leading, key=lambda e: _RAILS.index(e.relation))]


def _describe(session: Session, found: _Lineage, node: str, above: list[_Edge]) -> str:
    artifact = found.artifacts[node]
    parts = [
        hash_of(session, artifact),
        f"seq {artifact['depth']}",
        artifact["created_by"],
        shown_time(session, artifact["created_at"]),
        _how_made(artifact, above),
        artifact["meta"].get("message") or "",
        *(
            f"({_NOTES[edge.relation]} {hash_of(session, edge.artifact)})"
            for edge in above
            if edge.relation in _NOTES
        ),
    ]
    return "  ".join(printable(part) for part in parts if part)


def _how_made(artifact: Artifact, above: list[_Edge]) -> str:
    if artifact["kind"] == "patch_set":
        return f"{artifact['op_count']} operation{'' if artifact['op_count'] == 1 else 's'}"
    if any(edge.relation == "compacted_from" for edge in above):
        return "compaction"
    return "whole workflow"
