"""One flush for all that comes in a moment, in whichever event loop it comes."""

import asyncio
import threading

from orchestrator.telemetry.flush_timer import FlushTimer


async def test_all_starts_of_one_moment_make_one_flush() -> None:
    flushes: list[int] = []
    timer = FlushTimer(lambda: flushes.append(1), 0.01)
    for turn in (1, 2, 3):
        for _ in range(10):
            timer.start()
        assert len(flushes) == turn - 1
        await asyncio.sleep(0.05)
        assert len(flushes) == turn


def test_without_a_loop_it_flushes_at_once() -> None:
    flushes: list[int] = []
    timer = FlushTimer(lambda: flushes.append(1), 1_000)
    timer.start()
    timer.start()
    assert flushes == [1, 1]


def test_a_loop_that_ended_before_its_flush_does_not_keep_the_next_one_from_flushing() -> None:
    flushes: list[int] = []
    timer = FlushTimer(lambda: flushes.append(1), 0.01)

    async def start(seconds: float) -> None:
        timer.start()
        await asyncio.sleep(seconds)

    asyncio.run(start(0))
    assert flushes == []
    asyncio.run(start(0.1))
    assert flushes == [1]
    timer.start()
    assert flushes == [1, 1], "and none waits for a loop that is over"


def test_a_loop_that_pauses_still_flushes() -> None:
    flushes: list[int] = []
    timer = FlushTimer(lambda: flushes.append(1), 0.01)

    async def start() -> None:
        timer.start()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    timer.start()
    assert flushes == []
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()
    assert flushes == [1]


async def test_a_flush_that_counts_again_is_flushed_again() -> None:
    flushes: list[int] = []

    def flush() -> None:
        flushes.append(1)
        if len(flushes) == 1:
            timer.start()

    timer = FlushTimer(flush, 0.01)
    timer.start()
    await asyncio.sleep(0.1)
    assert flushes == [1, 1]


async def test_a_thread_leaves_it_to_the_loop_that_will_flush() -> None:
    flushes: list[int] = []
    timer = FlushTimer(lambda: flushes.append(threading.get_ident()), 0.05)
    timer.start()
    await asyncio.to_thread(timer.start)
    assert flushes == []
    await asyncio.sleep(0.1)
    assert flushes == [threading.get_ident()]
