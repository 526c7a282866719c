"""Questions to a batcher whose work can be watched."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager

from orchestrator.core.batching import Batcher


class Work:
    """Answers each question by itself, twice; a batch waits until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.at_work: list[list[int]] = []
        self._free = asyncio.Event()
        if not held:
            self._free.set()

    async def __call__(self, questions: Sequence[int], deadline: float) -> list[int | Exception]:
        batch = list(questions)
        self.batches.append(batch)
        self.at_work.append(batch)
        try:
            await self._free.wait()
        finally:
            self.at_work.remove(batch)
        return await self.answers(batch)

    async def answers(self, batch: list[int]) -> list[int | Exception]:
        return [question * 2 for question in batch]

    def let_go(self) -> None:
        self._free.set()


class Asking:
    """Questions that are asked and not yet answered."""

    def __init__(self, batcher: Batcher[int, int]) -> None:
        self.batcher = batcher
        self.asked: list[asyncio.Task[int]] = []

    async def ask(self, *questions: int) -> list[asyncio.Task[int]]:
        """They wait, or are at work, when this returns."""
        new = [asyncio.create_task(self.batcher(question)) for question in questions]
        self.asked += new
        await turns()
        return new

    async def answers(self) -> list[int | BaseException]:
        return await asyncio.gather(*self.asked, return_exceptions=True)


async def turns() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def settled(batcher: Batcher[int, int]) -> None:
    """Nothing is left behind."""
    await turns()
    assert not batcher._waiting
    assert not batcher._keys_running
    assert not batcher._running
    assert not batcher._slow
    assert not batcher._alone_running
    assert batcher._timer is None


@asynccontextmanager
async def asking(
    work: Work,
    *,
    size_max: int = 64,
    batches_max: int = 2,
    slow_seconds: float = 1_000,
    fill_seconds: float = 0.001,
    wait_seconds_max: float = 1_000,
    key: Callable[[int], Hashable] | None = None,
) -> AsyncIterator[Asking]:
    batcher = Batcher(
        work,
        size_max=size_max,
        batches_max=batches_max,
        slow_seconds=slow_seconds,
        fill_seconds=fill_seconds,
        wait_seconds_max=wait_seconds_max,
        key=key,
    )
    yield Asking(batcher)
    await settled(batcher)
