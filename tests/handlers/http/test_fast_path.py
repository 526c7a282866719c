"""What is around the short way of a request: it is counted, logged, limited like the long one."""

import asyncio
import re
from typing import Any

import asyncpg
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from orchestrator.app import create_app
from orchestrator.core.disk import ROOM_SECONDS, Disk
from tests.api import API, Api
from tests.conftest import TOKEN, settings_for
from tests.handlers.http.two_ways import BLOB, JSON, LARGE, Pair, essence, name
from tests.handlers.test_openapi import DOCUMENT


async def test_the_tables_take_the_fast_path_and_are_refused_it(pair: Pair) -> None:
    """Else they would compare the framework with itself."""
    for where, is_fast in (
        ("/workflows/main", True),
        ("/workflows/main?namespace=NAMESPACE", True),
        ("/workflows/main?version=1", False),
        ("/workflows/main?namespace=a&namespace=b", False),
        (f"/cas/{name(BLOB)}", True),
        (f"/cas/{name(LARGE)}", True),
        ("/cas/blake3:xyz", True),
        ("/tags/main", False),
    ):
        pair.fast_path.taken.clear()
        await pair.ask("GET", API + where)
        assert len(pair.fast_path.taken) == is_fast, where
    for where in ("/workflows", "/tags/main/move", "/cas"):
        pair.fast_path.taken.clear()
        await pair.ask("POST", API + where, content=b"{}", headers=JSON)
        assert len(pair.fast_path.taken) == 1, where


def test_every_fast_route_is_one_of_the_framework_and_documented() -> None:
    app = create_app(settings_for("postgresql://nowhere/x"))
    inner = app.app
    assert isinstance(inner, Litestar)
    routes = {
        (method, route.path_format)
        for route in inner.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
    }
    paths = DOCUMENT["paths"]
    assert len(app.fast_path.routes) == 6
    for each in app.fast_path.routes:
        assert (each.method, each.path) in routes
        assert each.method.lower() in paths[each.path]
        assert each.writes == (each.method != "GET")


@pytest.mark.parametrize("where", ["/workflows", "/tags/main/move", "/cas"])
async def test_a_write_on_a_full_disk_is_refused_both_ways(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(Disk, "free_bytes", staticmethod(lambda _: -1))
    await asyncio.sleep(2 * ROOM_SECONDS)  # So long it may believe that there is room.
    short, long = await pair.ask("POST", API + where, content=b"{}", headers=JSON)
    assert essence(short) == essence(long)
    assert short.status_code == 507
    reads = await pair.ask("GET", f"{API}/workflows/main")
    assert {read.status_code for read in reads} == {200}


@pytest.mark.parametrize("where", ["/workflows", "/tags/main/move", "/cas"])
async def test_writes_on_the_fast_path_are_counted_with_the_others(
    fresh_database: str, where: str
) -> None:
    app = create_app(settings_for(fresh_database, writes_per_minute_max=100_000))
    connection = await asyncpg.connect(fresh_database)
    try:
        async with Api.on(app, TOKEN) as api:
            await api.put("/tags/x", {})
            # No minute ends before the test does.
            await connection.execute(
                "UPDATE rate_count SET window_start = window_start + interval '1 hour', count = 1"
            )
            for turn in range(1, 4):
                await api.http.post(API + where, content=b"{}", headers=JSON)
                await api.put("/tags/x", {})
                await api.get("/workflows/x")
                assert (
                    await connection.fetchval("SELECT sum(count) FROM rate_count") == 1 + 2 * turn
                )
    finally:
        await connection.close()


async def test_one_direct_write_too_many_is_refused_before_it_is_read(
    fresh_database: str,
) -> None:
    app = create_app(settings_for(fresh_database, writes_per_minute_max=1))
    async with Api.on(app, TOKEN) as api:
        answers = [
            await api.http.post(f"{API}/{each}", content=b"{", headers=JSON)
            for each in ("tags/main/move", "workflows", "cas", "workflows", "tags/main/move")
        ]
        statuses = [answer.status_code for answer in answers]
        # A minute may have begun in between: then one of them is admitted.
        assert statuses[0] == 400
        assert statuses.count(429) >= 3
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1


async def test_the_route_is_called_the_same_in_the_metrics_both_ways(pair: Pair) -> None:
    async def routes() -> list[dict[str, float]]:
        text = (await pair.ask("GET", "/metrics"))[0].text
        found = re.findall(
            r'^orchestrator_http_requests_total\{method="(\w+)",route="(.*)",status="(\d+)"\}'
            r" (\S+)",
            text,
            re.MULTILINE,
        )
        return [{" ".join(labels): float(value) for *labels, value in found}]

    (before,) = await routes()
    for method, where in (
        ("GET", "/workflows/main"),
        ("GET", "/workflows/nope"),
        ("GET", f"/cas/{name(BLOB)}"),
        ("GET", f"/cas/{name(LARGE)}"),
        ("POST", "/workflows"),
        ("POST", "/tags/main/move"),
        ("POST", "/cas"),
    ):
        await pair.ask(method, API + where, **({"content": b"{}"} if method == "POST" else {}))
    (after,) = await routes()
    added = {each: count - before.get(each, 0.0) for each, count in after.items()}
    added = {each: count for each, count in added.items() if count and "metrics" not in each}
    assert added == {
        f"GET {API}/workflows/{{tag}} 200": 2,
        f"GET {API}/workflows/{{tag}} 404": 2,
        f"GET {API}/cas/{{cas_id}} 200": 4,
        f"POST {API}/workflows 415": 2,
        f"POST {API}/tags/{{name}}/move 415": 2,
        f"POST {API}/cas 201": 2,
    }


@pytest.mark.parametrize("authorization", ["", "Bearer wrong"])
async def test_a_direct_route_needs_the_token_too(api: Api, authorization: str) -> None:
    headers = {"Authorization": authorization}
    assert (await api.get("/workflows/main", headers=headers)).status_code == 401
    assert (await api.post("/workflows", {}, headers=headers)).status_code == 401


async def test_a_defect_is_answered_and_logged_both_ways(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.repository.workflow import WorkflowRepository  # noqa: PLC0415

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(WorkflowRepository, "resolve", broken)
    short, long = await pair.ask("GET", f"{API}/workflows/main")
    assert essence(short) == essence(long)
    assert short.status_code == 500
    assert "secret" not in short.text
