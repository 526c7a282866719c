"""A database that takes questions and does not answer: every request has an end, and none waits for
the end of others.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from orchestrator.app import create_app
from tests.api import API, Api, chain
from tests.conftest import TOKEN, settings_for
from tests.losing_proxy import LosingProxy

ACQUIRE_SECONDS = 0.5
STATEMENT_SECONDS = 0.2
#: The driver gives the database this long to end the statement by itself.
GRACE_SECONDS = 1.0
SLACK_SECONDS = 2.0
END_SECONDS = ACQUIRE_SECONDS + STATEMENT_SECONDS + GRACE_SECONDS + SLACK_SECONDS


@pytest.fixture
async def proxy(fresh_database: str) -> AsyncIterator[LosingProxy]:
    async with LosingProxy.before(fresh_database) as proxy:
        yield proxy


@pytest.fixture
async def api(proxy: LosingProxy) -> AsyncIterator[Api]:
    settings = settings_for(
        proxy.url,
        database_connections_max=6,
        database_acquire_seconds_max=ACQUIRE_SECONDS,
        database_connect_seconds_max=ACQUIRE_SECONDS,
        database_statement_seconds_max=STATEMENT_SECONDS,
    )
    async with Api.on(create_app(settings), TOKEN) as api:
        await api.create("main", "a")
        yield api


async def creating(api: Api, number: int) -> Any:
    return await api.post("/workflows", {"tag": f"t{number}", "workflow": chain(f"n{number}")})


REQUESTS: dict[str, Callable[[Api, int], Awaitable[Any]]] = {
    "lookup": lambda api, _: api.get("/workflows/main"),
    "list": lambda api, _: api.get("/tags"),
    "create": creating,
    "upload": lambda api, number: api.http.post(f"{API}/cas", content=b"%d" % number),
    "transaction": lambda api, _: api.delete("/tags/main"),
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_every_request_has_an_end(api: Api, proxy: LosingProxy, kind: str) -> None:
    async def asked(number: int) -> tuple[int, float]:
        await asyncio.sleep(number * 0.04)
        began = time.monotonic()
        answer = await REQUESTS[kind](api, number)
        return answer.status_code, time.monotonic() - began

    assert (await api.get("/workflows/main")).status_code == 200
    proxy.thawed.clear()
    ends = await asyncio.gather(*(asked(number) for number in range(50)))
    assert {status for status, _ in ends} == {503}
    assert max(seconds for _, seconds in ends) < END_SECONDS, sorted(ends)[-5:]
    proxy.thawed.set()
    assert (await api.get("/tags")).status_code == 200


@pytest.mark.slow
async def test_what_a_request_waits_for_one_after_the_other_has_one_end(
    fresh_database: str,
) -> None:
    """It waits to share a statement, for a place among the writers, and for a connection, while
    others have all of these.
    """
    acquire_seconds = 2.0
    async with LosingProxy.before(fresh_database) as proxy:
        settings = settings_for(
            proxy.url,
            database_connections_max=6,
            database_acquire_seconds_max=acquire_seconds,
            database_connect_seconds_max=acquire_seconds,
            database_statement_seconds_max=STATEMENT_SECONDS,
        )
        async with Api.on(create_app(settings), TOKEN) as api:
            main = await api.create("main", "a")

            async def moving(api: Api, _: int) -> Any:
                return await api.post("/tags/main/move", {"artifact_id": main["artifact_id"]})

            kinds = [*REQUESTS.values(), moving]
            proxy.thawed.clear()

            async def seconds(number: int) -> float:
                await asyncio.sleep(number * 0.03)
                began = time.monotonic()
                assert (await kinds[number % len(kinds)](api, number)).status_code == 503
                return time.monotonic() - began

            longest = max(await asyncio.gather(*(seconds(number) for number in range(100))))
            assert longest < acquire_seconds + STATEMENT_SECONDS + GRACE_SECONDS + 1.0
            proxy.thawed.set()


async def test_readiness_says_in_time_that_the_database_does_not_answer(
    proxy: LosingProxy,
) -> None:
    async with Api.on(create_app(settings_for(proxy.url)), TOKEN) as api:
        assert (await api.http.get("/health/ready")).status_code == 200
        proxy.thawed.clear()
        began = time.monotonic()
        ready = await api.http.get("/health/ready")
        assert time.monotonic() - began < 2.5
        assert (ready.status_code, ready.json()["checks"]) == (503, {"database": "does not answer"})
        proxy.thawed.set()
        assert (await api.http.get("/health/ready")).status_code == 200
