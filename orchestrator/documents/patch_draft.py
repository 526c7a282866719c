"""A JSON document while operations are applied: copy-on-write and bounded; it knows no operations.

A container is copied when it is first written to, so a small patch costs the containers on its
paths and not the document. Each copy remembers by how many bytes it grew since, so no operation
needs to encode what a former one made.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET

from orchestrator.documents.canonical import DEPTH_MAX, JSONValue
from orchestrator.documents.pointer import is_index
from orchestrator.documents.wording import shortened

Container: TypeAlias = dict[str, Any] | list[Any]

# What one step costs, in units of about half a nanosecond: one byte that the encoder writes.
_UNITS_PER_ITEM_COPIED = 48
_UNITS_PER_ITEM_VISITED = 100

_BEHIND_THE_LAST = "-"

_encode = msgspec.json.Encoder().encode


class PatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What applying a patch may need. `work_max` counts units of about half a nanosecond.

    The result may have `bytes_max`. Between two operations the document may have twice as many:
    one that brings the new may come before the one that takes away the old.
    """

    bytes_max: int = 8 * 1024 * 1024
    depth_max: int = DEPTH_MAX
    work_max: int = 1_000_000_000


LIMITS = PatchLimits()


class EditRefused(Exception):
    """An edit cannot be made: the rule it breaks, and a sentence for a person."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


class _Record:
    """What is known of one container.

    A container is either shared, and then never written to, or owned: a copy that this draft made
    of its origin. Size and height are those of the origin, measured when they are first needed.
    """

    __slots__ = ("container", "grown_bytes", "height", "height_min", "origin", "size_bytes")

    def __init__(self, container: Container, origin: Container | None = None) -> None:
        # While the record refers to the container, no other object can get its id.
        self.container = container
        self.origin = origin
        self.size_bytes: int | None = None
        self.height: int | None = None
        self.grown_bytes = 0
        self.height_min = 0


class Draft:
    """A document that is being edited. The one it began with, and all values put in, do not change.

    After a EditRefused the draft is of no further use.
    """

    def __init__(self, document: JSONValue, limits: PatchLimits) -> None:
        self.root: Any = document
        self._limits = limits
        self._records: dict[int, _Record] = {}
        self._work = 0

    def result(self) -> JSONValue:
        """The document after all edits; EditRefused if it has too many bytes."""
        self._check_size(self._limits.bytes_max)
        root: JSONValue = self.root
        return root

    def get(self, tokens: Sequence[str]) -> Any:
        """Find what is there now; it may change with the next edit."""
        value = self.root
        for token in tokens:
            value = value[_key(value, token)]
        return value

    def insert(self, tokens: Sequence[str], value: Any) -> tuple[Sequence[str], Any]:
        """Set a member or insert an item; return where it is now, and what it replaced."""
        if not tokens:
            return tokens, self._put_root(value)
        height, size = self._height(value), self._size(value)
        opened = self._opened(tokens)
        parent, token = opened[-1], tokens[-1]
        replaced: Any = UNSET
        if isinstance(parent, list):
            size += len(parent) > 0
            index = _insertion_index(parent, token)
            self._spend(len(parent) - index)
            parent.insert(index, value)
            tokens = (*tokens[:-1], str(index))
        else:
            replaced = parent.get(token, UNSET)
            size += _size_of_key(parent, token) if replaced is UNSET else -self._size(replaced)
            parent[token] = value
        self._grow(opened, size, height)
        return tokens, replaced

    def replace(self, tokens: Sequence[str], value: Any) -> Any:
        """Put a value in the place of another; return the other."""
        if not tokens:
            return self._put_root(value)
        height, size = self._height(value), self._size(value)
        opened = self._opened(tokens)
        parent: Any = opened[-1]
        key = _key(parent, tokens[-1])
        replaced = parent[key]
        parent[key] = value
        self._grow(opened, size - self._size(replaced), height)
        return replaced

    def remove(self, tokens: Sequence[str]) -> Any:
        """Take a value out and return it; without its root a document is null."""
        if not tokens:
            return self._put_root(None)
        opened = self._opened(tokens)
        parent: Any = opened[-1]
        key = _key(parent, tokens[-1])
        removed = parent.pop(key)
        size = self._size(removed)
        if isinstance(parent, list):
            size += len(parent) > 0
            self._spend(len(parent) - key)
        else:
            size += _size_of_key(parent, key)
        for container in opened:
            self._records[id(container)].grown_bytes -= size
        return removed

    def visit(self, container: Container) -> None:
        """Account for a look at each item of a container, which somebody else takes."""
        self._spend(_UNITS_PER_ITEM_VISITED * len(container))

    def snapshot(self, value: Any) -> Any:
        """The value as it is now, whatever is edited later: only its owned part is copied."""
        if not self._is_owned(value):
            return value
        self._spend(_UNITS_PER_ITEM_VISITED * len(value))
        copy: Container
        if isinstance(value, dict):
            copy = {key: self.snapshot(child) for key, child in value.items()}
        else:
            copy = [self.snapshot(child) for child in value]
        record = self._records[id(copy)] = _Record(copy)
        record.size_bytes, record.height = self._size(value), self._height(value)
        return copy

    def _put_root(self, value: Any) -> Any:
        replaced, self.root = self.root, value
        self._check(self._height(value))
        return replaced

    def _opened(self, tokens: Sequence[str]) -> list[Container]:
        """Own the containers from the root to the one that holds the place."""
        child = self.root = self._owned(self.root, tokens[0])
        opened = [child]
        for token, next_token in pairwise(tokens):
            parent: Any = child
            key = _key(parent, token)
            child = parent[key] = self._owned(parent[key], next_token)
            opened.append(child)
        return opened

    def _owned(self, value: Any, token: str) -> Container:
        if self._is_owned(value):
            container: Container = value
            return container
        if not isinstance(value, dict | list):
            raise _no_member(token)
        self._spend(_UNITS_PER_ITEM_COPIED * len(value))
        copy = value.copy()
        self._records[id(copy)] = _Record(copy, origin=value)
        return copy

    def _is_owned(self, value: Any) -> bool:
        record = self._records.get(id(value))
        return record is not None and record.origin is not None

    def _grow(self, opened: list[Container], size_bytes: int, height: int) -> None:
        """Account for a value in the last of these containers.

        A height is never lowered again: what the same patch takes out later still counts.
        """
        for above, container in enumerate(reversed(opened), start=height + 1):
            record = self._records[id(container)]
            record.grown_bytes += size_bytes
            record.height_min = max(record.height_min, above)
        self._check(len(opened) + height)

    def _check(self, depth: int) -> None:
        self._check_size(2 * self._limits.bytes_max)
        if depth > self._limits.depth_max:
            raise self._too_deep()

    def _check_size(self, bytes_max: int) -> None:
        if self._size(self.root) > bytes_max:
            reason = f"the document would have more than {bytes_max} bytes"
            raise EditRefused("result-size", reason)

    def _too_deep(self) -> EditRefused:
        return EditRefused("depth", f"it would nest deeper than {self._limits.depth_max} levels")

    def _spend(self, units: int) -> None:
        self._work += units
        if self._work > self._limits.work_max:
            raise EditRefused("work", "the patch needs too much work: send it in parts")

    def _record(self, container: Container) -> _Record:
        record = self._records.get(id(container))
        if record is None:
            record = self._records[id(container)] = _Record(container)
        return record

    def _size(self, value: Any) -> int:
        """The length of the value as compact JSON; its height must be known not to be too much."""
        if not isinstance(value, dict | list):
            return len(_encode(value))
        record = self._record(value)
        if record.size_bytes is None:
            if record.origin is not None:
                record.size_bytes = self._size(record.origin)
            else:
                record.size_bytes = len(_encode(value))
                self._spend(record.size_bytes)
        return record.size_bytes + record.grown_bytes

    def _height(self, value: Any) -> int:
        """How many containers stand above each other in the value."""
        if not isinstance(value, dict | list):
            return 0
        record = self._record(value)
        if record.height is None:
            origin = value if record.origin is None else record.origin
            record.height = self._walked_height(origin, 1)
        return max(record.height, record.height_min)

    def _walked_height(self, container: Container, level: int) -> int:
        """Containers with a record may be shared many times, so they are not walked again."""
        if level > self._limits.depth_max:
            raise self._too_deep()
        self._spend(_UNITS_PER_ITEM_VISITED * len(container))
        children: Iterable[Any] = container.values() if isinstance(container, dict) else container
        height = 0
        for child in children:
            if isinstance(child, dict | list):
                known = self._records.get(id(child))
                if known is None or known.height is None:
                    height = max(height, self._walked_height(child, level + 1))
                else:
                    height = max(height, known.height, known.height_min)
        return height + 1


def _key(container: Any, token: str) -> Any:
    """The key under which the container holds something; EditRefused if it holds nothing there."""
    if isinstance(container, dict):
        if token in container:
            return token
    elif isinstance(container, list):
        return _index(container, token, len(container) - 1)
    raise _no_member(token)


def _size_of_key(members: dict[str, Any], key: str) -> int:
    """What a further member takes beside its value: key, colon, and comma after another one."""
    return len(_encode(key)) + 1 + (len(members) > 0)


def _insertion_index(items: list[Any], token: str) -> int:
    return len(items) if token == _BEHIND_THE_LAST else _index(items, token, len(items))


def _index(items: list[Any], token: str, index_max: int) -> int:
    if token == _BEHIND_THE_LAST:
        raise EditRefused("not-found", 'there is nothing at "-", the place after the last item')
    if not is_index(token):
        raise EditRefused("index", f"{shortened(token)} is not an index of a list")
    # A long index is out of range anyway, and int() refuses very long ones.
    if len(token) > len(str(index_max)) or int(token) > index_max:
        raise EditRefused(
            "not-found", f"the list has {len(items)} items, none at {shortened(token)}"
        )
    return int(token)


def _no_member(token: str) -> EditRefused:
    return EditRefused("not-found", f"there is no member {shortened(token)}")
