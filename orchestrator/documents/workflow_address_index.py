"""Where the nodes and edges of a draft stand while it is edited; it edits nothing itself.

Lists are read once and then followed, not searched again: each look is one into a table.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from orchestrator.documents.equality import equal
from orchestrator.documents.patch_draft import Draft, EditRefused
from orchestrator.documents.pointer import pointer_to
from orchestrator.documents.wording import shortened
from orchestrator.documents.workflow_address import edge_key, edge_name, names_in
from orchestrator.documents.workflow_parts import EDGE_MEMBERS, GRAPH_MEMBERS

Tokens: TypeAlias = tuple[str, ...]

KINDS: Final = {"nodes": "node", "edges": "edge"}
#: The members in which nodes and edges may be listed.
_LISTS: Final[dict[str, tuple[str, ...]]] = {"nodes": ("nodes",), "edges": EDGE_MEMBERS}
#: The members that make the name of a node or an edge.
_NAMING: Final = frozenset({"id", "from", "to", "condition"})


class _Slots:
    """Where each name stands in a list whose items come at its end and go anywhere.

    An item has a slot, which never changes: its position is that without the slots before it that
    are empty by now.
    """

    def __init__(self, names: Iterable[str | None]) -> None:
        self._names = list(names)
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        self._empty: list[int] = []
        for slot, name in enumerate(self._names):
            if name is not None:
                self._by_name[name].append(slot)

    def find(self, name: str) -> Sequence[int]:
        """All with this name."""
        return self._by_name.get(name, ())

    def position(self, slot: int) -> int:
        return slot - bisect_left(self._empty, slot)

    def append(self, name: str | None) -> int:
        self._names.append(None)
        slot = len(self._names) - 1
        self.rename(slot, name)
        return slot

    def remove(self, slot: int) -> None:
        self.rename(slot, None)
        insort(self._empty, slot)

    def rename(self, slot: int, name: str | None) -> None:
        before, self._names[slot] = self._names[slot], name
        if name == before:
            return
        if before is not None:
            self._by_name[before].remove(slot)
        if name is not None:
            self._by_name[name].append(slot)


class Item(NamedTuple):
    """A node or edge in a list, and the place in it that is meant."""

    items: Tokens
    slot: int
    rest: Tokens

    @property
    def is_text(self) -> bool:
        """Whether it is an edge that is only one text, among the dependencies of a node."""
        return len(self.items) > 1


class ElementIndex:
    """Finds nodes and edges by their names, however often they move."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        #: By the place of each list that was looked at.
        self._slots: dict[Tokens, _Slots] = {}

    # ------------------------------------------------------------------------------- looking

    def is_element(self, tokens: Tokens) -> bool:
        """Whether this is the address of a whole node or edge."""
        return len(tokens) == 2 and (
            tokens[0] == "edges"
            or (tokens[0] == "nodes" and isinstance(self._member("nodes"), dict | list))
        )

    def is_key(self, tokens: Tokens) -> bool:
        """Whether it addresses something in a map of nodes, where names are keys."""
        return tokens[0] == "nodes" and isinstance(self._member("nodes"), dict)

    def item(self, tokens: Tokens) -> Item | None:
        """What an address means in a list; None if it names nothing that is in one."""
        if len(tokens) < 2 or tokens[0] not in GRAPH_MEMBERS:
            return None
        member, name, *rest = tokens
        if member != "edges" and not self._is_list(member):
            return None
        if member == "dependencies":
            raise EditRefused("address", 'an edge is addressed as "/edges/<from>-><to>"')
        found = self._found(member, name)
        if not found:
            raise EditRefused("not-found", f"there is no {KINDS[member]} {shortened(name)}")
        if len(found) > 1:
            reason = f"there is more than one {KINDS[member]} {shortened(name)}"
            raise EditRefused("ambiguous", reason)
        return Item(*found[0], tuple(rest))

    def place(self, tokens: Tokens, item: Item | None) -> Tokens:
        """Where it stands now, by position."""
        if item is None:
            return tokens
        position = self._slots_of(item.items).position(item.slot)
        return (*item.items, str(position), *item.rest)

    def check_new(self, path: Tokens) -> None:
        """EditRefused if there is a node or an edge with this name."""
        member, name = path
        if self._found(member, name) or (self.is_key(path) and name in self._member("nodes")):
            raise EditRefused("exists", f"the {KINDS[member]} {shortened(name)} is there already")

    def list_for(self, path: Tokens, value: Any) -> Tokens:
        """The list for a new node or edge, which may not be there yet.

        An edge that has only its ends is one of the dependencies of its node where the node has
        some, or where there is no list of edges.
        """
        member, name = path
        listed = next(filter(self._is_list, _LISTS[member]), None)
        inside = self._dependencies(name) if member == "edges" else None
        if (
            inside is not None
            and equal(value, ends_of(path))
            and (listed is None or inside[2] in self._draft.get(inside[:2]))
        ):
            return inside
        return (listed or member,)

    def has(self, items: Tokens) -> bool:
        """Whether a list is there; EditRefused if it is something else."""
        holder = self._draft.get(items[:-1])
        if not isinstance(holder, dict) or items[-1] not in holder:
            return False
        if not isinstance(holder[items[-1]], list):
            raise EditRefused("type", f"{shortened(pointer_to(items))} is no list")
        return True

    def _member(self, key: str) -> Any:
        root = self._draft.root
        return root.get(key) if isinstance(root, dict) else None

    def _is_list(self, member: str) -> bool:
        return isinstance(self._member(member), list)

    def _found(self, member: str, name: str) -> list[tuple[Tokens, int]]:
        """Each list, and the slot in it, where something has the name."""
        return [
            (items, slot)
            for items in self._lists(member, name)
            for slot in self._slots_of(items).find(name)
        ]

    def _lists(self, member: str, name: str) -> Iterator[Tokens]:
        """The lists in which a node or an edge may be."""
        for each in _LISTS[member]:
            if self._is_list(each):
                yield (each,)
        inside = self._dependencies(name) if member == "edges" else None
        if inside is not None and isinstance(self._draft.get(inside[:2]).get(inside[2]), list):
            yield inside

    def _dependencies(self, name: str) -> Tokens | None:
        """The place for an edge in its node; None if nodes are no map, or it is not there."""
        key, nodes = edge_key(name), self._member("nodes")
        if key is None or key[2] is not None or not isinstance(nodes, dict):
            return None
        target = key[1]
        return ("nodes", target, "dependencies") if isinstance(nodes.get(target), dict) else None

    def _slots_of(self, items: Tokens) -> _Slots:
        if items not in self._slots:
            found = self._draft.get(items)
            self._draft.visit(found)
            self._slots[items] = _Slots(_names_in(items, found))
        return self._slots[items]

    # ------------------------------------------------------------------------------ following

    def appended(self, items: Tokens, name: str | None) -> Item:
        """Something is behind all others in a list."""
        return Item(items, self._slots_of(items).append(name), ())

    def removed(self, tokens: Tokens, item: Item | None) -> None:
        """Something is not there any more."""
        if item is not None and not item.rest:
            self._slots_of(item.items).remove(item.slot)
        else:
            self.changed(tokens, item)

    def changed(self, tokens: Tokens, item: Item | None) -> None:
        """Something is there, or is another than before: names may be others, too."""
        if item is not None and item.rest and item.rest[0] not in _NAMING:
            return
        if item is not None:
            value = self._draft.get(self.place(tokens, item._replace(rest=())))
            (name,) = _names_in(item.items, [value])
            self._slots_of(item.items).rename(item.slot, name)
        elif not tokens:
            self._slots.clear()
        elif len(tokens) == 1:
            self._slots = {each: s for each, s in self._slots.items() if each[0] != tokens[0]}
        elif tokens[0] == "nodes":
            self._slots.pop(("nodes", tokens[1], "dependencies"), None)


def members_of(path: Tokens) -> dict[str, str | None]:
    """The members of a node or edge that make its name; EditRefused if it is no name."""
    member, name = path
    if member == "nodes":
        return {"id": name}
    key = edge_key(name)
    if key is None:
        raise EditRefused("name", f'{shortened(name)} names no edge: "<from>-><to>" does')
    return dict(zip(("from", "to", "condition"), key, strict=True))


def ends_of(path: Tokens) -> dict[str, str | None]:
    """An edge of this name that has nothing else."""
    return {key: value for key, value in members_of(path).items() if value is not None}


def _names_in(items: Tokens, values: Iterable[Any]) -> list[str | None]:
    """The names of what is in a list: of nodes, of edges, or of the dependencies of a node."""
    if len(items) == 1:
        return names_in(items[0], values)
    return [
        edge_name((source, items[1], None)) if isinstance(source, str) else None
        for source in values
    ]
