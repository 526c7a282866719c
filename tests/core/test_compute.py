"""Short work is done at once; long work in processes that end with their call's caller, with its
limits, and with this process.
"""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core import compute_process
from orchestrator.core.compute import Compute, ComputeLimits
from orchestrator.errors import (
    DomainError,
    NotFound,
    Overloaded,
    RuleBroken,
    TooComplex,
    Violation,
)
from tests.core import compute_work as work
from tests.processes import cpu_seconds, is_running, processes_below, wait_until

SENT_BYTES_MIN = ComputeLimits.sent_bytes_min
MIB = 1024 * 1024


@contextmanager
def computing(**limits: Any) -> Iterator[Compute]:
    compute = Compute(ComputeLimits(**{"processes": 1, **limits}))
    with compute.running():
        yield compute


def computing_pids() -> list[int]:
    return processes_below(os.getpid())[1:]


async def test_work_on_few_bytes_is_done_in_the_thread_that_asks() -> None:
    found = await Compute(ComputeLimits()).run(threading.current_thread, SENT_BYTES_MIN - 1)
    assert found is threading.current_thread()


async def test_it_refuses_long_work_before_and_after_it_runs() -> None:
    compute = Compute(ComputeLimits())
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"outside of Compute\.running"):
            await compute.run(os.getpid, SENT_BYTES_MIN)
        with compute.running():
            assert await compute.run(partial(int, "7"), SENT_BYTES_MIN) == 7


async def test_long_work_is_done_in_one_other_process_which_ends() -> None:
    before = set(computing_pids())
    with computing() as compute:
        assert set(computing_pids()) == before
        pids = [await compute.run(os.getpid, SENT_BYTES_MIN) for _ in range(3)]
        assert len({*pids}) == 1
        assert pids[0] not in {os.getpid(), *before}
    assert not is_running(pids[0])


async def test_if_memory_runs_out_a_process_that_computes_ends_first() -> None:
    with computing() as compute:
        read = Path("/proc/self/oom_score_adj").read_text
        assert int(await compute.run(read, SENT_BYTES_MIN)) == 500


async def test_a_refusal_comes_back_as_it_was_raised() -> None:
    with computing() as compute:
        with pytest.raises(RuleBroken) as broken:
            await compute.run(work.refuse, SENT_BYTES_MIN)
        assert str(broken.value) == "No."
        assert broken.value.errors == [Violation("/a", "rule", "Not this.")]
        assert broken.value.operation == 3
        with pytest.raises(RuntimeError, match=r"ZeroDivisionError.*division"):
            await compute.run(partial(divmod, 1, 0), SENT_BYTES_MIN)


@pytest.mark.parametrize(
    "error", [NotFound("tag", "x"), TooComplex(limit_seconds=1.0), Overloaded()]
)
def test_refusals_pass_between_processes(error: DomainError) -> None:
    same = pickle.loads(pickle.dumps(error))
    assert (type(same), str(same), vars(same)) == (type(error), str(error), vars(error))


async def test_work_that_takes_too_long_ends_and_the_next_is_done() -> None:
    with computing(seconds_max=0.2) as compute:
        with pytest.raises(TooComplex) as refusal:
            await compute.run(work.spin, SENT_BYTES_MIN)
        assert vars(refusal.value) == {"limit_seconds": 0.2}
        # Time that is not spent computing does not count.
        assert await compute.run(partial(work.sleep, 0.3), SENT_BYTES_MIN) == "slept"


@pytest.mark.slow
async def test_work_that_hangs_ends_and_the_next_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_process, "START_SECONDS_MAX", 2.0)
    with computing(seconds_max=0.1) as compute:
        pid = await compute.run(os.getpid, SENT_BYTES_MIN)
        with pytest.raises(Overloaded):
            await compute.run(partial(work.sleep, 60), SENT_BYTES_MIN)
        assert await compute.run(partial(int, "7"), SENT_BYTES_MIN) == 7
        assert await asyncio.to_thread(wait_until, lambda: not is_running(pid))


@pytest.mark.parametrize("how", [work.grow, work.abort])
async def test_work_that_takes_too_much_memory_ends_and_the_next_is_done(how: Any) -> None:
    with computing(memory_bytes_max=128 * MIB) as compute:
        with pytest.raises(TooComplex) as refusal:
            await compute.run(how, SENT_BYTES_MIN)
        assert vars(refusal.value) == {"limit_bytes": 128 * MIB}
        assert await compute.run(partial(int, "7"), SENT_BYTES_MIN) == 7


async def test_work_whose_caller_left_ends_and_the_next_is_done() -> None:
    with computing() as compute:
        pid = await compute.run(os.getpid, SENT_BYTES_MIN)
        leaving = asyncio.create_task(compute.run(work.spin, SENT_BYTES_MIN))
        waiting = asyncio.create_task(compute.run(partial(int, "7"), SENT_BYTES_MIN))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        leaving.cancel()
        assert await waiting == 7
        assert leaving.cancelled()
        assert await asyncio.to_thread(wait_until, lambda: not is_running(pid))


async def test_an_idle_process_that_was_killed_is_replaced() -> None:
    with computing() as compute:
        pid = await compute.run(os.getpid, SENT_BYTES_MIN)
        os.kill(pid, signal.SIGKILL)
        assert await compute.run(os.getpid, SENT_BYTES_MIN) != pid


async def test_a_process_that_has_grown_is_replaced() -> None:
    with computing() as compute:
        pid = await compute.run(os.getpid, SENT_BYTES_MIN)
        await compute.run(work.leak, SENT_BYTES_MIN)
        assert await compute.run(os.getpid, SENT_BYTES_MIN) != pid
        assert await asyncio.to_thread(wait_until, lambda: not is_running(pid))


async def test_large_arguments_and_values_arrive_whole() -> None:
    sent = os.urandom(1024) * 1024 * 4
    with computing() as compute:
        assert await compute.run(partial(work.same, sent), len(sent)) == sent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "least_seconds"),
    [("compute.run(work.spin, 1 << 20)", 0.5), ("asyncio.sleep(60)", 0)],
)
def test_no_process_is_left_when_its_server_is_killed(then: str, least_seconds: float) -> None:
    """Also in the middle of a call that never ends, and if the server wants no such signals."""
    program = (
        "import asyncio, os, signal\n"
        "from orchestrator.core.compute import Compute, ComputeLimits\n"
        "from tests.core import compute_work as work\n"
        "signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})\n"
        "async def main():\n"
        "    compute = Compute(ComputeLimits(processes=1, seconds_max=60))\n"
        "    with compute.running():\n"
        "        print(await compute.run(os.getpid, 1 << 20), flush=True)\n"
        f"        await {then}\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    assert wait_until(lambda: cpu_seconds(pid) >= least_seconds, 30)
    server.kill()
    server.wait()
    assert wait_until(lambda: not is_running(pid))
