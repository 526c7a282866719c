"""What is counted in plain numbers is shown as the client library would have counted it."""

import asyncio
import random
import re
from bisect import bisect_left
from collections.abc import Callable
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from orchestrator.handlers.http.edge import Edge
from orchestrator.telemetry.exposition import Exposition
from orchestrator.telemetry.metrics import BUCKETS
from orchestrator.telemetry.numbers import Family, Numbers
from tests.api import Api, chain
from tests.conftest import TOKEN

SERIES = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def series(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (name, frozenset(LABEL.findall(labels))): float(value)
        for name, labels, value in SERIES.findall(text)
    }


async def counts(api: Api, method: str, route: str, status: int) -> dict[str, float]:
    found = series((await api.http.get("/metrics")).text)
    at = {("method", method), ("route", route)}

    def value(name: str, *more: tuple[str, str]) -> float:
        return found.get((f"orchestrator_http_{name}", frozenset(at | set(more))), 0.0)

    counted = {
        "requests": value("requests_total", ("status", str(status))),
        "count": value("request_seconds_count"),
        "sum": value("request_seconds_sum"),
    }
    bounds = [*(str(float(bound)) for bound in BUCKETS), "+Inf"]
    for bound in bounds:
        counted[bound] = value("request_seconds_bucket", ("le", bound))
    return counted


def added(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


@pytest.mark.parametrize(
    ("method", "route", "path", "status"),
    [
        ("GET", "/api/v1/workflows/{tag}", "/workflows/main", 200),
        ("GET", "/api/v1/workflows/{tag}", "/workflows/nope", 404),
        ("GET", "/api/v1/tags", "/tags", 200),
    ],
)
async def test_requests_are_counted_exactly_and_their_buckets_add_up(
    api: Api, method: str, route: str, path: str, status: int
) -> None:
    await api.create("main", "a")
    before = await counts(api, method, route, status)
    answers = await asyncio.gather(*(api.get(path) for _ in range(37)))
    assert {answer.status_code for answer in answers} == {status}
    # Nothing is waited for: what is not published yet is published by the scrape.
    now = added(await counts(api, method, route, status), before)
    assert (now["requests"], now["count"]) == (37, 37)
    assert now["sum"] > 0
    cumulative = [now[str(float(bound))] for bound in BUCKETS] + [now["+Inf"]]
    assert cumulative == sorted(cumulative)
    assert cumulative[-1] == 37
    again = added(await counts(api, method, route, status), before)
    assert again == now, "a second scrape counts nothing twice"


async def test_every_status_is_a_series_of_its_own_and_they_share_the_histogram(api: Api) -> None:
    route = "/api/v1/workflows"
    statuses = {201: 5, 400: 3, 415: 2}
    before = {status: await counts(api, "POST", route, status) for status in statuses}
    for number in range(5):
        await api.create("main", f"n{number}")
    for _ in range(3):
        await api.post("/workflows", {"tag": "not a name", "workflow": chain("a")})
    for _ in range(2):
        await api.http.post("/api/v1/workflows", content=b"{}")
    for status, count in statuses.items():
        now = added(await counts(api, "POST", route, status), before[status])
        assert (now["requests"], now["count"]) == (count, 10)


async def test_a_request_of_an_invented_method_or_path_makes_no_series(api: Api) -> None:
    before = await counts(api, "other", "unmatched", 404)
    name = f"X{uuid4().hex}"
    await api.http.request(name, f"/{name}")
    now = added(await counts(api, "other", "unmatched", 404), before)
    assert now["requests"] == 1
    assert name not in (await api.http.get("/metrics")).text


def durations() -> list[float]:
    chosen = random.Random(1)
    edges = [bound * factor for bound in BUCKETS for factor in (0.999_999, 1, 1.000_001)]
    return [0.0, *edges, 11.0, 1e9, *(chosen.expovariate(20) for _ in range(500))]


async def test_the_page_is_the_one_that_the_library_would_have_made() -> None:
    labels = ("method", "route")
    numbers = Numbers()
    ours = numbers.requests(
        Family("requests", "Some requests.", (*labels, "status")),
        Family("seconds", "Some seconds.", labels, BUCKETS),
    )
    bytes_sent = numbers.count("bytes", "Some bytes.")
    changes = numbers.counts("changes", 'A "help" of\ntwo lines.', "action")
    registry = CollectorRegistry()
    requests = Counter("requests", "Some requests.", [*labels, "status"], registry=registry)
    seconds = Histogram("seconds", "Some seconds.", labels, registry=registry, buckets=BUCKETS)
    their_bytes = Counter("bytes", "Some bytes.", registry=registry)
    their_changes = Counter("changes", 'A "help" of\ntwo lines.', ["action"], registry=registry)
    for number, duration in enumerate(durations()):
        method, route, status = ("GET", "PUT")[number % 2], f"/{number % 3}", 200 + number % 2
        ours.observe(method, route, status, duration)
        requests.labels(method, route, str(status)).inc()
        seconds.labels(method, route).observe(duration)
        bytes_sent.inc(number)
        their_bytes.inc(number)
        changes.labels(f'{number % 2} \\ " \n').inc()
        their_changes.labels(f'{number % 2} \\ " \n').inc()
    mine = page_of(numbers).splitlines()
    created = re.compile(r"^(# \w+ )?\w+_created\b")
    theirs = generate_latest(registry).decode().splitlines()
    wanted = [line for line in theirs if not created.match(line)]
    assert [kind for kind in mine if kind.startswith("#")] == [
        kind for kind in wanted if kind.startswith("#")
    ]
    assert {line.rpartition(" ")[0] for line in mine} == {
        line.rpartition(" ")[0] for line in wanted
    }
    value = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in mine}
    for line in wanted:
        if not line.startswith("#"):
            name, _, number_text = line.rpartition(" ")
            assert float(value[name]) == pytest.approx(float(number_text), rel=1e-12), name


