"""Three-way merge of the nodes and edges of workflows; it never leaves an edge without its ends."""

from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import UNSET

from orchestrator.documents.equality import equal
from orchestrator.documents.pointer import pointer_to
from orchestrator.documents.workflow_address import edge_name
from orchestrator.documents.workflow_merge_value import Merger, Unknown
from orchestrator.documents.workflow_parts import EdgeKey, Parts
from orchestrator.errors import RuleBroken, Violation

Key = TypeVar("Key", bound=Hashable)


class GraphMerge:
    """The merge of three graphs of one shape.

    A side that adds or changes an edge has changed the nodes at its ends, so the other side is in
    conflict if it removes one of them. A node that survives such a conflict has the edges of the
    side that has the node.
    """

    def __init__(self, merger: Merger, base: Parts, ours: Parts, theirs: Parts) -> None:
        self._merger = merger
        self._base, self._ours, self._theirs = base, ours, theirs
        self._rescued: dict[str, Parts] = {}

    def merged(self, rest: dict[str, Any]) -> Parts:
        """The merged graph beside members that were merged before."""
        sides = base, ours, theirs = self._base, self._ours, self._theirs
        nodes = self._merged_nodes()
        edges = self._merged_edges(nodes)
        return Parts(
            nodes=nodes,
            edges=edges,
            # A dependency inside of a node has no room for more than its ends.
            inside={
                key
                for key, edge in edges.items()
                if (isinstance(edge, Unknown) or edge.keys() == {"from", "to"})
                and _is_marked(key, ours.edges, theirs.edges, [each.inside for each in sides])
            },
            dependents={
                id_
                for id_ in nodes
                if _is_marked(id_, ours.nodes, theirs.nodes, [each.dependents for each in sides])
            },
            rest=rest,
            nodes_are_listed=ours.nodes_are_listed,
            edges_member=theirs.edges_member
            if ours.edges_member == base.edges_member
            else ours.edges_member,
        )

    def _merged_nodes(self) -> dict[str, dict[str, Any]]:
        base, ours, theirs = self._base.nodes, self._ours.nodes, self._theirs.nodes
        edges_of_ours = _edges_changed(self._base, self._ours)
        edges_of_theirs = _edges_changed(self._base, self._theirs)
        nodes = {}
        for id_ in _merged_order(base, ours, theirs):
            if id_ in base and (id_ in ours) != (id_ in theirs):
                changed = edges_of_theirs if id_ in theirs else edges_of_ours
                node = self._node_removed_once(id_, changed.get(id_))
            elif id_ not in base and id_ in ours and id_ in theirs:
                node = self._node_added_twice(id_)
            else:
                sides = _get(base, id_), _get(ours, id_), _get(theirs, id_)
                node = self._merger.merged(("nodes", id_), *sides)
            if node is not UNSET:
                nodes[id_] = node
        return nodes

    def _node_removed_once(self, id_: str, edge: EdgeKey | None) -> Any:
        """The other side may have changed the node itself, or an edge of it."""
        sides = (self._base, self._ours, self._theirs)
        base, ours, theirs = (_get(parts.nodes, id_) for parts in sides)
        if edge is None and equal(base, theirs if ours is UNSET else ours):
            return UNSET
        detail = f" Its edge {edge_name(edge)} is one of the changes." if edge else ""
        node = self._settled_node(id_, base, ours, theirs, detail=detail)
        if node is not UNSET:
            self._rescued[id_] = self._theirs if ours is UNSET else self._ours
        return node

    def _node_added_twice(self, id_: str) -> Any:
        """Two different nodes that happen to have one id are not mixed."""
        ours, theirs = self._ours.nodes[id_], self._theirs.nodes[id_]
        if equal(ours, theirs):
            return ours
        return self._settled_node(id_, UNSET, ours, theirs)

    def _settled_node(self, id_: str, base: Any, ours: Any, theirs: Any, detail: str = "") -> Any:
        place = ("nodes", id_)
        node = self._merger.settle(place, base, ours, theirs, detail=detail)
        # In a map, what a node depends on is edges, which are merged as such.
        members = {"id": id_} if self._ours.nodes_are_listed else {"dependencies": None}
        return _checked(place, node, members)

    def _merged_edges(self, nodes: Mapping[str, Any]) -> dict[EdgeKey, dict[str, Any]]:
        base, ours, theirs = self._base.edges, self._ours.edges, self._theirs.edges
        edges = {}
        for key in _merged_order(base, ours, theirs):
            source, target, _ = key
            if source not in nodes or target not in nodes:
                continue
            owner = self._rescued.get(source) or self._rescued.get(target)
            if owner is not None:
                edge = _get(owner.edges, key)
                if edge is not UNSET and self._merger.of_bases:
                    edge = Unknown()
            else:
                sides = _get(base, key), _get(ours, key), _get(theirs, key)
                place = ("edges", edge_name(key))
                ends = dict(zip(("from", "to", "condition"), key, strict=True))
                edge = _checked(place, self._merger.merged(place, *sides), ends)
            if edge is not UNSET:
                edges[key] = edge
        return edges


def _get(members: Mapping[Key, Any], key: Key) -> Any:
    return members.get(key, UNSET)


def _checked(place: tuple[str, str], part: Any, members: Mapping[str, Any]) -> Any:
    """A node or edge; RuleBroken if a resolution gave something else for it."""
    if part is UNSET or isinstance(part, Unknown):
        return part
    if isinstance(part, dict) and all(part.get(key) == value for key, value in members.items()):
        return part
    shown = ", ".join(f"{key}: {value!r}" for key, value in members.items() if value is not None)
    message = f"At {pointer_to(place)!r} there is an object with {shown or 'no dependencies'}."
    pointer = pointer_to(("resolutions", pointer_to(place), "value"))
    raise RuleBroken(message, [Violation(pointer, "resolution", message)])


def _is_marked(
    key: Key, ours: Container[Key], theirs: Container[Key], marked: Sequence[Container[Key]]
) -> bool:
    """Three-way merge of a yes or no; of a key that only one side has, that side decides."""
    in_base, in_ours, in_theirs = (key in each for each in marked)
    if key in ours and key in theirs:
        return in_ours if in_ours != in_base else in_theirs
    return in_ours or in_theirs


def _edges_changed(base: Parts, side: Parts) -> dict[str, EdgeKey]:
    """Each end of the edges that the side added or changed, with the first such edge."""
    ends: dict[str, EdgeKey] = {}
    for key, edge in side.edges.items():
        if key not in base.edges or not equal(base.edges[key], edge):
            ends.setdefault(key[0], key)
            ends.setdefault(key[1], key)
    return ends


def _merged_order(base: Iterable[Key], ours: Iterable[Key], theirs: Iterable[Key]) -> list[Key]:
    """The order of ours, or of theirs if only theirs has changed.

    What only the other side has comes after the key that it follows there.
    """
    in_base, in_ours, in_theirs = (dict.fromkeys(keys) for keys in (base, ours, theirs))
    common = in_base.keys() & in_ours.keys() & in_theirs.keys()
    orders = [[each for each in keys if each in common] for keys in (in_base, in_ours, in_theirs)]
    theirs_leads = orders[0] == orders[1] != orders[2]
    first, second = (in_theirs, in_ours) if theirs_leads else (in_ours, in_theirs)
    order: list[Key] = []
    followers: dict[Key, list[Key]] = {}
    behind = order
    for key in second:
        if key in first:
            behind = followers.setdefault(key, [])
        else:
            behind.append(key)
    for key in first:
        order += [key, *followers.get(key, ())]
    return order
