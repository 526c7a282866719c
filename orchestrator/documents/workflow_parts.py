"""A workflow document taken apart into nodes, edges and the rest; it compares and checks nothing.

Diff and merge see the same nodes and edges whatever the shape of the document: nodes in a list or
in a map, edges in a list of their own or as dependencies inside the nodes of a map.
"""

from typing import Any, NamedTuple, TypeAlias

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.workflow_graph import edges_of, nodes_of

EdgeKey: TypeAlias = tuple[str, str, str | None]

EDGE_MEMBERS = ("edges", "dependencies")
GRAPH_MEMBERS = ("nodes", *EDGE_MEMBERS)


class Parts(NamedTuple):
    """A valid workflow; nodes and edges stand in the order of the document.

    The dependencies of a map's nodes are not in the nodes but among the edges, as objects with
    `from` and `to`; their keys are in `inside`. The nodes that have a list of dependencies, even an
    empty one, are the `dependents`. Whether nodes are listed is None if that is not known.
    """

    nodes: dict[str, dict[str, Any]]
    edges: dict[EdgeKey, dict[str, Any]]
    inside: set[EdgeKey]
    dependents: set[str]
    rest: dict[str, Any]
    nodes_are_listed: bool | None
    edges_member: str | None


def take_apart(document: JSONValue) -> Parts:
    """Nodes and edges that break the rules of workflows are left out."""
    members: dict[str, Any] = document if isinstance(document, dict) else {}
    listed = isinstance(members.get("nodes"), list)
    nodes = {node.id: node.value for node in nodes_of(document)}
    dependents = set() if listed else {id_ for id_ in nodes if "dependencies" in nodes[id_]}
    edges: dict[EdgeKey, dict[str, Any]] = {}
    inside = set()
    for source, target, condition, path in edges_of(document):
        key = source, target, condition
        if path[0] == "nodes":
            edges[key] = {"from": source, "to": target}
            inside.add(key)
        else:
            edges[key] = members[str(path[0])][path[1]]
    return Parts(
        nodes=nodes | {id_: _without_dependencies(nodes[id_]) for id_ in dependents},
        edges=edges,
        inside=inside,
        dependents=dependents,
        rest={key: value for key, value in members.items() if key not in GRAPH_MEMBERS},
        nodes_are_listed=listed,
        edges_member=next((member for member in EDGE_MEMBERS if member in members), None),
    )


def put_together(parts: Parts) -> dict[str, Any]:
    """The document of these parts; an edge inside of a node must have no more than its ends."""
    document = dict(parts.rest)
    dependencies: dict[str, list[str]] = {id_: [] for id_ in parts.dependents}
    for key in parts.edges:
        if key in parts.inside:
            dependencies.setdefault(key[1], []).append(key[0])
    nodes = parts.nodes | {
        id_: {**parts.nodes[id_], "dependencies": sources} for id_, sources in dependencies.items()
    }
    document["nodes"] = list(nodes.values()) if parts.nodes_are_listed else nodes
    listed = [edge for key, edge in parts.edges.items() if key not in parts.inside]
    if listed or parts.edges_member is not None:
        document[parts.edges_member or EDGE_MEMBERS[0]] = listed
    return document


def shapes(*sides: Parts) -> set[bool]:
    """Which shapes of nodes these have, as far as they are known."""
    return {side.nodes_are_listed for side in sides if side.nodes_are_listed is not None}


def _without_dependencies(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "dependencies"}
