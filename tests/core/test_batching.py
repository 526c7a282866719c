"""Which questions share a batch, and which answer each of them gets."""

import asyncio
import time
from itertools import chain

import pytest

from orchestrator.errors import StorageUnavailable
from tests.core.asking import Work, asking, turns


async def test_questions_of_one_moment_go_together() -> None:
    work = Work()
    async with asking(work) as each:
        await each.ask(1, 2, 3)
        assert await each.answers() == [2, 4, 6]
    assert work.batches == [[1, 2, 3]]


async def test_questions_that_come_while_a_batch_runs_go_together_afterwards() -> None:
    work = Work(held=True)
    async with asking(work) as each:
        await each.ask(1)
        await each.ask(2)
        await each.ask(3)
        await each.ask(4)
        assert work.batches == [[1]]
        work.let_go()
        assert await each.answers() == [2, 4, 6, 8]
    assert work.batches == [[1], [2, 3, 4]]


async def test_no_batch_is_larger_than_the_limit() -> None:
    work = Work(held=True)
    async with asking(work, size_max=3, batches_max=1) as each:
        await each.ask(0)
        await each.ask(*range(1, 9))
        work.let_go()
        assert await each.answers() == [number * 2 for number in range(9)]
    assert work.batches == [[0], [1, 2, 3], [4, 5, 6], [7, 8]]


async def test_a_second_batch_starts_only_when_the_running_one_is_slow() -> None:
    work = Work(held=True)
    async with asking(work, batches_max=2, slow_seconds=0.2) as each:
        await each.ask(0)
        await each.ask(1)
        await each.ask(2)
        assert work.at_work == [[0]]
        await asyncio.sleep(0.25)
        assert work.at_work == [[0], [1, 2]], "what waited already does not wait for others to come"
        await each.ask(*range(3, 9))
        await asyncio.sleep(0.25)
        assert len(work.at_work) == 2, "never more than two"
        work.let_go()
        await each.answers()
    assert work.batches == [[0], [1, 2], list(range(3, 9))]


async def test_after_a_batch_the_first_question_waits_for_half_as_many() -> None:
    work = Work()
    async with asking(work, fill_seconds=1_000) as each:
        await each.ask(1, 2, 3, 4, 5, 6)
        await each.ask(7)
        await each.ask(8)
        assert work.batches == [[1, 2, 3, 4, 5, 6]]
        await each.ask(9)
        assert work.batches[1:] == [[7, 8, 9]]
        assert await each.answers() == [number * 2 for number in range(1, 10)]


async def test_each_question_gets_its_own_answer_whatever_batch_it_was_in() -> None:
    class Slow(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            for _ in range(batch[0] % 7):
                await asyncio.sleep(0)
            return await super().answers(batch)

    work = Slow()
    async with asking(work, size_max=5, slow_seconds=0) as each:
        for start in range(0, 60, 6):
            await each.ask(*range(start, start + 6))
        assert await each.answers() == [number * 2 for number in range(60)]
    assert sorted(chain(*work.batches)) == list(range(60)), "no question is worked on twice"


async def test_an_answer_that_is_an_exception_is_raised_to_its_caller_only() -> None:
    class Refusing(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            return [KeyError(each) if each == 2 else each * 2 for each in batch]

    work = Refusing()
    async with asking(work) as each:
        one, two, three = await each.ask(1, 2, 3)
        assert (await one, await three) == (2, 6)
        with pytest.raises(KeyError, match="2"):
            await two
    assert work.batches == [[1, 2, 3]], "a refusal is an answer: no question is worked on again"


async def test_work_that_always_raises_fails_all_and_later_questions_are_answered() -> None:
    class Broken(Work):
        broken = True

        async def answers(self, batch: list[int]) -> list[int | Exception]:
            if self.broken:
                raise ZeroDivisionError
            return await super().answers(batch)

    work = Broken()
    async with asking(work, key=lambda number: number) as each:
        await each.ask(1, 2)
        assert all(isinstance(answer, ZeroDivisionError) for answer in await each.answers())
        work.broken = False
        assert [await asked for asked in await each.ask(1, 2)] == [2, 4]


async def test_that_the_storage_cannot_answer_is_told_to_all_at_once() -> None:
    class Down(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            raise StorageUnavailable

    work = Down()
    async with asking(work) as each:
        await each.ask(1, 2, 3)
        assert [type(found) for found in await each.answers()] == [StorageUnavailable] * 3
    assert work.batches == [[1, 2, 3]]


async def test_who_waits_too_long_for_a_batch_that_does_not_end_is_told_so() -> None:
    work = Work(held=True)
    async with asking(work, wait_seconds_max=0.6, slow_seconds=60) as each:
        began = time.monotonic()
        (running,) = await each.ask(1)
        await turns()
        (first,) = await each.ask(2)
        await asyncio.sleep(0.3)
        (second,) = await each.ask(3)
        with pytest.raises(StorageUnavailable, match="busy"):
            await first
        assert time.monotonic() - began > 0.5
        assert not second.done()
        with pytest.raises(StorageUnavailable, match="busy"):
            await second
        assert 0.8 < time.monotonic() - began < 5
        work.let_go()
        assert await running == 2
        assert [await asked for asked in await each.ask(4)] == [8]
    assert work.batches == [[1], [4]]


async def test_work_that_gives_too_few_answers_fails_all() -> None:
    class Short(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            return []

    async with asking(Short()) as each:
        await each.ask(1, 2)
        assert [type(found) for found in await each.answers()] == [ValueError] * 2
