"""Workflow documents: their shapes, their rules and their canonical bytes; no patches, no storage.

All functions take time linear in the document, and none recurses.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple, TypeAlias

import msgspec

from orchestrator.documents.canonical import (
    JSONValue,
    Path,
    canonicalise,
    parse,
    pointer,
    shortened,
)
from orchestrator.documents.workflow_schema import schema_violations
from orchestrator.errors import RuleBroken, Violation

VIOLATIONS_MAX = 10_000
CYCLE_NODES_NAMED_MAX = 10

Link: TypeAlias = tuple[int, int]
#: Their configuration names other nodes.
_REFERRING_TYPES = frozenset({"loop", "conditional"})


class Workflow(msgspec.Struct, frozen=True):
    """A document that keeps all rules."""

    document: JSONValue
    content: bytes
    nodes_count: int
    edges_count: int
    name: str | None


class Node(NamedTuple):
    """One node, wherever the document keeps it."""

    id: str
    path: Path
    value: dict[str, Any]


class Edge(NamedTuple):
    """One edge, whether it is listed as an edge or as a dependency of a node."""

    source: str
    target: str
    condition: str | None
    path: Path

    def pointer_to(self, end: str) -> str:
        """Point to the end "from" or "to"; a dependency of a node is one text for both."""
        return pointer(self.path if self.path[0] == "nodes" else (*self.path, end))


def read_workflow(body: bytes, *, bytes_max: int) -> Workflow:
    """Malformed JSON is InvalidInput; JSON that breaks rules of workflows is RuleBroken."""
    return check_workflow(parse(body, bytes_max=bytes_max, kind="workflow"))


def check_workflow(document: JSONValue) -> Workflow:
    """The same for a document that was parsed before, and may have been changed since."""
    # This comes first: it also refuses a depth that the validator could not bear.
    content = canonicalise(document)
    violations = list(islice(schema_violations(document), VIOLATIONS_MAX + 1))
    counts = None if violations else _counts_if_sound(document)
    if counts is None:
        nodes, edges = nodes_of(document), edges_of(document)
        violations += islice(_graph_violations(nodes, edges), VIOLATIONS_MAX + 1 - len(violations))
        if violations:
            _refuse(violations)
        counts = len(nodes), len(edges)
    return Workflow(document, content, *counts, _name_of(document))


def _counts_if_sound(document: Any) -> tuple[int, int] | None:
    """How many nodes and edges a document of the right shape has, if nothing is wrong between them.

    None also for what only the long look understands: maps of nodes, dependencies, nodes that name
    others. That one tells what is wrong, and where; it takes four times as long.
    """
    nodes, edges = document["nodes"], document.get("edges", ())
    if type(nodes) is not list or "dependencies" in document:
        return None
    index = {node["id"]: position for position, node in enumerate(nodes)}
    links = {(edge["from"], edge["to"]) for edge in edges}
    if (
        len(index) != len(nodes)
        or len(links) != len(edges)
        or not index.keys() >= set(chain.from_iterable(links))
        or any(node.get("type") in _REFERRING_TYPES for node in nodes)
    ):
        return None
    successors: list[list[int]] = [[] for _ in nodes]
    for source, target in links:
        successors[index[source]].append(index[target])
    # Where there is an order, there is a node to begin with and one to end with.
    return (len(nodes), len(edges)) if _has_an_order(successors) else None


def nodes_of(document: JSONValue) -> list[Node]:
    """The nodes in the order of the document, whatever its shape; malformed ones are left out."""
    nodes: Any = document.get("nodes") if isinstance(document, dict) else None
    if isinstance(nodes, dict):
        return [
            Node(key, ("nodes", key), node) for key, node in nodes.items() if isinstance(node, dict)
        ]
    return [
        Node(node["id"], ("nodes", index), node)
        for index, node in enumerate(_list(nodes))
        if isinstance(node, dict) and isinstance(node.get("id"), str)
    ]


def edges_of(document: JSONValue) -> list[Edge]:
    """The edges of `edges`, `dependencies` and a map's nodes; malformed ones are left out."""
    if not isinstance(document, dict):
        return []
    edges = [
        Edge(edge["from"], edge["to"], condition, (member, index))
        for member in ("edges", "dependencies")
        for index, edge in enumerate(_list(document.get(member)))
        if isinstance(edge, dict)
        and isinstance(edge.get("from"), str)
        and isinstance(edge.get("to"), str)
        and isinstance(condition := edge.get("condition"), str | None)
    ]
    if isinstance(document.get("nodes"), dict):
        edges += [
            Edge(dependency, node.id, None, (*node.path, "dependencies", index))
            for node in nodes_of(document)
            for index, dependency in enumerate(_list(node.value.get("dependencies")))
            if isinstance(dependency, str)
        ]
    return edges


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _name_of(document: Any) -> str | None:
    for holder in (document.get("metadata", {}), document):
        if isinstance(name := holder.get("name"), str):
            return name
    return None


