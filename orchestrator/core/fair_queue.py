"""A number of places for work, given in turns to the callers that wait; it does no work."""

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
    """Callers get places in turns, so one with much work does not hold up the others.

    Work may wait only so long, and all that waits may have only so many bytes together: beyond, it
    is refused as Overloaded. If the bytes are too many, the caller with most of them gives way.
    """

    def __init__(self, places: int, *, waiting_bytes_max: int, wait_seconds_max: float) -> None:
        self._free = places
        self._waiting_bytes_max = waiting_bytes_max
        self._wait_seconds_max = wait_seconds_max
        self._waiting_bytes = 0
        #: What waits, by caller. The next turn is that of the first one.
        self._callers: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    @asynccontextmanager
    async def place(
        self, caller: str, size_bytes: int, deadline: float | None = None
    ) -> AsyncIterator[None]:
        """Have a place within this block. It is waited for until the deadline, by the clock of the
        event loop, if there is one.
        """
        if self._free:
            self._free -= 1
        else:
            await self._turn(caller, size_bytes, deadline)
        try:
            yield
        finally:
            self._pass_on()

    async def _turn(self, caller: str, size_bytes: int, deadline: float | None) -> None:
        waiting = _Waiting(size_bytes)
        self._callers.setdefault(caller, deque()).append(waiting)
        self._waiting_bytes += size_bytes
        while self._waiting_bytes > self._waiting_bytes_max:
            self._refuse_one()
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + self._wait_seconds_max
        try:
            async with asyncio.timeout_at(deadline):
                await waiting.place
        except BaseException as error:
            if waiting in self._callers.get(caller, ()):
                self._forget(caller, waiting)
            elif waiting.has_place:
                self._pass_on()  # It got the place at the moment when it gave up.
            if isinstance(error, TimeoutError):
                raise Overloaded from None
            raise

    def _refuse_one(self) -> None:
        """Refuse the latest work of the caller that has most bytes waiting."""
        caller = max(self._callers, key=lambda each: _bytes_of(self._callers[each]))
        latest = self._callers[caller][-1]
        self._forget(caller, latest)
        if not latest.place.done():  # Else it is giving up at this moment.
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
            if not first.place.done():  # Else it is giving up at this moment.
                first.place.set_result(None)
                return
        self._free += 1


def _bytes_of(waiting: deque[_Waiting]) -> int:
    return sum(each.size_bytes for each in waiting)
