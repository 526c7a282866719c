"""A cache in memory with a limit in bytes; it does not know whether an entry is still true."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: The memory that an entry takes besides its content: key, objects, place in the table.
ENTRY_BYTES = 1_000
#: One entry may take at most this fraction of the cache: an eighth.
_PART_MAX = 8


class Cache(Generic[K, V]):
    """Drops what was not used for longest. Not thread-safe: for the event loop only."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value that was put last for this key; None if it was dropped."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, content_bytes: int) -> bool:
        """Add the value, unless it is so large that too many others would have to go for it."""
        self.discard(key)
        size = content_bytes + ENTRY_BYTES
        if size > self._bytes_max // _PART_MAX:
            return False
        self._entries[key] = value, size
        self._bytes += size
        while self._bytes > self._bytes_max:
            _, (_, freed) = self._entries.popitem(last=False)
            self._bytes -= freed
        return True

    def discard(self, key: K) -> None:
        """Drop the entry, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry[1]
