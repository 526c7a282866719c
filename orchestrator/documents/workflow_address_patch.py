"""Applies a JSON Patch whose operations name nodes and edges by what they are.

Each operation is translated against the document after the one before. What was done is returned
by positions, as it is stored. Nothing here decides whether the result is a valid workflow.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal
from orchestrator.documents.patch import Op, PatchOperation, edited, perform
from orchestrator.documents.patch_draft import LIMITS, Draft, EditRefused, PatchLimits
from orchestrator.documents.pointer import pointer_to, tokens_of
from orchestrator.documents.wording import shortened
from orchestrator.documents.workflow_address import names_in
from orchestrator.documents.workflow_address_index import (
    KINDS,
    ElementIndex,
    Item,
    Tokens,
    ends_of,
    members_of,
)

Transfer: TypeAlias = Literal["move", "copy"]


def apply_by_id(
    document: JSONValue, operations: Sequence[PatchOperation], *, limits: PatchLimits = LIMITS
) -> tuple[JSONValue, tuple[PatchOperation, ...]]:
    """The document after all operations, and what was done, by positions.

    PatchFailed names the first operation that fails, as it was given.
    """
    draft = Draft(document, limits)
    performer = _Performer(draft)
    return edited(draft, operations, performer.perform), tuple(performer.performed)


class _Performer:
    """Does operations on a draft, and notes them by position."""

    def __init__(self, draft: Draft) -> None:
        self.performed: list[PatchOperation] = []
        self._draft = draft
        self._index = ElementIndex(draft)

    def perform(self, operation: PatchOperation) -> None:
        """Do what the operation says; EditRefused if it cannot be done."""
        path, op = tokens_of(operation.path), operation.op
        if op == "move" or op == "copy":  # noqa: PLR1714 - so the type is known.
            self._transfer(op, tokens_of(str(operation.source)), path)
        elif op == "add" and self._index.is_element(path):
            self._add(path, operation.value)
        else:
            self._edit(op, path, operation.value)

    def _do(self, op: Op, place: Tokens, **members: Any) -> None:
        operation = PatchOperation(op=op, path=pointer_to(place), **members)
        perform(self._draft, operation)
        self.performed.append(operation)

    def _edit(self, op: Op, path: Tokens, value: Any) -> None:
        """What is done at one place."""
        item = self._index.item(path)
        if op == "replace" and item is not None and not item.rest:
            _check_name(path, value)
        if item is not None and item.is_text:
            _check_whole(path, is_whole=not item.rest)
            if op == "replace":
                self._edit("remove", path, value)
                self._add(path, value)
                return
            if op == "test" and equal(value, ends_of(path)):
                value = value["from"]
        members = {} if op == "remove" else {"value": value}
        self._do(op, self._index.place(path, item), **members)
        if op == "remove":
            self._index.removed(path, item)
        elif op != "test":
            self._index.changed(path, item)

    def _add(self, path: Tokens, value: Any) -> None:
        """A new node or edge: in a list it comes behind all others."""
        self._index.check_new(path)
        if self._index.is_key(path):
            self._do("add", path, value=value)
            self._index.changed(path, None)
            return
        _check_name(path, value)
        items = self._index.list_for(path, value)
        item = value if len(items) == 1 else value["from"]
        if not self._index.has(items):
            self._do("add", items, value=[item])
        else:
            added = self._index.appended(items, path[1])
            self._do("add", (*added.items, "-"), value=item)

    def _transfer(self, op: Transfer, source: Tokens, path: Tokens) -> None:
        """As RFC 6902 says, the path of a move is one in the document without the source."""
        item = self._index.item(source)
        if item is not None and item.is_text:
            _check_whole(source, is_whole=False)
        place = self._index.place(source, item)
        if op == "move" and source == path:
            self._do(op, place, source=pointer_to(place))
            return
        is_element = self._index.is_element(path)
        if is_element:
            self._index.check_new(path)
        if not is_element or self._index.is_key(path):
            value = self._taken(op, source, item)
            target = self._index.item(path)
            if target is not None and target.is_text:
                _check_whole(path, is_whole=not target.rest)
            self._put(op, place, self._index.place(path, target), value)
            self._index.changed(path, target)
        elif item is not None and not item.rest and source[0] == path[0]:
            self._rename(op, item, path)
        else:
            value = self._draft.get(place)
            _check_name(path, value)
            items = self._index.list_for(path, None)
            if not self._index.has(items):
                self._do("add", items, value=[])
            value = self._taken(op, source, item)
            self._index.appended(items, path[1])
            self._put(op, place, (*items, "-"), value)

    def _taken(self, op: Transfer, source: Tokens, item: Item | None) -> Any:
        """What is to be moved, which is gone then, or copied."""
        place = self._index.place(source, item)
        if op == "copy":
            return self._draft.snapshot(self._draft.get(place))
        value = self._draft.remove(place)
        self._index.removed(source, item)
        return value

    def _put(self, op: Transfer, source: Tokens, place: Tokens, value: Any) -> None:
        self._draft.insert(place, value)
        self.performed.append(
            PatchOperation(op=op, path=pointer_to(place), source=pointer_to(source))
        )

    def _rename(self, op: Transfer, item: Item, path: Tokens) -> None:
        """Give a node another id, or an edge other ends or another condition, where it stands; or
        to its copy behind all others.
        """
        place = self._index.place(path, item)
        if op == "copy":
            item = self._index.appended(item.items, None)
            self._do(op, (*item.items, "-"), source=pointer_to(place))
            place = self._index.place(path, item)
        for member, value in members_of(path).items():
            if value is not None:
                self._do("add", (*place, member), value=value)
            elif member in self._draft.get(place):
                self._do("remove", (*place, member))
        self._index.changed(path, item)


def _check_name(path: Tokens, value: Any) -> None:
    """What is put under a name must have it."""
    member, name = path
    (found,) = names_in(member, [value])
    if found != name:
        kind = KINDS[member]
        what = f"no {kind}" if found is None else f"the {kind} {shortened(found)}"
        raise EditRefused("name", f"the value is {what}, and the path names {shortened(name)}")


def _check_whole(path: Tokens, *, is_whole: bool) -> None:
    """An edge that is a dependency of its node is one text, without members."""
    if not is_whole:
        reason = (
            f"the edge {shortened(path[1])} is a dependency of its node: it has no members, and "
            "is only added, tested, replaced or removed"
        )
        raise EditRefused("dependency", reason)
