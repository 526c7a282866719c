"""Threads for work that blocks or computes without the interpreter's lock: files, hashes, zstd."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A number of threads; further work waits until one is free.

    A thread is made when it is first needed, so building this makes none.
    """

    def __init__(self, count: int, *, name: str) -> None:
        self._count = count
        self._name = name
        self._pool = self._made()

    @contextmanager
    def ended_after(self) -> Iterator[None]:
        """At the end of the block all work is done and no thread is left."""
        try:
            yield
        finally:
            pool, self._pool = self._pool, self._made()
            pool.shutdown()

    async def run(self, work: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
        """Do the work in a thread. If the caller is cancelled, the thread still finishes it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **options))

    def run_later(self, work: Callable[[], object]) -> None:
        """Do work that nobody waits for, and that cannot fail."""
        self._pool.submit(work)

    def _made(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
