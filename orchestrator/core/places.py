"""A bounded number of places for those who do something; it does not know what they do."""

import asyncio
from collections import Counter, deque
from collections.abc import Hashable
from typing import NamedTuple

from orchestrator.errors import StorageUnavailable


class _Waiting(NamedTuple):
    group: Hashable
    seated: asyncio.Future[None]


class Places:
    """A limited number of places. The next free one goes to the waiter that came first, unless its
    group has all that one group may have, or all groups have what they may have together. Waiters
    without a group (None) may have all places.
    """

    def __init__(self, places_max: int, *, groups_max: int, group_max: int) -> None:
        self._free = places_max
        self._free_for_groups = groups_max
        self._group_max = group_max
        self._taken: Counter[Hashable] = Counter()
        self._waiting: deque[_Waiting] = deque()

    async def take(self, group: Hashable, deadline: float) -> None:
        """Raises StorageUnavailable when there is no place before the deadline."""
        if self._has_room(group):  # Those that wait are of groups that have no room.
            self._seat(group)
            return
        waiting = _Waiting(group, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout_at(deadline):
                await waiting.seated
        except (TimeoutError, asyncio.CancelledError) as error:
            # The place may have been given to this one in the very moment that it gave up.
            if waiting.seated.done() and not waiting.seated.cancelled():
                self.give_back(group)
            else:
                self._waiting.remove(waiting)
            if isinstance(error, TimeoutError):
                raise StorageUnavailable("Too many writes wait for the database.") from None
            raise

    def give_back(self, group: Hashable) -> None:
        """Make the place free for the next one."""
        self._free += 1
        if group is not None:
            self._free_for_groups += 1
            self._taken[group] -= 1
            if not self._taken[group]:
                del self._taken[group]
        for waiting in self._waiting:
            if not waiting.seated.done() and self._has_room(waiting.group):
                self._seat(waiting.group)
                waiting.seated.set_result(None)
                self._waiting.remove(waiting)
                return

    def _has_room(self, group: Hashable) -> bool:
        if group is None:
            return self._free > 0
        return min(self._free, self._free_for_groups) > 0 and self._taken[group] < self._group_max

    def _seat(self, group: Hashable) -> None:
        self._free -= 1
        if group is not None:
            self._free_for_groups -= 1
            self._taken[group] += 1
