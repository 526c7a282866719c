"""Requests are counted in plain numbers and shown as the client library would count them."""

import asyncio
import random
import re
from bisect import bisect_left
from collections.abc import Callable
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from orchestrator.handlers.http.edge import Edge
from orchestrator.telemetry import metrics
from orchestrator.telemetry.metrics import BUCKETS, RequestMetrics, Tally, hand_over
from tests.api import Api, chain
from tests.conftest import TOKEN

SERIES = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def series(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (name, frozenset(LABEL.findall(labels))): float(value)
        for name, labels, value in SERIES.findall(text)
    }


def shown(name: str, **labels: str) -> float | None:
    """What a scrape of this process would show, without handing over anything."""
    return series(generate_latest().decode()).get((name, frozenset(labels.items())))


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
    # Nothing is waited for: what is not handed over yet is handed over by the scrape.
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


async def test_what_is_handed_over_is_what_the_library_would_have_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()

    def instruments(registry: CollectorRegistry) -> tuple[Counter, Histogram]:
        labels = ["method", "route"]
        return (
            Counter("requests", "Some.", [*labels, "status"], registry=registry),
            Histogram("seconds", "Some.", labels, registry=registry, buckets=BUCKETS),
        )

    requests, seconds = instruments(ours)
    monkeypatch.setattr(metrics, "REQUESTS", requests)
    monkeypatch.setattr(metrics, "SECONDS", seconds)
    requests, seconds = instruments(theirs)
    counted = RequestMetrics()
    for number, duration in enumerate(durations()):
        method, route, status = ("GET", "PUT")[number % 2], f"/{number % 3}", 200 + number % 2
        counted.observe(method, route, status, duration)
        requests.labels(method, route, status).inc()
        seconds.labels(method, route).observe(duration)
        if number % 100 == 0:
            counted.hand_over()
    counted.hand_over()
    counted.hand_over()
    mine = series(generate_latest(ours).decode())
    wanted = series(generate_latest(theirs).decode())
    created = {key for key in wanted if key[0].endswith("_created")}
    assert mine.keys() == wanted.keys()
    for key in wanted.keys() - created:
        assert mine[key] == pytest.approx(wanted[key], rel=1e-12), key


def test_a_duration_on_a_bound_is_in_the_bucket_below_it() -> None:
    # What the library does: its bounds are included ("le").
    assert [bisect_left(BUCKETS, bound) for bound in BUCKETS] == list(range(len(BUCKETS)))


def test_without_a_loop_a_count_is_handed_over_at_once() -> None:
    name = f"tally_{uuid4().hex}"
    tally = Tally(Counter(name, "Some."))
    hand_over()  # A loop that ended may have left a plan.
    try:
        tally.inc(3)
        tally.inc()
        assert f"{name}_total 4.0" in generate_latest().decode()
    finally:
        metrics._TALLIES.remove(tally)


async def test_counts_are_handed_over_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "HANDED_OVER_SECONDS", 0.01)
    hand_over()  # Else it is planned already, for later.
    route = f"/{uuid4().hex}"
    labels = {"method": "GET", "route": route, "status": "200"}
    for turn in (1, 2):
        metrics.HTTP.observe("GET", route, 200, 0.001)
        metrics.HTTP.observe("GET", route, 200, 0.001)
        assert (shown("orchestrator_http_requests_total", **labels) or 0) == 2 * (turn - 1)
        for _ in range(500):
            if not metrics._planned:
                break
            await asyncio.sleep(0.01)
        assert shown("orchestrator_http_requests_total", **labels) == 2 * turn
    metrics.HTTP._series.pop(("GET", route, 200))


async def test_tallies_of_what_the_services_do_are_shown_at_once_too(
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
