"""Threads that are made when they are needed and end with the block around them."""

import asyncio
import threading
import time
from functools import partial

import pytest

from orchestrator.core.threads import Threads


def alive(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


async def test_so_many_run_at_a_time_and_none_is_left_after_the_block() -> None:
    threads = Threads(3, name="three")
    running: list[int] = [0]

    def work(number: int) -> int:
        running.append(running[-1] + 1)
        time.sleep(0.02)
        running.append(running[-1] - 1)
        return number * 2

    with threads.ended_after():
        assert alive("three") == []
        found = await asyncio.gather(*(threads.run(work, number) for number in range(9)))
        assert found == [number * 2 for number in range(9)]
        assert len(alive("three")) == 3
    assert alive("three") == []
    assert max(running) <= 3
    with threads.ended_after():
        assert await threads.run(work, 5) == 10, "it can be used again"
    assert alive("three") == []


async def test_what_nobody_waits_for_is_done_before_the_block_ends() -> None:
    threads = Threads(1, name="later")
    done: list[int] = []
    with threads.ended_after():
        for number in range(5):
            threads.run_later(partial(done.append, number))
    assert done == [0, 1, 2, 3, 4]


async def test_an_error_is_raised_to_the_caller() -> None:
    threads = Threads(1, name="failing")
    with threads.ended_after(), pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)


async def test_work_whose_caller_was_cancelled_ends_all_the_same() -> None:
    threads = Threads(1, name="cancelled")
    done = threading.Event()
    begun = threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.05)
        done.set()

    with threads.ended_after():
        task = asyncio.create_task(threads.run(work))
        while not begun.is_set():  # noqa: ASYNC110 - a thread sets it.
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert done.is_set()
