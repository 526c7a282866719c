"""Where work on documents is done: at once if it is short, else in processes of their own.

A long call of C code holds the interpreter's lock, and with it every other request of its process;
so even a thread would not do.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from orchestrator.core.compute_exchange import Outcome
from orchestrator.core.compute_process import ComputeProcess, Killed
from orchestrator.core.fair_queue import FairQueue
from orchestrator.errors import Overloaded

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ComputeLimits:
    """Limits of one serving process, and of each process that computes for it."""

    #: Work on fewer bytes is done at once: sending it costs 0.5 ms (measured), and the most hostile
    #: text of this length takes 40 ms.
    sent_bytes_min: int = 32 * 1024
    processes: int = 2
    seconds_max: float = 5.0
    memory_bytes_max: int = 512 * 1024 * 1024
    waiting_bytes_max: int = 128 * 1024 * 1024
    wait_seconds_max: float = 10.0


class Compute:
    """Does work in processes. Each process starts when it is first needed; `running` ends them."""

    def __init__(self, limits: ComputeLimits) -> None:
        self._limits = limits
        self._queue = FairQueue(
            limits.processes,
            waiting_bytes_max=limits.waiting_bytes_max,
            wait_seconds_max=limits.wait_seconds_max,
        )
        #: A thread for each process: it waits for the outcome.
        self._threads: ThreadPoolExecutor | None = None
        self._idle: list[ComputeProcess] = []
        self._busy: set[ComputeProcess] = set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within this block work can be done. At its end no process is left."""
        self._threads = ThreadPoolExecutor(self._limits.processes, "compute")
        try:
            yield
        finally:
            threads, self._threads = self._threads, None
            for process in self._busy:
                process.kill()
            threads.shutdown()
            while self._idle:
                self._idle.pop().end()

    def is_short(self, size_bytes: int) -> bool:
        """Whether work on so many bytes is done at once."""
        return size_bytes < self._limits.sent_bytes_min

    async def run(self, work: Callable[[], T], size_bytes: int, caller: str = "") -> T:
        """Do `work`, which reads `size_bytes`, and return its result.

        Work that may be long is a `partial` of a module's function, so that it can be sent to a
        process. If the caller is cancelled, the work ends. Raises TooComplex if it took too much
        time or memory, Overloaded if too much other work waits.
        """
        if self.is_short(size_bytes):
            return work()
        if self._threads is None:
            raise RuntimeError("Compute.run() outside of Compute.running()")
        async with self._queue.place(caller, size_bytes):
            try:
                outcome = await self._call(
                    work, self._idle.pop() if self._idle else self._started()
                )
            except Killed:
                try:
                    outcome = await self._call(work, self._started())
                except Killed as error:
                    raise Overloaded from error
        if outcome.error is not None:
            raise outcome.error
        return cast("T", outcome.value)

    async def _call(self, work: Callable[[], Any], process: ComputeProcess) -> Outcome:
        self._busy.add(process)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, process.call, work)
        except asyncio.CancelledError:
            process.kill()
            raise
        finally:
            self._busy.discard(process)
            if process.is_usable and self._threads is not None:
                self._idle.append(process)
            else:
                self._end(process)

    def _end(self, process: ComputeProcess) -> None:
        """End a process. A thread waits for its end, as long as there are threads."""
        if self._threads is None:
            process.end()
        else:
            self._threads.submit(process.end)

    def _started(self) -> ComputeProcess:
        limits = self._limits
        try:
            return ComputeProcess(
                memory_bytes_max=limits.memory_bytes_max, seconds_max=limits.seconds_max
            )
        except OSError as error:  # The machine has no room for a process.
            raise Overloaded from error
