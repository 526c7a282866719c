"""So many places for work, given in turns to those who wait; it does none of the work."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.errors import Overloaded


class _Waiting:
    """One piece of work that waits for a place."""

    __slots__ = ("place", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.place: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def has_place(self) -> bool:
        """Whether it was given one."""
        place = self.place
        return place.done() and not place.cancelled() and place.exception() is None


class FairQueue:
    """Each caller gets a place in its turn, however much another one waits for.

    What waits is bounded in bytes and in seconds: beyond, it is Overloaded. If there is no room,
    the caller who waits for most gives way.
    """

    def __init__(self, places: int, *, waiting_bytes_max: int, wait_seconds_max: float) -> None:
        self._free = places
        self._waiting_bytes_max = waiting_bytes_max
        self._wait_seconds_max = wait_seconds_max
        self._waiting_bytes = 0
        #: By caller, whose turn is next first.
        self._callers: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    @asynccontextmanager
    async def place(self, caller: str, size_bytes: int) -> AsyncIterator[None]:
        """A place as long as the block lasts."""
        if self._free:
            self._free -= 1
        else:
            await self._turn(caller, size_bytes)
        try:
            yield
        finally:
            self._pass_on()

    async def _turn(self, caller: str, size_bytes: int) -> None:
        waiting = _Waiting(size_bytes)
        self._callers.setdefault(caller, deque()).append(waiting)
        self._waiting_bytes += size_bytes
        while self._waiting_bytes > self._waiting_bytes_max:
            self._refuse_one()
        try:
            async with asyncio.timeout(self._wait_seconds_max):
                await waiting.place
        except BaseException as error:
            if waiting in self._callers.get(caller, ()):
                self._forget(caller, waiting)
            elif waiting.has_place:
                self._pass_on()  # It came at the moment when nobody waited for it any more.
            if isinstance(error, TimeoutError):
                raise Overloaded from None
            raise

    def _refuse_one(self) -> None:
        """The latest of the caller who waits for most."""
        caller = max(self._callers, key=lambda each: _bytes_of(self._callers[each]))
        latest = self._callers[caller][-1]
        self._forget(caller, latest)
        if not latest.place.done():  # It may be leaving.
            latest.place.set_exception(Overloaded())

    def _forget(self, caller: str, waiting: _Waiting) -> None:
        theirs = self._callers[caller]
        theirs.remove(waiting)
        self._waiting_bytes -= waiting.size_bytes
        if not theirs:
            del self._callers[caller]

    def _pass_on(self) -> None:
        """Give a place that is free to the caller whose turn it is."""
        while self._callers:
            caller, theirs = next(iter(self._callers.items()))
            first = theirs[0]
            self._forget(caller, first)
            if theirs:
                self._callers.move_to_end(caller)
            if not first.place.done():  # It may be leaving.
                first.place.set_result(None)
                return
        self._free += 1


def _bytes_of(waiting: deque[_Waiting]) -> int:
    return sum(each.size_bytes for each in waiting)
