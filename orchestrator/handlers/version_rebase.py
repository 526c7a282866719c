"""How changes are made again whose tags moved while they were made; what they are, is not known
here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from random import random
from typing import TypeAlias, TypeVar
from weakref import WeakValueDictionary

from orchestrator.core.fair_queue import FairQueue
from orchestrator.errors import VersionConflict

R = TypeVar("R")
Attempt: TypeAlias = Callable[[], Awaitable[R]]
#: A namespace and a tag in it.
TagKey: TypeAlias = tuple[str, str]

#: How long a newcomer leaves a tag to others, of whom some may be in other processes: to make a
#: change again takes longer than to make it, so they would lose each time.
PAUSE_SECONDS_MAX = 0.02


class Rebasing:
    """Tries changes until their tags stand still, or the attempts are used up."""

    def __init__(self, *, attempts_max: int, waiting_max: int, wait_seconds_max: float) -> None:
        self._attempts_max = attempts_max
        self._waiting_max = waiting_max
        self._wait_seconds_max = wait_seconds_max
        #: While somebody makes a change again.
        self._turns: WeakValueDictionary[TagKey, FairQueue] = WeakValueDictionary()

    async def make(
        self,
        first: Attempt[R],
        again: Attempt[R],
        *,
        caller: str,
        tags: Iterable[TagKey],
        deadline: Callable[[], float],
        is_late: Callable[[VersionConflict], bool] = lambda _: True,
    ) -> R:
        """Make a change of these tags; if it comes too late for what they named, make it again.

        The first attempt is the one that finds out what it is made on. A turn is waited for until
        the deadline, by the clock of the event loop.
        """
        keys = sorted(tags)
        if any(key in self._turns for key in keys):
            async with self._in_turn(caller, keys, deadline):
                await asyncio.sleep(random() * PAUSE_SECONDS_MAX)  # noqa: S311 - no secret.
                return await self._tried([first, *self._rest(again)], is_late)
        try:
            return await first()
        except VersionConflict as conflict:
            if not is_late(conflict) or self._attempts_max == 1:
                raise
        async with self._in_turn(caller, keys, deadline):
            return await self._tried(self._rest(again), is_late)

    def _rest(self, again: Attempt[R]) -> list[Attempt[R]]:
        return [again] * (self._attempts_max - 1)

    async def _tried(
        self, attempts: list[Attempt[R]], is_late: Callable[[VersionConflict], bool]
    ) -> R:
        for attempt in attempts[:-1]:
            try:
                return await attempt()
            except VersionConflict as conflict:
                if not is_late(conflict):
                    raise
        return await attempts[-1]()

    @asynccontextmanager
    async def _in_turn(
        self, caller: str, keys: list[TagKey], deadline: Callable[[], float]
    ) -> AsyncIterator[None]:
        """Let changes of one tag that came too late be made again one after the other, and those
        that come meanwhile wait: made all at once, all but one would be too late again.

        Everybody waits for tags in the same order, so nobody waits for each other.
        """
        async with AsyncExitStack() as stack:
            for key in keys:
                turns = self._turns.get(key)
                if turns is None:
                    turns = self._turns[key] = FairQueue(
                        1,
                        waiting_bytes_max=self._waiting_max,
                        wait_seconds_max=self._wait_seconds_max,
                    )
                await stack.enter_async_context(turns.place(caller, 1, deadline()))
            yield
