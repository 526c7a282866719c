"""Liveness, readiness and metrics, with a database and without."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import asyncpg

from orchestrator.app import create_app
from orchestrator.handlers.http.edge import Edge
from orchestrator.telemetry.numbers import Row
from orchestrator.telemetry.numbers_shared import SharedNumbers
from tests.api import Api, chain
from tests.conftest import TOKEN, settings_for


async def test_a_healthy_server_says_so(api: Api) -> None:
    assert (await api.http.get("/health")).json()["service"] == "orchestrator"
    assert (await api.http.get("/health")).json()["status"] == "ok"
    assert (await api.http.get("/health/live")).json() == {"status": "ok"}
    ready = await api.http.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (200, "ok")


DEAD = "postgresql://nobody@127.0.0.1:9/none"


async def test_a_dead_database_is_503_everywhere_and_never_not_found_or_stale() -> None:
    async with Api.on(create_app(settings_for(DEAD)), TOKEN) as api:
        assert (await api.http.get("/health")).status_code == 200
        assert (await api.http.get("/health/live")).status_code == 200
        ready = await api.http.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        move = {"artifact_id": "01936f3e-7c1a-7b52-9d0e-3f6a1c2b4d5e", "expected_version": 1}
        answers = [
            await api.get("/workflows/main"),
            await api.get("/tags/main"),
            await api.get("/tags"),
            await api.get("/artifacts"),
            await api.get("/cas/blake3:" + "0" * 64),
            await api.post("/workflows", {"tag": "main", "workflow": chain("a")}),
            await api.post("/tags/main/move", move),
            await api.post("/tags/main/undo"),
            await api.post("/transactions", {"operations": [{"op": "delete", "tag": "a"}]}),
            await api.delete("/workflows/main"),
            await api.delete("/tags/main"),
            await api.post("/cas/missing", {"cas_ids": []}),
        ]
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["error"] for answer in answers} == {"storage unavailable"}
    assert all(answer.headers["retry-after"] for answer in answers)


async def test_a_database_of_another_schema_is_not_ready(fresh_database: str) -> None:
    connection = await asyncpg.connect(fresh_database)
    for statement, found in (
        ("UPDATE alembic_version SET version_num = '9999'", "9999"),
        ("DROP TABLE alembic_version", "none"),
    ):
        await connection.execute(statement)
        async with Api.on(create_app(settings_for(fresh_database)), TOKEN) as api:
            ready = await api.http.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["checks"]["schema"].startswith(f"{found}, not ")
    await connection.close()


async def test_invented_methods_make_no_series_of_their_own(api: Api) -> None:
    for number in range(5):
        await api.http.request(f"METHOD{number}", "/api/v1/tags", headers={"Authorization": ""})
    text = (await api.http.get("/metrics")).text
    assert "METHOD" not in text
    assert 'method="other"' in text


async def test_a_database_that_comes_back_is_used_again(fresh_database: str) -> None:
    app = create_app(settings_for(fresh_database, database_connections_max=3))
    async with Api.on(app, TOKEN) as api:
        await api.create("main", "a")
        await asyncio.gather(*(api.get("/tags") for _ in range(3)))
        killer = await asyncpg.connect(fresh_database)
        await killer.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await killer.close()
        answers = [(await api.get("/workflows/main")).status_code for _ in range(6)]
    assert answers == [200] * 6


async def test_metrics_count_requests_and_changes(api: Api) -> None:
    await api.create("main", "a")
    text = (await api.http.get("/metrics")).text
    assert 'orchestrator_http_requests_total{method="POST",route="/api/v1/workflows"' in text
    assert 'orchestrator_tag_changes_total{action="create"}' in text
    assert "orchestrator_blobs_stored_total" in text


async def test_metrics_of_all_workers_are_added_up(
    make_app: Callable[..., Edge], tmp_path: Path
) -> None:
    other = SharedNumbers(tmp_path)
    other.write([Row("orchestrator_blobs_stored", (), [1e15])])
    async with Api.on(make_app(metrics_folder=str(tmp_path)), TOKEN) as api:
        await api.create("main", "a")
        response = await api.http.get("/metrics")
    other.close()
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    total = re.search(r"^orchestrator_blobs_stored_total (\S+)$", response.text, re.MULTILINE)
    assert total is not None
    assert float(total[1]) > 1e15
    assert list(SharedNumbers(tmp_path).others()), "and it leaves its own for the others"
