"""Which version of a history made each node and edge what it is; nothing is stored or read here.

Nodes and edges are known as in a diff: a node by its id, an edge by its ends and its condition, in
documents of any shape. One that got another key is a new one.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from orchestrator.documents.equality import fingerprint
from orchestrator.documents.workflow_address import edge_name
from orchestrator.documents.workflow_parts import EdgeKey
from orchestrator.models.version_history import Ancestor

#: A node, or an edge.
Key: TypeAlias = str | EdgeKey


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """For each node and edge of the first version the place of the one that made it so."""

    nodes: dict[str, int]
    edges: dict[str, int]


class NodeAction(StrEnum):
    """What a version did to a node."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class NodeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A version, by its place, that made a node what it is from then on."""

    at: int
    action: NodeAction
    node: dict[str, Any] | None


class _Outline(msgspec.Struct):
    """A workflow whose nodes and edges are not read yet, in any of its shapes."""

    nodes: list[msgspec.Raw] | dict[str, msgspec.Raw] = []
    edges: list[msgspec.Raw] = []
    dependencies: list[msgspec.Raw] = []


def blame_workflow(history: Sequence[Ancestor]) -> Blame:
    """Follow each node and edge of the first version through the parents that have it as it is."""
    elements = _Elements(history)
    first = elements.of(0)
    waiting: dict[int, dict[Key, bytes]] = {0: first}
    found: dict[Key, int] = {}
    for at, version in enumerate(history):
        left = waiting.pop(at, {})
        for parent in version.parents:
            if not left:
                break
            same = dict(left.items() & elements.of(parent).items())
            waiting.setdefault(parent, {}).update(same)
            left = {key: left[key] for key in left.keys() - same.keys()}
        found.update(dict.fromkeys(left, at))
        elements.forget(at)
    return Blame(
        nodes={key: found[key] for key in first if isinstance(key, str)},
        edges={edge_name(key): found[key] for key in first if not isinstance(key, str)},
    )


def node_events(history: Sequence[Ancestor], node_id: str) -> list[NodeEvent]:
    """What happened to a node, in the order of the history. A version that has it as one of its
    parents has it did nothing.
    """
    elements = _Elements(history)
    return list(_events(history, elements, node_id))


def _events(
    history: Sequence[Ancestor], elements: "_Elements", node_id: str
) -> Iterator[NodeEvent]:
    for at, version in enumerate(history):
        node = elements.of(at).get(node_id)
        before = [elements.of(parent).get(node_id) for parent in version.parents]
        elements.forget(at)
        if version.is_cut and not before:
            continue  # What was before is unknown.
        if node is None:
            if before and None not in before:
                yield NodeEvent(at=at, action=NodeAction.REMOVED, node=None)
        elif node not in before:
            was_there = any(one is not None for one in before)
            action = NodeAction.CHANGED if was_there else NodeAction.ADDED
            yield NodeEvent(at=at, action=action, node=msgspec.json.decode(node))


class _Elements:
    """The nodes and edges of versions, each version read once as long as it is needed.

    Most are in many versions as the same bytes: those are parsed once.
    """

    def __init__(self, history: Sequence[Ancestor]) -> None:
        self._history = history
        self._known: dict[int, dict[Key, bytes]] = {}
        self._nodes: dict[tuple[str | None, bytes], tuple[str, bytes, list[str]]] = {}
        self._edges: dict[bytes, tuple[EdgeKey, bytes]] = {}

    def of(self, at: int) -> dict[Key, bytes]:
        """What each is, in one form whatever the shape of the document: equal bytes if equal."""
        if at not in self._known:
            self._known[at] = self._read(self._history[at].content)
        return self._known[at]

    def forget(self, at: int) -> None:
        self._known.pop(at, None)

    def _read(self, content: bytes) -> dict[Key, bytes]:
        outline = msgspec.json.decode(content, type=_Outline)
        found: dict[Key, bytes] = {}
        inside: dict[EdgeKey, bytes] = {}
        nodes = outline.nodes
        for name, raw in nodes.items() if isinstance(nodes, dict) else ((None, n) for n in nodes):
            id_, node, sources = self._node(name, bytes(raw))
            found[id_] = node
            for source in sources:
                edge = {"from": source, "to": id_}
                inside[source, id_, None] = fingerprint(edge)
        for raw in (*outline.edges, *outline.dependencies):
            key, listed = self._edge(bytes(raw))
            found[key] = listed
        return found | inside

    def _node(self, name: str | None, raw: bytes) -> tuple[str, bytes, list[str]]:
        """Its id, itself, and the nodes that it depends on, where these are said inside of it."""
        if (name, raw) not in self._nodes:
            node = msgspec.json.decode(raw)
            sources = [] if name is None else node.pop("dependencies", [])
            id_ = node["id"] if name is None else name
            self._nodes[name, raw] = id_, fingerprint({**node, "id": id_}), sources
        return self._nodes[name, raw]

    def _edge(self, raw: bytes) -> tuple[EdgeKey, bytes]:
        if raw not in self._edges:
            edge = msgspec.json.decode(raw)
            key = edge["from"], edge["to"], edge.get("condition")
            self._edges[raw] = key, fingerprint(edge)
        return self._edges[raw]