def page_of(numbers: Numbers) -> str:
    """What a scrape would show of these numbers alone."""
    registry = CollectorRegistry()
    registry.register(Exposition(numbers, None))
    return generate_latest(registry).decode()


def test_a_label_that_was_asked_for_and_not_counted_is_no_series() -> None:
    numbers = Numbers()
    changes = numbers.counts("changes", "Some.", "action")
    one = changes.labels("delete")
    assert "delete" not in page_of(numbers)
    one.inc()
    assert 'changes_total{action="delete"} 1.0' in page_of(numbers)


def test_a_duration_on_a_bound_is_in_the_bucket_below_it() -> None:
    # What the library does: its bounds are included ("le").
    assert [bisect_left(BUCKETS, bound) for bound in BUCKETS] == list(range(len(BUCKETS)))


def test_without_a_loop_a_count_is_published_at_once() -> None:
    numbers = Numbers()
    count = numbers.count("count", "Some.")
    published: list[float] = []
    with numbers.published_by(lambda: published.append(count.value)):
        count.inc(3)
        count.inc()
        assert published == [3, 4]
    count.inc()
    assert published == [3, 4, 4], "once more at the end of the block, and then no more"


async def test_counts_are_published_by_themselves_and_together() -> None:
    numbers = Numbers(publish_seconds=0.01)
    requests = numbers.requests(
        Family("requests", "Some.", ("method", "route", "status")),
        Family("seconds", "Some.", ("method", "route"), BUCKETS),
    )
    count = numbers.count("count", "Some.")
    published: list[float] = []
    with numbers.published_by(lambda: published.append(count.value)):
        for turn in (1, 2):
            count.inc()
            requests.observe("GET", "/", 200, 0.001)
            count.inc()
            assert len(published) == turn - 1
            await asyncio.sleep(0.1)
            assert published == [2.0 * each for each in range(1, turn + 1)]


def test_counts_are_published_in_a_second_loop_after_the_first_ended_too_early() -> None:
    numbers = Numbers(publish_seconds=0.01)
    count = numbers.count("count", "Some.")
    published: list[float] = []

    async def increase(seconds: float) -> None:
        count.inc()
        await asyncio.sleep(seconds)

    with numbers.published_by(lambda: published.append(count.value)):
        asyncio.run(increase(0))
        assert published == []
        asyncio.run(increase(0.1))
        assert published == [2]


async def test_what_the_services_count_is_shown_at_once_too(
    make_app: Callable[..., Edge],
) -> None:
    async with Api.on(make_app(), TOKEN) as api:

        async def shown_now() -> tuple[float, float]:
            found = (await api.http.get("/metrics")).text
            stored = re.search(r"^orchestrator_blobs_stored_total (\S+)$", found, re.MULTILINE)
            assert stored is not None
            creates = frozenset({("action", "create")})
            tags = series(found).get(("orchestrator_tag_changes_total", creates), 0.0)
            return float(stored[1]), tags

        before = await shown_now()
        await asyncio.gather(*(api.create(f"t{uuid4().hex}", uuid4().hex) for _ in range(9)))
        after = await shown_now()
        assert (after[0] - before[0], after[1] - before[1]) == (9, 9)
