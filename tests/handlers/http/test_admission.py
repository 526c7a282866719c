"""The rate of writes, counted in the database: on the real application."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest

from orchestrator.app import create_app
from orchestrator.handlers.http.edge import Edge
from tests.api import Api, chain
from tests.conftest import TOKEN, settings_for

LIMIT = 5


@pytest.fixture
def make_limited(fresh_database: str) -> Callable[[], Edge]:
    settings = settings_for(fresh_database, writes_per_minute_max=LIMIT)
    return lambda: create_app(settings)


async def test_writes_over_the_limit_are_429_and_reads_are_not_limited(
    make_limited: Callable[[], Edge],
) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Api.on(make_limited(), TOKEN)) for _ in "ab"]
        body = {"tag": "main", "workflow": chain("a")}
        answers = await asyncio.gather(
            *(servers[number % 2].post("/workflows", body) for number in range(20))
        )
        statuses = Counter(answer.status_code for answer in answers)
        # A minute may have begun in between: then there are two windows.
        assert statuses[201] in {LIMIT, 2 * LIMIT}
        assert statuses[201] + statuses[429] == 20
        refused = next(answer for answer in answers if answer.status_code == 429)
        problem = refused.json()
        assert (problem["tier"], problem["limit"], problem["window_seconds"]) == ("writes", 5, 60)
        assert problem["current_count"] > LIMIT
        assert 1 <= problem["retry_after_seconds"] <= 60
        assert refused.headers["retry-after"] == str(problem["retry_after_seconds"])
        reads = [await servers[0].get("/workflows/main") for _ in range(20)]
        assert {read.status_code for read in reads} == {200}


async def test_a_new_minute_begins_at_one(
    make_limited: Callable[[], Edge], fresh_database: str
) -> None:
    async with Api.on(make_limited(), TOKEN) as api:
        body = {"tag": "main", "workflow": chain("a")}
        while (await api.post("/workflows", body)).status_code == 201:
            pass
        connection = await asyncpg.connect(fresh_database)
        await connection.execute(
            "UPDATE rate_count SET window_start = window_start - interval '1 minute'"
        )
        await connection.close()
        assert (await api.post("/workflows", body)).status_code == 201


async def test_without_a_limit_nothing_is_counted(api: Api) -> None:
    answers = [await api.create(f"t{number}", "a") for number in range(LIMIT * 3)]
    assert len(answers) == LIMIT * 3
