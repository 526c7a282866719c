"""The rules of a workflow that only show between nodes; what one node must be is in the schema.

All functions take time linear in the document, and none recurses.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from orchestrator.documents.pointer import Place, shown_pointer
from orchestrator.documents.wording import shortened
from orchestrator.documents.workflow_cycle import has_an_order, knots, shortest_cycle
from orchestrator.documents.workflow_graph import WorkflowEdge, WorkflowNode, list_or_empty
from orchestrator.errors import Violation

CYCLE_NODES_NAMED_MAX = 10
#: What in the configuration of these types names other nodes.
_REFERRING_MEMBERS = {
    "loop": ("loop_back_to", "break_path", "timeout_path"),
    "conditional": ("default", "rules"),
}
REFERRING_TYPES = frozenset(_REFERRING_MEMBERS)

#: From node to node, by their places in the document.
Link: TypeAlias = tuple[int, int]


def shape_violations(nodes: list[WorkflowNode], edges: list[WorkflowEdge]) -> Iterator[Violation]:
    """What makes no graph: names that mean two nodes or none, edges that are listed twice."""
    index = _index(nodes)
    yield from _id_violations(nodes, index)
    for node in nodes:
        for path, name in _references(node):
            if name not in index:
                message = (
                    f"Node {shortened(node.id)} names {shortened(name)}, which does not exist."
                )
                yield Violation(shown_pointer(path), "missing-node", message)
    yield from _edge_violations(edges, index)


def sense_violations(nodes: list[WorkflowNode], edges: list[WorkflowEdge]) -> Iterator[Violation]:
    """What makes a graph that cannot run from a beginning to an end."""
    if not nodes:
        return
    index = _index(nodes)
    links = _links(nodes, edges, index)
    yield from _end_violations(links, index)
    yield from _cycle_violations(links, nodes)


def unconnected_nodes(nodes: list[WorkflowNode], edges: list[WorkflowEdge]) -> Iterator[Violation]:
    """The nodes among several that no edge touches, and no configuration leads to or from."""
    if len(nodes) == 1:
        return
    connected = {id_ for edge in edges for id_ in (edge.source, edge.target)}
    for node in nodes:
        names = [name for _, name in _references(node)]
        connected.update(names, [node.id] if names else ())
    for node in nodes:
        if node.id not in connected:
            message = f"No edge connects node {shortened(node.id)} with another one."
            yield Violation(shown_pointer(node.path), "unconnected-node", message)


def _index(nodes: list[WorkflowNode]) -> dict[str, int]:
    """The place of the first node of each id."""
    return {node.id: position for position, node in reversed(list(enumerate(nodes)))}


def _id_violations(nodes: list[WorkflowNode], index: dict[str, int]) -> Iterator[Violation]:
    for position, node in enumerate(nodes):
        if index[node.id] != position:
            first = nodes[index[node.id]].path[-1]
            message = f"The id {shortened(node.id)} is already that of item {first} of the list."
            yield Violation(shown_pointer((*node.path, "id")), "duplicate-node", message)
        elif node.value.get("id", node.id) != node.id:
            message = f"The id of node {shortened(node.id)} differs from its key."
            yield Violation(shown_pointer((*node.path, "id")), "id-differs", message)


def _references(node: WorkflowNode) -> Iterator[tuple[Place, str]]:
    """The nodes that the configuration of a node leads to, and where it says so."""
    kind = node.value.get("type")
    return _names_in_config(node, _REFERRING_MEMBERS.get(kind if isinstance(kind, str) else "", ()))


def _names_in_config(node: WorkflowNode, members: Iterable[str]) -> Iterator[tuple[Place, str]]:
    """A member holds an id, a list of ids, or a list of objects with an id in `to`."""
    config = node.value.get("config")
    for member in members:
        value = config.get(member) if isinstance(config, dict) else None
        path = (*node.path, "config", member)
        if isinstance(value, str):
            yield path, value
        for position, item in enumerate(list_or_empty(value)):
            if isinstance(item, str):
                yield (*path, position), item
            elif isinstance(item, dict) and isinstance(item.get("to"), str):
                yield (*path, position, "to"), item["to"]


def _edge_violations(edges: list[WorkflowEdge], index: dict[str, int]) -> Iterator[Violation]:
    seen: set[tuple[str, str, str | None]] = set()
    for edge in edges:
        for end, name in (("from", edge.source), ("to", edge.target)):
            if name not in index:
                message = f"{_shown(edge)} needs node {shortened(name)}, which does not exist."
                yield Violation(edge.pointer_to(end), "missing-node", message)
        key = (edge.source, edge.target, edge.condition)
        if key in seen:
            yield Violation(
                shown_pointer(edge.path), "duplicate-edge", f"{_shown(edge)} is listed before."
            )
        seen.add(key)


def _shown(edge: WorkflowEdge) -> str:
    return f"The edge {shortened(edge.source)} → {shortened(edge.target)}"


def _links(
    nodes: list[WorkflowNode], edges: list[WorkflowEdge], index: dict[str, int]
) -> dict[Link, WorkflowEdge]:
    """The edges between existing nodes, but for the way back of each configured loop."""
    ways_back = {
        (node.id, name)
        for node in nodes
        if node.value.get("type") == "loop"
        for _, name in _names_in_config(node, ["loop_back_to"])
    }
    return {
        (index[edge.source], index[edge.target]): edge
        for edge in edges
        if edge.source in index
        and edge.target in index
        and (edge.source, edge.target) not in ways_back
    }


def _end_violations(links: dict[Link, WorkflowEdge], index: dict[str, int]) -> Iterator[Violation]:
    if len({target for _, target in links}) == len(index):
        message = "Every node comes after another one: there is none to start with."
        yield Violation("/nodes", "no-entry-node", message)
    if len({source for source, _ in links}) == len(index):
        message = "Every node comes before another one: there is none to end with."
        yield Violation("/nodes", "no-terminal-node", message)


def _cycle_violations(
    links: dict[Link, WorkflowEdge], nodes: list[WorkflowNode]
) -> Iterator[Violation]:
    """One violation for each set of nodes that all lead to each other."""
    successors: list[list[int]] = [[] for _ in nodes]
    for source, target in links:
        successors[source].append(target)
    if has_an_order(successors):
        return
    for members in knots(successors):
        cycle = shortest_cycle(successors, members)
        names = [shortened(nodes[position].id) for position in cycle]
        if len(names) > CYCLE_NODES_NAMED_MAX:
            names = [*names[: CYCLE_NODES_NAMED_MAX - 1], f"… ({len(cycle)} nodes)"]
        shown = " → ".join([*names, names[0]])
        message = f"{shown} is a cycle; only a loop node may lead back, to its loop_back_to."
        yield Violation(shown_pointer(links[cycle[-1], cycle[0]].path), "cycle", message)
