"""Three-way merge of workflows, by node and by member; it finds no base and stores nothing.

A clean merge has unique ids and no dangling edge. Whether it is a valid workflow is for the
validator to say: two sides can close a cycle together.
"""

from typing import Any

import msgspec

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal
from orchestrator.documents.workflow_merge_graph import GraphMerge
from orchestrator.documents.workflow_merge_value import (
    NOT_SETTLED,
    Conflict,
    Merger,
    Settlement,
    Unknown,
)
from orchestrator.documents.workflow_parts import (
    GRAPH_MEMBERS,
    Parts,
    put_together,
    shapes,
    take_apart,
)
from orchestrator.errors import RuleBroken, Violation


class WorkflowMerge(msgspec.Struct, frozen=True, kw_only=True):
    """A merge is clean without conflicts; else the document settles them for ours, as a preview.

    `settled` are the conflicts that a resolution or the preferred side settled.
    """

    document: JSONValue
    conflicts: tuple[Conflict, ...] = ()
    settled: tuple[Conflict, ...] = ()


def merge_workflows(
    base: "JSONValue | Parts",
    ours: JSONValue,
    theirs: JSONValue,
    settlement: Settlement = NOT_SETTLED,
) -> WorkflowMerge:
    """Merge two valid workflows that both began with the base, which may be merged from several.

    If one side changed nothing the result is the other one, the very same document. RuleBroken
    names the resolutions for places where nothing is in conflict.
    """
    merger = Merger(settlement)
    if equal(ours, theirs) or (not isinstance(base, Parts) and equal(base, theirs)):
        document = ours
    elif not isinstance(base, Parts) and equal(base, ours):
        document = theirs
    else:
        document = _merged(merger, base, ours, theirs)
    settlement.check_used(merger.used)
    return WorkflowMerge(
        document=document, conflicts=tuple(merger.conflicts), settled=tuple(merger.settled)
    )


def _merged(
    merger: Merger, base: "JSONValue | Parts", ours: JSONValue, theirs: JSONValue
) -> JSONValue:
    our, their = take_apart(ours), take_apart(theirs)
    our_graph, their_graph = _graph(ours), _graph(theirs)
    if isinstance(base, Parts):
        old, old_graph = base, None
    else:
        old, old_graph = take_apart(base), _graph(base)
    rest = merger.merged((), old.rest, our.rest, their.rest)
    if equal(old_graph, our_graph):
        return {**rest, **their_graph}
    if equal(old_graph, their_graph) or equal(our_graph, their_graph):
        return {**rest, **our_graph}
    if len(shapes(old, our, their)) > 1:
        return {**rest, **_graph_of_one_shape(merger, old_graph, our_graph, their_graph)}
    return put_together(GraphMerge(merger, old, our, their).merged(rest))


def _graph_of_one_shape(
    merger: Merger, base: dict[str, Any] | None, ours: dict[str, Any], theirs: dict[str, Any]
) -> dict[str, Any]:
    """The graph of one side: where one has a list of nodes and another a map, nothing is merged."""
    before = Unknown() if base is None else base["nodes"]
    nodes = merger.settle(("nodes",), before, ours["nodes"], theirs["nodes"], reason="shape")
    for graph in (ours, theirs):
        if nodes is graph["nodes"]:
            return graph
    message = "Where the shape of the nodes is in conflict, one side has to be chosen."
    raise RuleBroken(message, [Violation("/resolutions/~1nodes", "resolution", message)])


def _graph(document: Any) -> dict[str, Any]:
    return {member: document[member] for member in GRAPH_MEMBERS if member in document}