def _refuse(violations: list[Violation]) -> None:
    rules = "one rule" if len(violations) == 1 else f"{len(violations)} rules"
    if len(violations) > VIOLATIONS_MAX:
        rules = f"more than {VIOLATIONS_MAX} rules"
        message = f"The list ends here: the workflow breaks {rules}."
        violations[-1] = Violation("", "more-violations", message)
    raise RuleBroken(f"The workflow breaks {rules}. {violations[0].message}", violations)


def _graph_violations(nodes: list[Node], edges: list[Edge]) -> Iterator[Violation]:
    """What only shows between nodes."""
    if not nodes:
        return
    index = {node.id: position for position, node in reversed(list(enumerate(nodes)))}
    yield from _id_violations(nodes, index)
    for node in nodes:
        yield from _reference_violations(node, index)
    yield from _edge_violations(edges, index)
    links = _links(nodes, edges, index)
    yield from _end_violations(links, index)
    yield from _cycle_violations(links, nodes)


def _id_violations(nodes: list[Node], index: dict[str, int]) -> Iterator[Violation]:
    for position, node in enumerate(nodes):
        if index[node.id] != position:
            first = pointer(nodes[index[node.id]].path)
            message = f"The id {shortened(node.id)} is already that of {first}."
            yield Violation(pointer((*node.path, "id")), "duplicate-node", message)
        elif node.value.get("id", node.id) != node.id:
            message = f"The id of node {shortened(node.id)} differs from its key."
            yield Violation(pointer((*node.path, "id")), "id-differs", message)


def _reference_violations(node: Node, index: dict[str, int]) -> Iterator[Violation]:
    kind = node.value.get("type")
    if kind == "loop":
        names = _names_in_config(node, ("loop_back_to", "break_path", "timeout_path"))
    elif kind == "conditional":
        names = _names_in_config(node, ("default", "rules"))
    else:
        return
    for path, name in names:
        if name not in index:
            message = f"Node {shortened(node.id)} names {shortened(name)}, which does not exist."
            yield Violation(pointer(path), "missing-node", message)


