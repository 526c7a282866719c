"""Three-way merge of workflows, by node and by member; it finds no base and stores nothing.

A clean merge has unique ids and no dangling edge. Whether it is a valid workflow is for the
validator to say: two sides can close a cycle together.
"""

from typing import Any

import msgspec

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal
from orchestrator.documents.workflow_merge_graph import GraphMerge
from orchestrator.documents.workflow_merge_value import Conflict, Merger, Side
from orchestrator.documents.workflow_parts import GRAPH_MEMBERS, put_together, take_apart


class MergeResult(msgspec.Struct, frozen=True, kw_only=True):
    """A merge is clean without conflicts; else the document settles them for ours, as a preview.

    With a preferred side there are no conflicts, but those that it settled.
    """

    document: JSONValue
    conflicts: tuple[Conflict, ...] = ()
    settled: tuple[Conflict, ...] = ()


def merge_workflows(
    base: JSONValue, ours: JSONValue, theirs: JSONValue, *, prefer: Side | None = None
) -> MergeResult:
    """Merge two valid workflows that both began with the base.

    If one side changed nothing the result is the other one, the very same document.
    """
    if equal(ours, theirs) or equal(base, theirs):
        return MergeResult(document=ours)
    if equal(base, ours):
        return MergeResult(document=theirs)
    merger = Merger(prefer or "ours")
    document = _merged(merger, base, ours, theirs)
    found = tuple(merger.conflicts)
    if prefer is None:
        return MergeResult(document=document, conflicts=found)
    return MergeResult(document=document, settled=found)


def _merged(merger: Merger, base: JSONValue, ours: JSONValue, theirs: JSONValue) -> JSONValue:
    old, our, their = take_apart(base), take_apart(ours), take_apart(theirs)
    rest = merger.merged((), old.rest, our.rest, their.rest)
    graphs: list[Any] = [_graph(document) for document in (base, ours, theirs)]
    if equal(graphs[0], graphs[1]):
        return {**rest, **graphs[2]}
    if equal(graphs[0], graphs[2]) or equal(graphs[1], graphs[2]):
        return {**rest, **graphs[1]}
    if len({parts.nodes_are_listed for parts in (old, our, their)}) > 1:
        nodes = [graph["nodes"] for graph in graphs]
        merger.settled(("nodes",), *nodes, reason="shape")
        return {**rest, **(graphs[1] if merger.side == "ours" else graphs[2])}
    return put_together(GraphMerge(merger, old, our, their).merged(rest))


def _graph(document: Any) -> dict[str, Any]:
    return {member: document[member] for member in GRAPH_MEMBERS if member in document}
