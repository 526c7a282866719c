"""A workflow document taken apart into nodes, edges and the rest; it compares and checks nothing.

Diff and merge see the same nodes and edges whatever the shape of the document: nodes in a list or
in a map, edges in a list of their own or as dependencies inside the nodes of a map.
"""

from typing import Any, NamedTuple, TypeAlias

from orchestrator.canonical import JSONValue
from orchestrator.workflow_document import edges_of, nodes_of

EdgeKey: TypeAlias = tuple[str, str, str | None]

EDGE_MEMBERS = ("edges", "dependencies")
GRAPH_MEMBERS = ("nodes", *EDGE_MEMBERS)


class Parts(NamedTuple):
    """A valid workflow; nodes and edges stand in the order of the document.

    A node of a map has an empty list for its dependencies, because they are among the edges: as
    objects with `from` and `to`, and with their keys in `inside`.
    """

    nodes: dict[str, dict[str, Any]]
    edges: dict[EdgeKey, dict[str, Any]]
    inside: set[EdgeKey]
    rest: dict[str, Any]
    nodes_are_listed: bool
    edges_member: str | None


def take_apart(document: JSONValue) -> Parts:
    """Nodes and edges that break the rules of workflows are left out."""
    members: dict[str, Any] = document if isinstance(document, dict) else {}
    listed = isinstance(members.get("nodes"), list)
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
        nodes={
            node.id: node.value if listed else _without_dependencies(node.value)
            for node in nodes_of(document)
        },
        edges=edges,
        inside=inside,
        rest={key: value for key, value in members.items() if key not in GRAPH_MEMBERS},
        nodes_are_listed=listed,
        edges_member=next((member for member in EDGE_MEMBERS if member in members), None),
    )


def put_together(parts: Parts) -> dict[str, Any]:
    """The document of these parts; an edge inside of a node must have no more than its ends."""
    document = dict(parts.rest)
    nodes = parts.nodes
    if parts.inside:
        nodes = {id_: dict(node) for id_, node in nodes.items()}
        for key in parts.edges:
            if key in parts.inside:
                node = nodes[key[1]]
                node["dependencies"] = [*node.get("dependencies", ()), key[0]]
    document["nodes"] = list(nodes.values()) if parts.nodes_are_listed else nodes
    listed = [edge for key, edge in parts.edges.items() if key not in parts.inside]
    if listed or parts.edges_member is not None:
        document[parts.edges_member or EDGE_MEMBERS[0]] = listed
    return document


def _without_dependencies(node: dict[str, Any]) -> dict[str, Any]:
    return {**node, "dependencies": []} if node.get("dependencies") else node
