"""Lets requests that wait at the same time share one piece of work; what the work is, it is told.

One statement, or one commit, for thirty requests costs little more than for one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from orchestrator.errors import OutcomeUnknown

Q = TypeVar("Q")
A = TypeVar("A")


#: How long the first of a batch may wait for others that probably come.
COMPANY_SECONDS = 0.001
#: From then on a batch at work keeps nobody waiting: it may be held up by a lock of a row.
SLOW_SECONDS = 0.05


class _Waiting(NamedTuple):
    question: object
    answer: asyncio.Future[object]


class Gathering(Generic[Q, A]):
    """Who comes alone is served at once. Who comes while others are served waits for them to end,
    and then goes together with all who came meanwhile. Two batches at a time would only be smaller
    ones (measured: a tenth more work for each request); a second one is for when the first is slow.

    Those who were just served often come again at once. So after a batch of several the first to
    come waits for half as many, or for COMPANY_SECONDS: else every other batch would be of one
    (measured: 32 clients made batches of 9).

    `work` answers all of the questions that it is given, in their order, or raises. An answer that
    is an exception is raised to the one who asked; None means that `alone` is to answer this one.
    If the work raises for several, each of them is done again by itself: nobody gets an error that
    another one caused. Only what may have taken place is not done again. Of questions with the
    same `key` only one is at work at a time, and they are served in the order in which they came.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception | None]]],
        *,
        alone: Callable[[Q], Awaitable[A]] | None = None,
        together_max: int = 64,
        batches_max: int = 4,
        slow_seconds: float = SLOW_SECONDS,
        key: Callable[[Q], Hashable] | None = None,
    ) -> None:
        self._work = work
        self._alone = alone
        self._together_max = together_max
        self._batches_max = batches_max
        self._slow_seconds = slow_seconds
        self._expected = 0
        self._timer: asyncio.TimerHandle | None = None
        self._key = key
        self._waiting: list[_Waiting] = []
        self._keys_at_work: set[Hashable] = set()
        self._batches: set[asyncio.Task[bool]] = set()
        self._slow: set[asyncio.Task[bool]] = set()

    async def __call__(self, question: Q) -> A:
        """The answer to one question; raises what answering it alone would raise."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(question, answer))
        self._start_if_due()
        # A caller that goes away takes nobody with it: the work is a task of its own.
        found: A = await answer
        return found

    def _start_if_due(self) -> None:
        at_work = len(self._batches)
        if at_work > len(self._slow) or at_work == self._batches_max:
            return
        if len(self._waiting) < self._expected and not at_work:
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(COMPANY_SECONDS, self._came_alone)
            return
        self._start()

    def _came_alone(self) -> None:
        self._timer = None
        self._expected = 0
        if self._waiting:
            self._start_if_due()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = asyncio.create_task(self._serve())
        self._batches.add(batch)
        slow = asyncio.get_running_loop().call_later(self._slow_seconds, self._is_slow, batch)
        batch.add_done_callback(partial(self._ended, slow))

    def _is_slow(self, batch: asyncio.Task[bool]) -> None:
        self._slow.add(batch)
        if self._waiting:
            self._start_if_due()

    def _ended(self, slow: asyncio.TimerHandle, batch: asyncio.Task[bool]) -> None:
        slow.cancel()
        self._batches.discard(batch)
        self._slow.discard(batch)
        # If there was nobody to serve, those who wait do so for a key: its batch will start them.
        if self._waiting and not batch.cancelled() and batch.result():
            self._start_if_due()

    async def _serve(self) -> bool:
        """One batch, if anybody can be served: who came in the same turn of the event loop as the
        first is in it.
        """
        batch, keys = self._next()
        self._expected = len(batch) // 2
        if not batch:
            return False
        try:
            await self._answer(batch)
        finally:
            self._keys_at_work -= keys
            for each in batch:
                each.answer.cancel()  # Does nothing to those that were answered.
        return True

    def _next(self) -> tuple[list[_Waiting], set[Hashable]]:
        if self._key is None:
            batch = self._waiting[: self._together_max]
            del self._waiting[: self._together_max]
            return batch, set()
        chosen: list[_Waiting] = []
        later: list[_Waiting] = []
        keys: set[Hashable] = set()
        blocked = set(self._keys_at_work)
        for each in self._waiting:
            key = self._key(each.question)  # type: ignore[arg-type]
            if len(chosen) < self._together_max and key not in blocked:
                chosen.append(each)
                keys.add(key)
            else:
                later.append(each)
            blocked.add(key)
        self._waiting = later
        self._keys_at_work |= keys
        return chosen, keys

    async def _answer(self, batch: list[_Waiting]) -> None:
        try:
            answers = await self._work([each.question for each in batch])  # type: ignore[misc]
            answered = list(zip(batch, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - it is raised where the question was asked.
            if len(batch) == 1 or isinstance(error, OutcomeUnknown):
                for each in batch:
                    _give(each, error)
                return
            for each in batch:
                await self._answer([each])
            return
        for each, answer in answered:
            if answer is not None:
                _give(each, answer)
        for each, answer in answered:
            if answer is None:
                await self._answer_alone(each)

    async def _answer_alone(self, waiting: _Waiting) -> None:
        try:
            answer = await self._alone(waiting.question)  # type: ignore[misc,arg-type]
        except Exception as error:  # noqa: BLE001 - it is raised where the question was asked.
            _give(waiting, error)
        else:
            _give(waiting, answer)


def _give(waiting: _Waiting, answer: object) -> None:
    if waiting.answer.done():  # Its caller went away.
        return
    if isinstance(answer, Exception):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)
