"""Short work is done at once, long work in the one thread, and only while there is one."""

import threading

import pytest

from orchestrator.core.compute import THREADED_BYTES_MIN, Compute


async def test_work_on_few_bytes_is_done_in_the_thread_that_asks() -> None:
    found = await Compute().run(threading.current_thread, THREADED_BYTES_MIN - 1)
    assert found is threading.current_thread()


async def test_work_on_many_bytes_is_done_in_one_other_thread_which_ends() -> None:
    compute = Compute()
    with compute.running():
        first = await compute.run(threading.current_thread, THREADED_BYTES_MIN)
        second = await compute.run(threading.current_thread, THREADED_BYTES_MIN)
        assert first is second is not threading.current_thread()
    assert not first.is_alive()


async def test_what_the_work_raises_is_raised_to_who_asks() -> None:
    compute = Compute()
    with compute.running(), pytest.raises(ZeroDivisionError):
        await compute.run(lambda: 1 // 0, THREADED_BYTES_MIN)


async def test_it_can_run_again_but_refuses_work_in_between() -> None:
    compute = Compute()
    for _ in range(2):
        with compute.running():
            assert await compute.run(lambda: 1, THREADED_BYTES_MIN) == 1
        with pytest.raises(RuntimeError, match=r"outside of Compute\.running"):
            await compute.run(lambda: 1, THREADED_BYTES_MIN)
