"""A signal ends the start of the server at whatever moment it comes, and leaves nothing."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from orchestrator.server.error import Stopped
from orchestrator.server.stop import SIGNALS, Stop
from tests.processes import wait_until
from tests.server.conftest import Launch

#: Together they span a start: one that has its imports behind it, and one that begins with them.
MOMENTS = [(0.02 * number, False) for number in range(20)]
MOMENTS += [(0.2 * number, True) for number in range(5)]


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with Stop() as stop:
        yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_obeyed_at_the_next_check(stop: Stop, number: int) -> None:
    stop.check()
    signal.raise_signal(number)
    for _ in range(2):
        with pytest.raises(Stopped):
            stop.check()


def test_a_signal_inside_an_event_loop_is_not_lost(stop: Stop) -> None:
    async def step() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        await asyncio.sleep(0.01)

    asyncio.run(step())
    with pytest.raises(Stopped):
        stop.check()


def test_work_that_takes_long_is_not_waited_for_after_a_signal(stop: Stop) -> None:
    end = threading.Event()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        stop.in_thread(lambda: end.wait(30))
    assert time.monotonic() - started < 5
    end.set()


def test_the_result_or_the_error_of_the_work_is_passed_on(stop: Stop) -> None:
    def refuse() -> None:
        raise TimeoutError("its own")

    assert stop.in_thread(lambda: 7) == 7
    with pytest.raises(TimeoutError, match="its own"):
        stop.in_thread(refuse)
    later: Future[int] = Future()
    threading.Timer(0.1, later.set_result, (8,)).start()
    assert stop.wait_for(later) == 8


@pytest.mark.timeout(300)
def test_at_whatever_moment_of_the_start_a_signal_comes_it_ends_the_server(
    launch: Launch, seeded: Path
) -> None:
    quiet = {"ORCHESTRATOR_ACCESS_LOG": "false"}
    for seconds, cold in MOMENTS:
        (seeded / "lock").unlink(missing_ok=True)
        server = launch(seeded, wait=False, cold=cold, environ=quiet)
        assert wait_until((seeded / "lock").exists, 30)
        time.sleep(seconds)
        assert server.end() == 0, f"after {seconds:.2f} s: {server.stderr()}"
        assert server.stderr() == "", f"after {seconds:.2f} s"
