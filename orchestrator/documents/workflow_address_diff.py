"""The JSON Patch between two workflows whose operations name nodes and edges by what they are.

It makes the nodes, the edges and all else of the one what they are in the other. The order of nodes
and edges is no part of it, because no operation by name can say it: what is new comes at the end.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.patch import Op, PatchOperation
from orchestrator.documents.patch_difference import Difference, Sized, sized
from orchestrator.documents.pointer import pointer_to
from orchestrator.documents.workflow_address import edge_name
from orchestrator.documents.workflow_parts import EdgeKey, Parts, take_apart


def patch_between_by_id(before: JSONValue, after: JSONValue) -> tuple[PatchOperation, ...]:
    """Operations by name that turn one valid workflow into another, but for the order of nodes and
    edges; a part is replaced where that is shorter.
    """
    old, new = take_apart(before), take_apart(after)
    difference = Difference()
    nodes = _nodes(difference, old, new, after)
    edges = _edges(difference, old, new, after)
    # A name that moves from one list to another is never in both.
    operations = [
        *nodes.removals,
        *edges.removals,
        *_members(difference, old.rest, new.rest),
        *nodes.others,
        *edges.others,
    ]
    whole = _sized("replace", value=after)
    return tuple(operation for operation, _ in _shorter(operations, whole))


class _Part(NamedTuple):
    """Operations of which some have to be done before those of other parts."""

    removals: list[Sized]
    others: list[Sized]


def _nodes(difference: Difference, old: Parts, new: Parts, after: Any) -> _Part:
    """The nodes, and the edges that are dependencies of nodes."""
    whole = _sized("replace", "nodes", value=after["nodes"])
    if old.nodes_are_listed != new.nodes_are_listed:
        return _Part([], [whole])
    kept = old.nodes.keys() & new.nodes.keys()
    removals = [
        _sized("remove", "edges", edge_name(key))
        for key in old.edges
        if key in old.inside and key[1] in kept and key not in new.inside
    ]
    others = list(_node_operations(difference, old, new, after))
    others += [
        _sized("add", "edges", edge_name(key), value=edge)
        for key, edge in new.edges.items()
        if key in new.inside and key[1] in kept and key not in old.inside
    ]
    if _length(removals) + _length(others) > whole[1]:
        return _Part([], [whole])
    return _Part(removals, others)


def _node_operations(difference: Difference, old: Parts, new: Parts, after: Any) -> Iterator[Sized]:
    """Those on nodes and their members. A node in a map has its dependencies when it is added."""
    for id_ in old.nodes:
        if id_ not in new.nodes:
            yield _sized("remove", "nodes", id_)
        else:
            yield from _node_changes(difference, old, new, id_)
            if (id_ in old.dependents) != (id_ in new.dependents):
                place = ("nodes", id_, "dependencies")
                is_gone = id_ in old.dependents
                yield _sized("remove", *place) if is_gone else _sized("add", *place, value=[])
    for id_, node in new.nodes.items():
        if id_ not in old.nodes:
            value = after["nodes"][id_] if id_ in new.dependents else node
            yield _sized("add", "nodes", id_, value=value)


def _node_changes(difference: Difference, old: Parts, new: Parts, id_: str) -> Iterable[Sized]:
    """Those on the members of one node, but for its dependencies: what has some is not replaced."""
    node, changed, place = old.nodes[id_], new.nodes[id_], ("nodes", id_)
    if id_ in old.dependents or id_ in new.dependents:
        return _members(difference, node, changed, place)
    return difference.between(pointer_to(place), node, changed)


def _edges(difference: Difference, old: Parts, new: Parts, after: Any) -> _Part:
    """The edges that are listed."""
    before_member, member = old.edges_member, new.edges_member
    gone = [] if before_member is None else [_sized("remove", before_member)]
    if member is None:
        return _Part(gone, [])
    whole = _sized("replace" if before_member == member else "add", member, value=after[member])
    if before_member != member and (before_member is not None or member != "edges"):
        return _Part(gone, [whole])
    old_edges, new_edges = _listed(old), _listed(new)
    # In a map of nodes an edge would be a dependency as long as there is no list.
    is_made = before_member is None and not (new_edges and new.nodes_are_listed)
    made = [_sized("add", member, value=[])] if is_made else []
    removals = [
        _sized("remove", "edges", edge_name(key)) for key in old_edges if key not in new_edges
    ]
    changed = [
        operation
        for key, edge in old_edges.items()
        if key in new_edges
        for operation in difference.between(
            pointer_to(("edges", edge_name(key))), edge, new_edges[key]
        )
    ]
    added = [
        _sized("add", "edges", edge_name(key), value=edge)
        for key, edge in new_edges.items()
        if key not in old_edges
    ]
    others = [*made, *changed, *added]
    if _length(removals) + _length(others) > whole[1]:
        return _Part([whole], [])
    return _Part(removals, others)


def _listed(parts: Parts) -> dict[EdgeKey, dict[str, Any]]:
    return {key: edge for key, edge in parts.edges.items() if key not in parts.inside}


def _members(
    difference: Difference,
    old: dict[str, Any],
    new: dict[str, Any],
    place: tuple[str, ...] = (),
) -> Iterator[Sized]:
    """Those on the members of an object, one by one."""
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield _sized("remove", *place, key)
        elif key not in old:
            yield _sized("add", *place, key, value=new[key])
        else:
            yield from difference.between(pointer_to((*place, key)), old[key], new[key])


def _sized(op: Op, *place: str, **members: Any) -> Sized:
    return sized(PatchOperation(op=op, path=pointer_to(place), **members))


def _length(operations: Iterable[Sized]) -> int:
    return sum(bytes_ for _, bytes_ in operations)


def _shorter(operations: list[Sized], whole: Sized) -> list[Sized]:
    return [whole] if _length(operations) > whole[1] else operations
