"""Keeps in memory what was used last, up to so many bytes; if it is still true is not asked."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: What an entry takes besides its content: keys, objects, the place in the table.
ENTRY_BYTES = 1_000
#: One entry may not push out more than this part of the others.
_PART_MAX = 8


class Cache(Generic[K, V]):
    """Least recently used first out. For one thread: it is used in the event loop only."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """What was put there last, if it is still kept."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, content_bytes: int) -> None:
        """Keep it, unless it is too large to be worth what it would push out."""
        self.discard(key)
        size = content_bytes + ENTRY_BYTES
        if size > self._bytes_max // _PART_MAX:
            return
        self._entries[key] = value, size
        self._bytes += size
        while self._bytes > self._bytes_max:
            _, (_, freed) = self._entries.popitem(last=False)
            self._bytes -= freed

    def discard(self, key: K) -> None:
        """Forget it."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry[1]
