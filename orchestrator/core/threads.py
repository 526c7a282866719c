"""Threads for work that blocks or computes without the interpreter's lock: files, hashes, zstd."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Transfers at work at one moment; more of them wait their turn for a megabyte.
THREADS = 8
_POOL = ThreadPoolExecutor(THREADS, thread_name_prefix="blob")


async def in_thread(work: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
    """Run it in a thread. If we are cancelled, the thread still ends what it does."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_POOL, lambda: work(*args, **options))


def run_later(work: Callable[[], object]) -> None:
    """Run it in a thread that nobody waits for: the end of something that cannot fail."""
    _POOL.submit(work)
