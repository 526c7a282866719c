"""The JSON Patch (RFC 6902) from one JSON value to another; it knows no workflows.

The operations for a part are given up as soon as they are longer than the part: one `replace` is
shorter then. And after so much work whatever differs is replaced without looking into it: many
small parts inside each other take long.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal
from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.patch_difference_list import align, rearrangement
from orchestrator.documents.pointer import escaped

#: An operation in a list takes so many bytes at least, with a comma and without the list's path.
OPERATION_BYTES_MIN = len('{"op":"remove","path":"/0"},')

#: How many items and members are compared at most, of both values. To compare a part at all takes
#: as long as so many of them.
COMPARED_MAX = 2_000_000
PART_COMPARED = 20

#: An operation, and its bytes in a patch, with the comma behind it.
Sized: TypeAlias = tuple[PatchOperation, int]

_encode = msgspec.json.Encoder().encode


def patch_between(
    before: JSONValue, after: JSONValue, *, object_bytes_free: int = 0
) -> tuple[PatchOperation, ...]:
    """Operations that turn `before` into `after`; a part is replaced where that is shorter.

    An object is not replaced before its operations take more than `object_bytes_free`: for people
    who want to see which members changed.
    """
    difference = Difference(object_bytes_free)
    return tuple(operation for operation, _ in difference.between("", before, after))


class Difference:
    """Each part is given up or its operations are complete, before any of them is used."""

    def __init__(self, object_bytes_free: int = 0) -> None:
        self._object_bytes_free = object_bytes_free
        self._left = COMPARED_MAX

    def between(self, path: str, before: Any, after: Any) -> Iterable[Sized]:
        """The operations for the part at the path: none if nothing changed."""
        return () if equal(before, after) else self._changed(path, before, after)

    def _changed(self, path: str, before: Any, after: Any) -> Iterable[Sized]:
        # To replace what is alone in a list is not longer than to replace the list.
        while _is_one_item(before) and _is_one_item(after):
            path, before, after = f"{path}/0", before[0], after[0]
            self._left -= 2
        whole = sized(PatchOperation(op="replace", path=path, value=after))
        if type(before) is not type(after) or not isinstance(before, dict | list):
            return [whole]
        self._left -= PART_COMPARED + len(before) + len(after)
        if self._left < 0:
            return [whole]
        if isinstance(before, dict):
            room_bytes = max(whole[1], self._object_bytes_free)
            found = _within(room_bytes, self._members(path, before, after))
        else:
            found = self._items(path, before, after, whole[1])
        return [whole] if found is None else found

    def _members(self, path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Sized]:
        for key in sorted(before.keys() | after.keys()):
            place = f"{path}/{escaped(key)}"
            if key not in after:
                yield sized(PatchOperation(op="remove", path=place))
            elif key not in before:
                yield sized(PatchOperation(op="add", path=place, value=after[key]))
            else:
                yield from self.between(place, before[key], after[key])

    def _items(
        self, path: str, before: list[Any], after: list[Any], room_bytes: int
    ) -> list[Sized] | None:
        operations_max = room_bytes // (OPERATION_BYTES_MIN + len(path))
        alignment = align(before, after, operations_max)
        if alignment is None:
            return None
        moved = rearrangement(path, alignment, after, operations_max)
        if moved is None:
            return None
        changed = (
            operation
            for origin, index in alignment.pairs
            for operation in self.between(f"{path}/{index}", before[origin], after[index])
        )
        return _within(room_bytes, (*map(sized, moved), *changed))


def _is_one_item(value: Any) -> bool:
    """Whether it is a list of one, which has no id that tells it from others."""
    return type(value) is list and len(value) == 1 and type(value[0]) is not dict


def _within(room_bytes: int, operations: Iterable[Sized]) -> list[Sized] | None:
    """All of them, or None as soon as they take more bytes."""
    found = []
    for sized in operations:
        room_bytes -= sized[1]
        if room_bytes < 0:
            return None
        found.append(sized)
    return found


def sized(operation: PatchOperation) -> Sized:
    """With its length."""
    return operation, len(_encode(operation)) + 1
