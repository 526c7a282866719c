"""Which questions are answered alone, which wait for a key, and whom that holds up."""

import asyncio
from collections.abc import Sequence
from itertools import chain

import pytest

from orchestrator.core.batching import Batcher
from orchestrator.errors import Contended, Locked, OutcomeUnknown, StorageUnavailable
from tests.core.asking import Asking, Work, asking, settled, turns


async def test_a_question_that_comes_alone_is_answered_at_once() -> None:
    work = Work()
    async with asking(work) as each:
        for question in range(5):
            (asked,) = await each.ask(question)
            assert asked.done(), "it does not wait for others that never came"
            assert await asked == question * 2
    assert work.batches == [[0], [1], [2], [3], [4]]


async def test_a_question_that_waits_for_others_in_vain_is_answered_alone() -> None:
    work = Work()
    async with asking(work, fill_seconds=0.1) as each:
        await each.ask(1, 2, 3, 4, 5, 6)
        await each.ask(7)
        assert work.batches == [[1, 2, 3, 4, 5, 6]]
        assert (await each.answers())[-1] == 14
        (next_one,) = await each.ask(8)
        assert next_one.done(), "the next question does not wait again"
    assert work.batches[1:] == [[7], [8]]


async def test_a_batch_that_raises_is_done_again_one_by_one_and_only_the_cause_fails() -> None:
    class Failing(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            if 2 in batch:
                raise ZeroDivisionError(batch)
            return await super().answers(batch)

    work = Failing()
    async with asking(work) as each:
        one, two, three = await each.ask(1, 2, 3)
        assert (await one, await three) == (2, 6)
        with pytest.raises(ZeroDivisionError) as failure:
            await two
        assert failure.value.args == ([2],), "it gets the error that it caused alone"
    assert work.batches == [[1, 2, 3], [1], [2], [3]]


async def test_one_key_is_in_one_running_batch_and_in_the_order_in_which_it_came() -> None:
    class Watching(Work):
        async def __call__(
            self, questions: Sequence[int], deadline: float
        ) -> list[int | Exception]:
            keys = [question // 10 for question in questions]
            for batch in self.at_work:
                keys += [question // 10 for question in batch]
            assert len(keys) == len(set(keys)), "a key is in two running batches"
            await asyncio.sleep(0)
            return await super().__call__(questions, deadline)

        async def answers(self, batch: list[int]) -> list[int | Exception]:
            for _ in range(sum(batch) % 5):
                await asyncio.sleep(0)
            return await super().answers(batch)

    work = Watching()
    questions = [key * 10 + turn for turn in range(8) for key in range(6)]
    async with asking(
        work, size_max=4, batches_max=3, slow_seconds=0, key=lambda number: number // 10
    ) as each:
        for start in range(0, len(questions), 5):
            await each.ask(*questions[start : start + 5])
        assert await each.answers() == [number * 2 for number in questions]
    served = list(chain(*work.batches))
    for key in range(6):
        assert [number for number in served if number // 10 == key] == [
            key * 10 + turn for turn in range(8)
        ]
    assert len(work.batches) < len(questions), "other keys go together"


async def test_a_question_that_waits_for_a_key_does_not_delay_one_of_another_key() -> None:
    work = Work(held=True)
    async with asking(work, slow_seconds=0, key=lambda number: number // 10) as each:
        await each.ask(10)
        await each.ask(11)
        await each.ask(20)
        assert work.at_work == [[10], [20]]
        work.let_go()
        assert await each.answers() == [20, 22, 40]
    assert work.batches == [[10], [20], [11]]


async def test_while_keys_block_nothing_runs_in_circles() -> None:
    looks = 0

    def key(_: int) -> str:
        nonlocal looks
        looks += 1
        return "one"

    work = Work(held=True)
    async with asking(work, slow_seconds=0, key=key) as each:
        await each.ask(0)
        for number in range(1, 8):
            await each.ask(number)
        before = looks
        assert before <= 1 + sum(range(1, 8)), "one look at all that wait for each that came"
        for _ in range(20):
            await turns()
        assert looks == before, "nothing is tried again while nothing changed"
        assert work.batches == [[0]]
        work.let_go()
        assert await each.answers() == [number * 2 for number in range(8)]
    assert work.batches == [[number] for number in range(8)]
    assert looks <= before + 1 + sum(range(1, 8)) + 8, "and one at each when it leaves"


async def test_a_cancelled_caller_harms_no_other() -> None:
    work = Work(held=True)
    async with asking(work, key=lambda number: number) as each:
        at_work, also_at_work = await each.ask(1, 2)
        waiting, also_waiting = await each.ask(3, 4)
        at_work.cancel()
        waiting.cancel()
        await turns()
        assert work.at_work == [[1, 2]], "the work goes on"
        work.let_go()
        assert (await also_at_work, await also_waiting) == (4, 8)
        assert at_work.cancelled()
        assert waiting.cancelled()
        assert [await asked for asked in await each.ask(1, 3)] == [2, 6]


async def test_a_cancelled_caller_of_a_batch_that_fails_harms_no_other() -> None:
    class Failing(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            if len(batch) > 1:
                raise ZeroDivisionError
            return await super().answers(batch)

    work = Failing(held=True)
    async with asking(work) as each:
        gone, stays = await each.ask(1, 2)
        gone.cancel()
        await turns()
        work.let_go()
        assert await stays == 4
        assert gone.cancelled()


async def test_a_question_that_the_work_leaves_out_is_answered_alone() -> None:
    async def leave_even_ones_out(questions: Sequence[int], _: float) -> list[int | None]:
        return [question * 2 if question % 2 else None for question in questions]

    alone: list[int] = []

    async def answer_alone(question: int, _: float) -> int:
        alone.append(question)
        if question == 4:
            raise ValueError(question)
        return question * 3

    batcher = Batcher[int, int](leave_even_ones_out, alone=answer_alone)
    each = Asking(batcher)
    await each.ask(1, 2, 3, 4, 6)
    found = await each.answers()
    assert found[:3] == [2, 6, 6]
    assert isinstance(found[3], ValueError)
    assert found[4] == 18
    assert alone == [2, 4, 6]
    await settled(batcher)


async def test_a_question_left_out_with_nothing_to_answer_it_alone_fails() -> None:
    async def leave_out(questions: Sequence[int], _: float) -> list[int | None]:
        return [None for _ in questions]

    batcher: Batcher[int, int] = Batcher(leave_out)
    with pytest.raises(TypeError):
        await batcher(1)
    await settled(batcher)


async def test_what_may_have_taken_place_is_not_done_again() -> None:
    class Lost(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            raise OutcomeUnknown

    work = Lost()
    async with asking(work) as each:
        await each.ask(1, 2, 3)
        assert [type(found) for found in await each.answers()] == [OutcomeUnknown] * 3
    assert work.batches == [[1, 2, 3]]


async def test_what_another_request_was_in_the_way_of_is_done_again() -> None:
    class InTheWay(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            if len(batch) > 1:
                raise Contended
            return await super().answers(batch)

    work = InTheWay()
    async with asking(work) as each:
        await each.ask(1, 2, 3)
        assert await each.answers() == [2, 4, 6]
    assert work.batches == [[1, 2, 3], [1], [2], [3]]


async def test_those_that_are_done_again_do_not_wait_for_each_other() -> None:
    together = asyncio.Barrier(3)

    async def work(questions: Sequence[int], _: float) -> list[int]:
        if len(questions) > 1:
            raise ZeroDivisionError
        await together.wait()
        return [question * 2 for question in questions]

    batcher = Batcher[int, int](work)
    each = Asking(batcher)
    await each.ask(1, 2, 3)
    async with asyncio.timeout(5):
        assert await each.answers() == [2, 4, 6]
    await settled(batcher)


async def test_those_that_are_answered_alone_do_not_wait_for_each_other() -> None:
    together = asyncio.Barrier(3)

    async def leave_out(questions: Sequence[int], _: float) -> list[int | None]:
        return [None for _ in questions]

    async def answer_alone(question: int, _: float) -> int:
        await together.wait()
        return question * 3

    batcher = Batcher[int, int](leave_out, alone=answer_alone)
    each = Asking(batcher)
    await each.ask(1, 2, 3)
    async with asyncio.timeout(5):
        assert await each.answers() == [3, 6, 9]
    await settled(batcher)


async def test_who_waits_too_long_for_a_key_is_told_so() -> None:
    work = Work(held=True)
    async with asking(
        work, wait_seconds_max=0.1, slow_seconds=0, key=lambda number: number // 10
    ) as each:
        (running,) = await each.ask(10)
        await turns()
        (waiting,) = await each.ask(11)
        with pytest.raises(StorageUnavailable, match="busy"):
            await waiting
        work.let_go()
        assert await running == 20


async def test_who_is_answered_alone_holds_up_nobody_but_those_of_its_key() -> None:
    async def leave_tens_out(questions: Sequence[int], _: float) -> list[int | None]:
        return [None if question == 10 else question * 2 for question in questions]

    released = asyncio.Event()

    async def answer_alone(question: int, _: float) -> int:
        await released.wait()
        return question * 3

    batcher = Batcher[int, int](
        leave_tens_out, alone=answer_alone, key=lambda number: number // 10, batches_max=1
    )
    each = Asking(batcher)
    alone, *others = await each.ask(10, 20, 30)
    (same_key, *more) = await each.ask(11, 21, 31)
    assert [await asked for asked in others + more] == [40, 60, 42, 62]
    await turns()
    assert not alone.done()
    assert not same_key.done()
    released.set()
    assert (await alone, await same_key) == (30, 22)
    await settled(batcher)


async def test_what_is_contended_also_when_it_is_done_again_is_answered_alone() -> None:
    class InTheWay(Work):
        async def answers(self, batch: list[int]) -> list[int | Exception]:
            if 2 in batch:
                raise Contended
            return await super().answers(batch)

    async def answer_alone(question: int, _: float) -> int:
        return question * 3

    work = InTheWay()
    batcher = Batcher[int, int](work, alone=answer_alone)
    each = Asking(batcher)
    await each.ask(1, 2, 3)
    assert await each.answers() == [2, 6, 6]
    assert work.batches == [[1, 2, 3], [1], [2], [3]]
    await each.ask(2)
    assert await each.asked[-1] == 6
    assert work.batches[4:] == [[2]]
    await settled(batcher)


async def test_all_that_is_done_for_a_question_has_one_deadline() -> None:
    deadlines: list[float] = []

    async def leave_out(questions: Sequence[int], deadline: float) -> list[int | None]:
        deadlines.append(deadline)
        await asyncio.sleep(0.01)
        return [None for _ in questions]

    async def answer_alone(question: int, deadline: float) -> int:
        deadlines.append(deadline)
        return question

    now = asyncio.get_running_loop().time()
    batcher = Batcher[int, int](leave_out, alone=answer_alone, wait_seconds_max=100)
    assert await batcher(1) == 1
    assert deadlines[0] == deadlines[1]
    assert now + 100 <= deadlines[0] < now + 110


async def test_who_waits_behind_one_that_waited_for_a_lock_in_vain_is_told_so_too() -> None:
    async def leave_tens_out(questions: Sequence[int], _: float) -> list[int | None]:
        return [None if question // 10 == 1 else question * 2 for question in questions]

    released = asyncio.Event()
    alone: list[int] = []

    async def answer_alone(question: int, _: float) -> int:
        alone.append(question)
        await released.wait()
        raise Locked

    batcher = Batcher[int, int](leave_tens_out, alone=answer_alone, key=lambda number: number // 10)
    each = Asking(batcher)
    await each.ask(10, 11, 12)
    await each.ask(13, 20)
    released.set()
    assert [type(answer) for answer in await each.answers()] == [Locked] * 4 + [int]
    assert alone == [10]
    await settled(batcher)
