"""What changed between two workflows, node by node and edge by edge; it applies and stores nothing.

A node is known by its id and not by its place, an edge by its ends and its condition. The order of
nodes and edges means nothing to a workflow, but it is part of its bytes: the JSON Patch between two
documents (`patch_between`) has every move, and here there is one flag.
"""

from collections.abc import Container, Hashable, Iterable, Iterator
from typing import Any

import msgspec

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal
from orchestrator.documents.patch import PatchOperation, invert
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.workflow_diff_rename import renamed_nodes
from orchestrator.documents.workflow_parts import EdgeKey, take_apart

#: So long may the operations on the members of a node be, even if the node itself is shorter.
OBJECT_BYTES_FREE = 4_096


class ReversiblePatch(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON Patch and the one that takes it back, which holds the former values."""

    patch: tuple[PatchOperation, ...]
    inverse: tuple[PatchOperation, ...]


class NodeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A node that only one of the workflows has."""

    id: str
    node: dict[str, Any]


class NodeChange(ReversiblePatch, frozen=True, kw_only=True):
    """What changed in a node; pointers start at the node."""

    id: str


class NodeRename(msgspec.Struct, frozen=True, kw_only=True):
    """A node that got another id, and is the same otherwise."""

    before: str
    after: str


class EdgeChange(ReversiblePatch, frozen=True, kw_only=True):
    """What else changed in an edge; pointers start at the edge."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    condition: str | None


class WorkflowDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What was added, removed, renamed and changed; an edge of a renamed node is not a new one.

    `members` is the patch of all that is neither node nor edge, with pointers into the document.
    """

    nodes_added: tuple[NodeEntry, ...]
    nodes_removed: tuple[NodeEntry, ...]
    nodes_renamed: tuple[NodeRename, ...]
    nodes_changed: tuple[NodeChange, ...]
    edges_added: tuple[dict[str, Any], ...]
    edges_removed: tuple[dict[str, Any], ...]
    edges_changed: tuple[EdgeChange, ...]
    members: ReversiblePatch
    reordered: bool

    @property
    def is_empty(self) -> bool:
        """Whether the workflows mean the same: all but the order and shape of nodes and edges."""
        return not (
            self.nodes_added
            or self.nodes_removed
            or self.nodes_renamed
            or self.nodes_changed
            or self.edges_added
            or self.edges_removed
            or self.edges_changed
            or self.members.patch
        )


def diff_workflows(before: JSONValue, after: JSONValue) -> WorkflowDiff:
    """Compare two valid workflows, in time linear in their size but for the sorting of moves."""
    old, new = take_apart(before), take_apart(after)
    renamed = renamed_nodes(old, new)
    old_edges = {_renamed_key(key, renamed): edge for key, edge in old.edges.items()}
    new_ids = set(renamed.values())
    return WorkflowDiff(
        nodes_added=_only_in(new.nodes, old.nodes.keys() | new_ids),
        nodes_removed=_only_in(old.nodes, new.nodes.keys() | renamed.keys()),
        nodes_renamed=tuple(
            NodeRename(before=old_id, after=new_id) for old_id, new_id in renamed.items()
        ),
        nodes_changed=tuple(_node_changes(old.nodes, new.nodes)),
        edges_added=tuple(edge for key, edge in new.edges.items() if key not in old_edges),
        edges_removed=tuple(edge for key, edge in old_edges.items() if key not in new.edges),
        edges_changed=tuple(_edge_changes(old_edges, new.edges)),
        members=reversible_patch(old.rest, new.rest),
        reordered=_are_reordered(
            [renamed.get(id_, id_) for id_ in old.nodes if old.nodes_are_listed],
            [id_ for id_ in new.nodes if new.nodes_are_listed],
        )
        or _are_reordered(
            [_renamed_key(key, renamed) for key in old.edges if key not in old.inside],
            [key for key in new.edges if key not in new.inside],
        ),
    )


def _renamed_key(key: EdgeKey, renamed: dict[str, str]) -> EdgeKey:
    source, target, condition = key
    return renamed.get(source, source), renamed.get(target, target), condition


def _only_in(nodes: dict[str, dict[str, Any]], known: Container[str]) -> tuple[NodeEntry, ...]:
    return tuple(NodeEntry(id=id_, node=node) for id_, node in nodes.items() if id_ not in known)


def _node_changes(
    old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> Iterator[NodeChange]:
    for id_, node in new.items():
        if id_ in old and not equal(old[id_], node):
            # In a list a node holds its id, in a map it need not: that is shape, not content.
            change = reversible_patch({**old[id_], "id": id_}, {**node, "id": id_})
            if change.patch:
                yield NodeChange(id=id_, patch=change.patch, inverse=change.inverse)


def _edge_changes(
    old: dict[EdgeKey, dict[str, Any]], new: dict[EdgeKey, dict[str, Any]]
) -> Iterator[EdgeChange]:
    for key, edge in new.items():
        if key in old:
            source, target, condition = key
            ends = {"from": source, "to": target}
            change = reversible_patch({**old[key], **ends}, edge)
            if change.patch:
                yield EdgeChange(
                    source=source,
                    target=target,
                    condition=condition,
                    patch=change.patch,
                    inverse=change.inverse,
                )


def reversible_patch(before: dict[str, Any], after: dict[str, Any]) -> ReversiblePatch:
    """The patch between two objects, whose members are not replaced together if they are few."""
    patch = patch_between(before, after, object_bytes_free=OBJECT_BYTES_FREE)
    return ReversiblePatch(patch=patch, inverse=invert(before, patch) if patch else ())


def _are_reordered(before: Iterable[Hashable], after: Iterable[Hashable]) -> bool:
    """Whether what both have stands in another order."""
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    return [each for each in old if each in new] != [each for each in new if each in old]
