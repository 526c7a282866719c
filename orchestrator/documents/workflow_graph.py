"""The nodes and edges of a workflow document, wherever it keeps them; no rule is checked here."""

from typing import Any, NamedTuple

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.pointer import Place, shown_pointer


class WorkflowNode(NamedTuple):
    """One node, wherever the document keeps it."""

    id: str
    path: Place
    value: dict[str, Any]


class WorkflowEdge(NamedTuple):
    """One edge, whether it is listed as an edge or as a dependency of a node."""

    source: str
    target: str
    condition: str | None
    path: Place

    def pointer_to(self, end: str) -> str:
        """Point to the end "from" or "to"; a dependency of a node is one text for both."""
        return shown_pointer(self.path if self.path[0] == "nodes" else (*self.path, end))


def nodes_of(document: JSONValue) -> list[WorkflowNode]:
    """The nodes in the order of the document, whatever its shape; malformed ones are left out."""
    nodes: Any = document.get("nodes") if isinstance(document, dict) else None
    if isinstance(nodes, dict):
        return [
            WorkflowNode(key, ("nodes", key), node)
            for key, node in nodes.items()
            if isinstance(node, dict)
        ]
    return [
        WorkflowNode(node["id"], ("nodes", index), node)
        for index, node in enumerate(list_or_empty(nodes))
        if isinstance(node, dict) and isinstance(node.get("id"), str)
    ]


def edges_of(document: JSONValue) -> list[WorkflowEdge]:
    """The edges of `edges`, `dependencies` and a map's nodes; malformed ones are left out."""
    if not isinstance(document, dict):
        return []
    edges = [
        WorkflowEdge(edge["from"], edge["to"], condition, (member, index))
        for member in ("edges", "dependencies")
        for index, edge in enumerate(list_or_empty(document.get(member)))
        if isinstance(edge, dict)
        and isinstance(edge.get("from"), str)
        and isinstance(edge.get("to"), str)
        and isinstance(condition := edge.get("condition"), str | None)
    ]
    if isinstance(document.get("nodes"), dict):
        edges += [
            WorkflowEdge(dependency, node.id, None, (*node.path, "dependencies", index))
            for node in nodes_of(document)
            for index, dependency in enumerate(list_or_empty(node.value.get("dependencies")))
            if isinstance(dependency, str)
        ]
    return edges


def list_or_empty(value: Any) -> list[Any]:
    """A member that should be a list; a malformed one has no items."""
    return value if isinstance(value, list) else []
