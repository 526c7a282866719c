"""Places are given in turns, bounded in bytes and in seconds, and none is ever lost."""

import asyncio
import random
from contextlib import suppress

import pytest

from orchestrator.core.fair_queue import FairQueue
from orchestrator.errors import Overloaded


class Log:
    """Work that notes the order in which it is done, and how much of it at once."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.done: list[str] = []
        self.at_once = self.most_at_once = 0

    async def work(self, caller: str, size_bytes: int = 1, seconds: float = 0) -> None:
        async with self.queue.place(caller, size_bytes):
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await asyncio.sleep(seconds)
            self.at_once -= 1
            self.done.append(caller)


def queue(places: int = 1, waiting_bytes_max: int = 100, wait_seconds_max: float = 30) -> FairQueue:
    return FairQueue(places, waiting_bytes_max=waiting_bytes_max, wait_seconds_max=wait_seconds_max)


async def test_each_caller_has_its_turn_however_much_another_waits_for() -> None:
    log = Log(queue())
    await asyncio.gather(*[log.work(caller) for caller in "aaaaabbc"])
    assert "".join(log.done) == "aabcabaa"


async def test_there_are_so_many_places() -> None:
    log = Log(queue(places=3))
    await asyncio.gather(*[log.work(caller) for caller in "abcdefghij"])
    assert log.most_at_once == 3


async def test_without_room_who_waits_for_most_gives_way() -> None:
    log = Log(queue(waiting_bytes_max=10))
    results = await asyncio.gather(
        log.work("a"),
        *[log.work("a", 4) for _ in range(2)],
        log.work("b", 4),
        return_exceptions=True,
    )
    assert [type(each) for each in results] == [type(None), type(None), Overloaded, type(None)]
    assert "".join(log.done) == "aab"


async def test_work_larger_than_all_room_is_refused_if_it_must_wait() -> None:
    log = Log(queue(waiting_bytes_max=10))
    results = await asyncio.gather(log.work("a", 99), log.work("b", 99), return_exceptions=True)
    assert [type(each) for each in results] == [type(None), Overloaded]


async def test_who_waits_too_long_is_refused_and_leaves_nothing_behind() -> None:
    log = Log(queue(wait_seconds_max=0.01))
    first = asyncio.create_task(log.work("a", seconds=0.1))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await log.work("b")
    await first
    await log.work("b")
    assert log.done == ["a", "b"]


async def test_no_place_is_lost_whoever_leaves_whenever() -> None:
    log = Log(queue(places=2, waiting_bytes_max=20))
    chance = random.Random(1)

    async def leave_at_some_time(caller: str) -> None:
        task = asyncio.create_task(log.work(caller, seconds=chance.choice([0, 0, 0.001])))
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            task.cancel()
        with suppress(asyncio.CancelledError, Overloaded):
            await task

    for _ in range(30):
        await asyncio.gather(*[leave_at_some_time(chance.choice("abcd")) for _ in range(20)])
    log.at_once = log.most_at_once = 0
    await asyncio.gather(*[log.work(caller) for caller in "abcdef"])
    assert log.most_at_once == 2
