"""Addresses of nodes and edges by what they are, instead of where they stand; nothing is changed.

A node is `/nodes/<id>`, an edge `/edges/<from>-><to>`, with ` if <condition>` behind it if it has
one, in documents of any shape. These names say which place is meant wherever a document is changed
by others: merges, diffs and blame use them, and patches may. All other places have one address.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.pointer import is_index, shown_pointer, tokens_of
from orchestrator.documents.workflow_graph import list_or_empty
from orchestrator.documents.workflow_parts import EDGE_MEMBERS, GRAPH_MEMBERS, EdgeKey
from orchestrator.errors import Violation

#: How pointers into a workflow name what is in a list of nodes or edges.
Address: TypeAlias = Literal["position", "id"]

#: An id has neither ">" nor a space, so a name is read in one way only.
_EDGE_NAME = re.compile(r"([^>]*)->([^ ]*)(?: if (.*))?", re.DOTALL)


def edge_name(key: EdgeKey) -> str:
    """How addresses and messages call an edge."""
    source, target, condition = key
    name = f"{source}->{target}"
    return name if condition is None else f"{name} if {condition}"


def edge_key(name: str) -> EdgeKey | None:
    """The edge of a name; None if it is the name of none."""
    found = _EDGE_NAME.fullmatch(name)
    return (found[1], found[2], found[3]) if found else None


def node_name_of(node: Any) -> str | None:
    """The name of a node in a list; None if it has none."""
    id_ = node.get("id") if isinstance(node, dict) else None
    return id_ if isinstance(id_, str) else None


def edge_name_of(edge: Any) -> str | None:
    """The name of an edge in a list; None if it has none."""
    if not isinstance(edge, dict):
        return None
    source, target, condition = edge.get("from"), edge.get("to"), edge.get("condition")
    if isinstance(source, str) and isinstance(target, str) and isinstance(condition, str | None):
        return edge_name((source, target, condition))
    return None


def names_in(member: str, items: Iterable[Any]) -> list[str | None]:
    """The names of the items of a list of nodes or edges."""
    return list(map(node_name_of if member == "nodes" else edge_name_of, items))


class Names:
    """The names of all nodes and edges of one document, by their positions."""

    def __init__(self, document: JSONValue) -> None:
        members: dict[str, Any] = document if isinstance(document, dict) else {}
        nodes = members.get("nodes")
        self._mapped: dict[str, Any] = nodes if isinstance(nodes, dict) else {}
        self._lists = {
            member: names_in(member, items)
            for member in GRAPH_MEMBERS
            if isinstance(items := members.get(member), list)
        }
        edges = [name for member in EDGE_MEMBERS for name in self._lists.get(member, ())]
        edges += self._names_inside()
        #: What is there twice is not named.
        self._twice = {"nodes": _twice(self._lists.get("nodes", ())), "edges": _twice(edges)}

    def address_of(self, place: Sequence[str]) -> tuple[str, ...]:
        """The address by names of a place by positions, as tokens of a pointer.

        What has no name of its own has the address of the list that it is in.
        """
        match place:
            case [member, index, *rest] if member in self._lists:
                names = self._lists[member]
                name = names[int(index)] if _is_within(names, index) else None
                kind = "nodes" if member == "nodes" else "edges"
                return self._address(kind, name, (member,), rest)
            case ["nodes", id_, "dependencies", index] if id_ in self._mapped:
                sources = list_or_empty(self._mapped[id_].get("dependencies"))
                source = sources[int(index)] if _is_within(sources, index) else None
                name = edge_name((source, id_, None)) if isinstance(source, str) else None
                return self._address("edges", name, ("nodes", id_, "dependencies"), ())
        return tuple(place)

    def _address(
        self, kind: str, name: str | None, items: tuple[str, ...], rest: Sequence[str]
    ) -> tuple[str, ...]:
        if name is None or name in self._twice[kind]:
            return items
        return (kind, name, *rest)

    def _names_inside(self) -> Iterator[str]:
        for id_, node in self._mapped.items():
            sources = node.get("dependencies") if isinstance(node, dict) else None
            for source in list_or_empty(sources):
                if isinstance(source, str):
                    yield edge_name((source, id_, None))


def _is_within(items: Sequence[Any], index: str) -> bool:
    return is_index(index) and len(index) <= len(str(len(items))) and int(index) < len(items)


def _twice(names: Iterable[str | None]) -> frozenset[str | None]:
    return frozenset(name for name, count in Counter(names).items() if count > 1)


def addressed_by_id(violations: Iterable[Violation], document: JSONValue) -> list[Violation]:
    """What is wrong with a document, with addresses by id instead of pointers by position."""
    names = Names(document)
    return [_addressed_by_id(each, names) for each in violations]


def _addressed_by_id(violation: Violation, names: Names) -> Violation:
    place = tokens_of(violation.pointer)
    address = names.address_of(place)
    message = violation.message
    if len(address) < len(place):
        message = f"Item {place[len(address)]} of the list: {message}"
    return msgspec.structs.replace(violation, pointer=shown_pointer(address), message=message)
