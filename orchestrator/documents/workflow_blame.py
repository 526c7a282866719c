"""Which version of a history made each node and edge what it is; nothing is stored or read here.

Nodes and edges are known as in a diff: a node by its id, an edge by its ends and its condition, in
documents of any shape. One that got another key is a new one.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from orchestrator.documents.equality import equal
from orchestrator.documents.workflow_address import edge_name
from orchestrator.documents.workflow_parts import EdgeKey, take_apart
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


def blame_workflow(history: Sequence[Ancestor]) -> Blame:
    """Follow each node and edge of the first version through the parents that have it as it is."""
    elements = _Elements(history)
    first = elements.of(0)
    waiting: dict[int, dict[Key, Any]] = {0: first}
    found: dict[Key, int] = {}
    for at, version in enumerate(history):
        left = waiting.pop(at, {})
        for parent in version.parents:
            if not left:
                break
            before = elements.of(parent)
            same = {key: left[key] for key in left if _is_in(before, key, left[key])}
            waiting.setdefault(parent, {}).update(same)
            left = {key: left[key] for key in left if key not in same}
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
        elif not any(one is not None and equal(one, node) for one in before):
            was_there = any(one is not None for one in before)
            action = NodeAction.CHANGED if was_there else NodeAction.ADDED
            yield NodeEvent(at=at, action=action, node=node)


def _is_in(elements: dict[Key, Any], key: Key, value: Any) -> bool:
    return key in elements and equal(elements[key], value)


class _Elements:
    """The nodes and edges of versions, each read once as long as it is needed."""

    def __init__(self, history: Sequence[Ancestor]) -> None:
        self._history = history
        self._known: dict[int, dict[Key, Any]] = {}

    def of(self, at: int) -> dict[Key, Any]:
        """In one form, whatever the shape of the document."""
        if at not in self._known:
            parts = take_apart(msgspec.json.decode(self._history[at].content))
            found: dict[Key, Any] = {id_: {**node, "id": id_} for id_, node in parts.nodes.items()}
            for key, edge in parts.edges.items():
                found[key] = {**edge, "from": key[0], "to": key[1]}
            self._known[at] = found
        return self._known[at]

    def forget(self, at: int) -> None:
        self._known.pop(at, None)
