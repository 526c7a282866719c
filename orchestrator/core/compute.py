"""A thread for computing: what takes long must not hold up the event loop, and so all others."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

#: Work on fewer bytes is done at once: a thread would cost more than it.
THREADED_BYTES_MIN = 64 * 1024


class Compute:
    """Built without a thread; `running` makes it and ends it."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """As long as the block lasts. At its end what runs is waited for."""
        # One: more would not be faster under the interpreter's lock, and each makes the event loop
        # wait its turn once more (measured: with six, small requests waited ten times as long).
        with ThreadPoolExecutor(1, thread_name_prefix="compute") as self._pool:
            yield
        self._pool = None

    async def run(self, work: Callable[[], T], size_bytes: int) -> T:
        """What `work` gives, which reads so many bytes."""
        if size_bytes < THREADED_BYTES_MIN:
            return work()
        if self._pool is None:
            raise RuntimeError("Compute.run() outside of Compute.running()")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
