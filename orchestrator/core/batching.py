"""Lets requests that wait at the same moment share one piece of work; it does not know the work.

One statement, or one commit, for thirty requests costs little more than for one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

from orchestrator.errors import Contended, Locked, StorageUnavailable

Q = TypeVar("Q")
A = TypeVar("A")


#: How much too early a timer may fire.
_CLOCK_SECONDS = 0.001


class _Waiting(NamedTuple, Generic[Q, A]):
    question: Q
    answer: asyncio.Future[A]
    deadline: float


class Batcher(Generic[Q, A]):
    """Puts the questions that wait at one moment into one batch.

    A question that comes while no batch runs starts one at once. Questions that come while a batch
    runs wait for its end and then go together. One batch runs at a time: two would only be smaller
    ones (measured: a tenth more work for each request). But when a batch has run for
    `slow_seconds`, perhaps because a disk is slow, the next one starts beside it.

    The callers of a batch often come again at once. So after a batch of several, the first question
    waits until there are half as many, or for `fill_seconds`; else every other batch would be of
    one (measured: 32 clients made batches of 9).

    `work` returns one answer for each question, in their order, or raises. An answer that is an
    exception is raised to the caller of its question. If the work raises for several questions, it
    is done again for each of them alone, all at once, so that no caller gets an error that another
    one caused. But that the storage cannot answer is nobody's fault: all are told so, and nothing
    is done again. Nor is work that may have been committed.

    `alone` answers the questions that share no work: those that the work answers with None, and
    those that are Contended also when the work is done for each of them. It may take long, as it
    may wait for a lock, so the next batches do not wait for it.

    Questions with the same `key` are never at work at the same time, and they are answered in the
    order in which they came. All that is done for a question must have begun by its deadline, which
    is `wait_seconds_max` after it came: `work` and `alone` are given that, by the clock of the
    event loop. A caller that still waits then is told that the storage cannot answer. When one
    question has waited for a lock in vain, those that wait for the same key are refused too: they
    would only wait as long, one after the other.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q], float], Awaitable[Sequence[A | Exception | None]]],
        *,
        alone: Callable[[Q, float], Awaitable[A]] | None = None,
        key: Callable[[Q], Hashable] | None = None,
        size_max: int = 64,
        batches_max: int = 4,
        slow_seconds: float = 0.05,
        fill_seconds: float = 0.001,
        wait_seconds_max: float = 5.0,
    ) -> None:
        self._work = work
        self._alone = alone
        self._key = key
        self._size_max = size_max
        self._batches_max = batches_max
        self._slow_seconds = slow_seconds
        self._fill_seconds = fill_seconds
        self._wait_seconds_max = wait_seconds_max
        self._patience: asyncio.TimerHandle | None = None
        self._expected = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[_Waiting[Q, A]] = []
        self._keys_running: set[Hashable] = set()
        self._running: set[asyncio.Task[bool]] = set()
        self._slow: set[asyncio.Task[bool]] = set()
        self._alone_running: set[asyncio.Task[None]] = set()

    async def __call__(self, question: Q) -> A:
        """The answer to one question; raises what answering it alone would raise."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append(_Waiting(question, answer, loop.time() + self._wait_seconds_max))
        if self._patience is None:
            self._patience = loop.call_later(self._wait_seconds_max, self._refuse_overdue)
        self._start_if_due()
        # The work is a task of its own: if this caller is cancelled, the others get their answers.
        return await answer

    def _start_if_due(self) -> None:
        running = len(self._running)
        if running > len(self._slow) or running == self._batches_max:
            return
        if len(self._waiting) < self._expected and not running:
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._fill_seconds, self._filled_long_enough)
            return
        self._start()

    def _refuse_overdue(self) -> None:
        """Those that waited too long for a batch that does not end: nothing of theirs was begun."""
        self._patience = None
        loop = asyncio.get_running_loop()
        now = loop.time() + _CLOCK_SECONDS
        overdue = [each for each in self._waiting if each.deadline <= now]
        self._waiting = [each for each in self._waiting if each.deadline > now]
        for each in overdue:
            _give(each, StorageUnavailable("The database is busy."))
        if self._waiting:
            self._patience = loop.call_at(self._waiting[0].deadline, self._refuse_overdue)

    def _refuse_key(self, key: Hashable, error: Exception) -> None:
        refused = [each for each in self._waiting if self._has_key(each, key)]
        self._waiting = [each for each in self._waiting if not self._has_key(each, key)]
        for each in refused:
            _give(each, error)

    def _has_key(self, waiting: _Waiting[Q, A], key: Hashable) -> bool:
        return self._key is not None and self._key(waiting.question) == key

    def _filled_long_enough(self) -> None:
        self._timer = None
        self._expected = 0
        if self._waiting:
            self._start_if_due()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = asyncio.create_task(self._run())
        self._running.add(batch)
        slow = asyncio.get_running_loop().call_later(self._slow_seconds, self._is_slow, batch)
        batch.add_done_callback(partial(self._ended, slow))

    def _is_slow(self, batch: asyncio.Task[bool]) -> None:
        self._slow.add(batch)
        if self._waiting:
            self._start_if_due()

    def _ended(self, slow: asyncio.TimerHandle, batch: asyncio.Task[bool]) -> None:
        slow.cancel()
        self._running.discard(batch)
        self._slow.discard(batch)
        # After an empty batch all questions wait for a key: whoever frees that key starts them.
        if self._waiting and not batch.cancelled() and batch.result():
            self._start_if_due()

    async def _run(self) -> bool:
        """Run one batch; False if no question was free to run.

        It is a task, so questions of the same turn of the event loop are in it too.
        """
        batch = self._next()
        self._expected = len(batch) // 2
        if not batch:
            return False
        left_out: list[_Waiting[Q, A]] = []
        try:
            left_out = await self._answer(batch)
        finally:
            stay = {id(each) for each in left_out}
            for each in batch:
                if id(each) in stay:
                    self._start_alone(each)
                else:
                    self._leave(each)
        return True

    def _leave(self, waiting: _Waiting[Q, A]) -> None:
        """Stop working for this question: it is answered, or its caller is gone."""
        waiting.answer.cancel()  # Does nothing if it was answered.
        if self._key is not None:
            self._keys_running.discard(self._key(waiting.question))

    def _next(self) -> list[_Waiting[Q, A]]:
        if self._key is None:
            batch = self._waiting[: self._size_max]
            del self._waiting[: self._size_max]
            return batch
        chosen: list[_Waiting[Q, A]] = []
        later: list[_Waiting[Q, A]] = []
        blocked = set(self._keys_running)
        for each in self._waiting:
            key = self._key(each.question)
            if len(chosen) < self._size_max and key not in blocked:
                chosen.append(each)
                self._keys_running.add(key)
            else:
                later.append(each)
            blocked.add(key)
        self._waiting = later
        return chosen

    async def _answer(self, batch: list[_Waiting[Q, A]]) -> list[_Waiting[Q, A]]:
        """Returns those that are to be answered alone."""
        deadline = batch[0].deadline
        try:
            answers = await self._work([each.question for each in batch], deadline)
            answered = list(zip(batch, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - it is raised to the callers.
            if len(batch) > 1 and not _is_nobodys_fault(error):
                left_out = await asyncio.gather(*(self._answer([each]) for each in batch))
                return [each for few in left_out for each in few]
            if isinstance(error, Contended) and self._alone is not None:
                return batch
            for each in batch:
                _give(each, error)
            return []
        for each, answer in answered:
            if answer is not None:
                _give(each, answer)
        return [each for each, answer in answered if answer is None]

    def _start_alone(self, waiting: _Waiting[Q, A]) -> None:
        task = asyncio.create_task(self._answer_alone(waiting))
        self._alone_running.add(task)
        task.add_done_callback(self._alone_ended)

    def _alone_ended(self, task: asyncio.Task[None]) -> None:
        self._alone_running.discard(task)
        if self._waiting:
            self._start_if_due()

    async def _answer_alone(self, waiting: _Waiting[Q, A]) -> None:
        alone = self._alone or _nothing_answers
        try:
            answer = await alone(waiting.question, waiting.deadline)
        except Exception as error:  # noqa: BLE001 - it is raised to the caller.
            _give(waiting, error)
            if isinstance(error, Locked) and self._key is not None:
                self._refuse_key(self._key(waiting.question), error)
        else:
            _give(waiting, answer)
        finally:
            self._leave(waiting)


async def _nothing_answers(_: Any, __: float) -> NoReturn:
    raise TypeError("The work left a question out, and nothing answers it alone.")


def _is_nobodys_fault(error: Exception) -> bool:
    """Whether each question alone would get this error too, or must not be asked again."""
    return isinstance(error, StorageUnavailable) and not isinstance(error, Contended)


def _give(waiting: _Waiting[Q, A], answer: A | Exception) -> None:
    if waiting.answer.done():  # Its caller was cancelled.
        return
    if isinstance(answer, Exception):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)
