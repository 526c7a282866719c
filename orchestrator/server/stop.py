"""How a signal ends the server: it is noted at once, and obeyed between two steps.

A handler that raised would end whatever runs at that moment: an event loop only logs what a handler
raises, and a clean-up would stay half done.
"""

import os
import select
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from threading import Thread
from types import FrameType
from typing import Self, TypeVar

from orchestrator.server.error import Stopped

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.02


def end_by_signals() -> None:
    """Let signals end this process. For a worker that was just forked: our handlers would only note
    in its copy of our memory that the server is to end, and nobody looks there.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """While a process is forked: one that comes to it before it has handlers of its own would be
    noted by ours, and be lost.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


class Stop:
    """Whether a signal to end the server has come. It can be waited for as a file is."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def __enter__(self) -> Self:
        for number in SIGNALS:
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        # Nothing is left to end; a further signal must not disturb the last lines.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def __del__(self) -> None:
        for end in (self._read, self._write):
            os.close(end)

    def fileno(self) -> int:
        """It can be read once the end is wanted."""
        return self._read

    def check(self) -> None:
        """Raise Stopped if the server is to end. To be called after each step of the start."""
        if self.is_wanted:
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Let so much time pass, but no more once the end is wanted."""
        select.select([self], [], [], seconds)

    def wait_for(self, result: "Future[T]") -> T:
        """The result; raises Stopped soon after a signal, whatever becomes of the result."""
        while True:
            self.check()
            try:
                return result.result(POLL_SECONDS)
            except TimeoutError:
                if result.done():  # Just now, or it is the error of the work itself.
                    return result.result()

    def in_thread(self, work: Callable[[], T]) -> T:
        """The result of work that may take long. After a signal it is left to end by itself."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again by `wait_for`.
                result.set_exception(error)

        Thread(target=run, name="start", daemon=True).start()
        return self.wait_for(result)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.is_wanted = True
        with suppress(BlockingIOError):
            os.write(self._write, b"x")