def _names_in_config(node: Node, members: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """A member holds an id, a list of ids, or a list of objects with an id in `to`."""
    config = node.value.get("config")
    for member in members:
        value = config.get(member) if isinstance(config, dict) else None
        path = (*node.path, "config", member)
        if isinstance(value, str):
            yield path, value
        for position, item in enumerate(_list(value)):
            if isinstance(item, str):
                yield (*path, position), item
            elif isinstance(item, dict) and isinstance(item.get("to"), str):
                yield (*path, position, "to"), item["to"]


def _edge_violations(edges: list[Edge], index: dict[str, int]) -> Iterator[Violation]:
    seen: set[tuple[str, str, str | None]] = set()
    for edge in edges:
        for end, name in (("from", edge.source), ("to", edge.target)):
            if name not in index:
                message = f"{_shown(edge)} needs node {shortened(name)}, which does not exist."
                yield Violation(edge.pointer_to(end), "missing-node", message)
        key = (edge.source, edge.target, edge.condition)
        if key in seen:
            yield Violation(
                pointer(edge.path), "duplicate-edge", f"{_shown(edge)} is listed before."
            )
        seen.add(key)


def _shown(edge: Edge) -> str:
    return f"The edge {shortened(edge.source)} → {shortened(edge.target)}"


def _links(nodes: list[Node], edges: list[Edge], index: dict[str, int]) -> dict[Link, Edge]:
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


def _end_violations(links: dict[Link, Edge], index: dict[str, int]) -> Iterator[Violation]:
    if len({target for _, target in links}) == len(index):
        message = "Every node comes after another one: there is none to start with."
        yield Violation("/nodes", "no-entry-node", message)
    if len({source for source, _ in links}) == len(index):
        message = "Every node comes before another one: there is none to end with."
        yield Violation("/nodes", "no-terminal-node", message)


def _cycle_violations(links: dict[Link, Edge], nodes: list[Node]) -> Iterator[Violation]:
    """One violation for each set of nodes that all lead to each other."""
    successors: list[list[int]] = [[] for _ in nodes]
    for source, target in links:
        successors[source].append(target)
    if _has_an_order(successors):
        return
    for members in _knots(successors):
        cycle = _shortest_cycle(successors, members)
        names = [shortened(nodes[position].id) for position in cycle]
        if len(names) > CYCLE_NODES_NAMED_MAX:
            names = [*names[: CYCLE_NODES_NAMED_MAX - 1], f"… ({len(cycle)} nodes)"]
        shown = " → ".join([*names, names[0]])
        message = f"{shown} is a cycle; only a loop node may lead back, to its loop_back_to."
        yield Violation(pointer(links[cycle[-1], cycle[0]].path), "cycle", message)


def _has_an_order(successors: list[list[int]]) -> bool:
    """Whether there is no cycle (Kahn 1962): in a third of the time that it takes to find one."""
    before = [0] * len(successors)
    for targets in successors:
        for target in targets:
            before[target] += 1
    free = [node for node, count in enumerate(before) if count == 0]
    for node in free:
        for target in successors[node]:
            before[target] -= 1
            if before[target] == 0:
                free.append(target)
    return len(free) == len(successors)


def _knots(successors: list[list[int]]) -> Iterator[list[int]]:
    """The strongly connected components that hold a cycle (Gabow 2000, with a stack of its own)."""
    # One more node leads to all others, so one search finds them all.
    origin, done = len(successors), len(successors) + 2
    number = [0] * origin + [1]
    numbers_count = 1
    path, boundaries = [origin], [origin]
    trail: list[tuple[int, Iterator[int]]] = [(origin, iter(range(origin)))]
    while trail:
        node, untried = trail[-1]
        for successor in untried:
            if number[successor] == 0:
                numbers_count += 1
                number[successor] = numbers_count
                path.append(successor)
                boundaries.append(successor)
                trail.append((successor, iter(successors[successor])))
                break
            while number[boundaries[-1]] > number[successor]:
                boundaries.pop()
        else:
            trail.pop()
            if boundaries[-1] == node:
                boundaries.pop()
                members = _cut(path, node)
                for member in members:
                    number[member] = done
                if len(members) > 1 or (node != origin and node in successors[node]):
                    yield members


def _cut(path: list[int], node: int) -> list[int]:
    """Take the node and all after it off the end of the path."""
    members = [path.pop()]
    while members[-1] != node:
        members.append(path.pop())
    return members


def _shortest_cycle(successors: list[list[int]], members: list[int]) -> list[int]:
    """The shortest cycle through the member that the document lists first."""
    first, inside = min(members), set(members)
    came_from: dict[int, int] = {}
    queue = [first]
    for node in queue:
        for successor in successors[node]:
            if successor in inside and successor not in came_from:
                came_from[successor] = node
                queue.append(successor)
        if first in came_from:
            break
    backwards = [came_from[first]]
    while backwards[-1] != first:
        backwards.append(came_from[backwards[-1]])
    return backwards[::-1]
