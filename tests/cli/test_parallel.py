"""A few calls at a time: as many as may be, each once, and an end that waits for nothing."""

import threading

import pytest

from orchestrator.cli.parallel import in_parallel
from orchestrator.cli.progress import together

WAIT_SECONDS_MAX = 20.0


def test_each_item_has_its_result_or_its_error() -> None:
    found = dict(in_parallel(lambda n: 10 // n, range(20), at_once=4))
    assert isinstance(found.pop(0), ZeroDivisionError)
    assert found == {n: 10 // n for n in range(1, 20)}
    assert list(in_parallel(lambda n: n, [], at_once=4)) == []


def test_so_many_calls_go_on_at_once_and_no_more() -> None:
    together_at = threading.Barrier(3)
    lock, running, most = threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together_at.wait(WAIT_SECONDS_MAX)  # Fewer would break it.
        with lock:
            running -= 1

    outcomes = [outcome for _, outcome in in_parallel(work, range(9), at_once=3)]
    assert outcomes == [None] * 9
    assert most == 3


def test_who_stops_waits_for_nothing() -> None:
    free, began = threading.Event(), []

    def work(n: int) -> int:
        began.append(n)
        if n:
            assert free.wait(WAIT_SECONDS_MAX)
        return n

    results = in_parallel(work, range(10), at_once=2)
    assert next(results) == (0, 0)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())
    assert len(began) <= 3
    others = [each for each in threading.enumerate() if each is not threading.current_thread()]
    free.set()
    for each in others:
        if each.name.endswith("(run)"):
            each.join(WAIT_SECONDS_MAX)
    assert len(began) <= 3, "no call begins after the end"


def test_parts_are_shown_as_one() -> None:
    seen: list[tuple[int, int | None]] = []
    part = together(lambda done, total: seen.append((done, total)), 30)
    one, other = part(), part()
    one(10, 10)
    other(5, 20)
    other(0, 20)  # It begins anew.
    other(20, 20)
    assert seen == [(10, 30), (15, 30), (10, 30), (30, 30)]
