"""The numbers of several processes in one sum that never shrinks."""

import asyncio
import multiprocessing
import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from orchestrator.telemetry.exposition import Exposition
from orchestrator.telemetry.numbers import Count, Counts, Family, Numbers, RequestNumbers


class Worker:
    """The numbers of one process, which a test can end in order or by a crash."""

    def __init__(self, folder: Path) -> None:
        self.numbers = Numbers(publish_seconds=0.01)
        self.count: Count = self.numbers.count("count", "Some.")
        self.changes: Counts = self.numbers.counts("changes", "Some.", "action")
        self.requests: RequestNumbers = self.numbers.requests(
            Family("requests", "Some.", ("method", "route", "status")),
            Family("seconds", "Some.", ("method", "route"), (0.1, 1)),
        )
        self.exposition = Exposition(self.numbers, folder)
        self.stack = ExitStack()
        self.stack.enter_context(self.exposition.shared())

    def end(self) -> None:
        self.stack.close()

    def shown(self) -> dict[str, float]:
        page = self.exposition.text().decode()
        return {
            name: float(value) for name, value in re.findall(r"^(\w.*) (\S+)$", page, re.MULTILINE)
        }


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def make() -> Worker:
        workers.append(Worker(tmp_path / "metrics"))
        return workers[-1]

    yield make
    for each in workers:
        each.end()


def test_each_worker_shows_what_all_have_counted(worker: Callable[[], Worker]) -> None:
    one, two, three = worker(), worker(), worker()
    one.count.inc(5)
    two.count.inc(2**52)
    two.changes.labels('create "x"\n').inc()
    three.changes.labels('create "x"\n').inc(0.5)
    one.requests.observe("GET", "/", 200, 0.05)
    two.requests.observe("GET", "/", 200, 0.5)
    three.requests.observe("GET", "/", 404, 5)
    for each in (one, two, three):
        shown = each.shown()
        assert shown["count_total"] == 2**52 + 5
        assert sum(value for name, value in shown.items() if name.startswith("changes")) == 1.5
        assert shown['requests_total{method="GET",route="/",status="200"}'] == 2
        assert shown['requests_total{method="GET",route="/",status="404"}'] == 1
        buckets = [
            shown[f'seconds_bucket{{le="{le}",method="GET",route="/"}}'] for le in ("0.1", "1.0")
        ]
        assert buckets == [1, 2]
        assert shown['seconds_count{method="GET",route="/"}'] == 3
        assert shown['seconds_sum{method="GET",route="/"}'] == pytest.approx(5.55)


async def test_what_a_worker_counts_is_soon_shown_by_another(worker: Callable[[], Worker]) -> None:
    one, two = worker(), worker()
    one.count.inc(3)
    await asyncio.sleep(0.1)
    assert two.shown()["count_total"] == 3


def test_workers_that_end_and_begin_leave_the_sum_and_few_files(
    worker: Callable[[], Worker], tmp_path: Path
) -> None:
    chosen = random.Random(1)
    stays = worker()
    running = [worker(), worker()]
    for counted in range(1, 201):
        each = chosen.choice([stays, *running])
        each.count.inc()
        if chosen.random() < 0.3:
            ended = running.pop(chosen.randrange(2))
            ended.end()
            running.append(worker())
        assert stays.shown()["count_total"] == counted
        assert running[0].shown()["count_total"] == counted
    assert len(list((tmp_path / "metrics").glob("*.json"))) <= 3


def test_a_killed_worker_takes_nothing_away_that_it_had_shown(
    worker: Callable[[], Worker], tmp_path: Path
) -> None:
    stays = worker()
    stays.count.inc()
    for turn in range(1, 4):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=_count_and_wait, args=(tmp_path / "metrics", theirs)
        )
        process.start()
        assert ours.recv() == 1 + 10 * turn, "it goes on from what all others counted"
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert stays.shown()["count_total"] == 1 + 10 * turn
    names = sorted(path.name for path in (tmp_path / "metrics").glob("*.json"))
    assert names == ["0.json", "1.json"]


def _count_and_wait(folder: Path, pipe: Connection) -> None:
    worker = Worker(folder)
    worker.count.inc(10)
    pipe.send(worker.shown()["count_total"])
    signal.pause()


def test_a_folder_that_cannot_be_written_stops_nothing(
    worker: Callable[[], Worker], tmp_path: Path
) -> None:
    one = worker()
    one.count.inc()
    folder = tmp_path / "metrics"
    (folder / "0.json").unlink()
    (folder / "0.json").mkdir()
    one.count.inc()
    assert one.shown()["count_total"] == 2
    (folder / "0.json").rmdir()
    one.count.inc()
    assert worker().shown()["count_total"] == 3, "the next write brings it all"


def test_without_a_folder_a_process_shows_its_own_numbers_and_what_the_library_says_of_it() -> None:
    numbers = Numbers()
    count = numbers.count("count", "Some.")
    exposition = Exposition(numbers, None)
    with exposition.shared():
        count.inc(2)
        page = exposition.text().decode()
    assert "count_total 2.0" in page
    assert "python_info" in page
