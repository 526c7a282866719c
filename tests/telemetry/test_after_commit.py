"""Events of a transaction are logged and counted when it committed, not before."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.app import create_app
from orchestrator.core.database import Connection, Database
from orchestrator.errors import Contended, StorageUnavailable
from orchestrator.models.principal import Actor
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.workflow import WorkflowRepository
from orchestrator.telemetry import logs
from orchestrator.telemetry.after_commit import tell
from tests.api import ANN, Api, chain
from tests.conftest import TOKEN, logged, settings_for


@pytest.fixture
async def database(shared_database: str) -> AsyncIterator[Database]:
    database = Database(shared_database)
    async with database.opened():
        yield database


async def test_outside_of_a_transaction_an_event_is_logged_at_once(database: Database) -> None:
    counted: list[int] = []
    tell(None, "it happened", lambda: counted.append(1), by=ANN)
    assert counted == [1]
    for lend in (database.connection, database.write):
        async with lend() as conn:
            tell(conn, "it happened", lambda: counted.append(2), by=ANN)
            assert counted.pop() == 2


async def test_inside_it_waits_for_the_commit(database: Database) -> None:
    counted: list[int] = []
    async with database.transaction() as conn:
        tell(conn, "it happened", lambda: counted.append(1), by=ANN)
        tell(conn, "and again", lambda: counted.append(2), by=ANN)
        assert counted == []
    assert counted == [1, 2]


async def test_a_block_that_raises_logs_nothing(database: Database) -> None:
    counted: list[int] = []

    async def fail() -> None:
        async with database.transaction() as conn:
            tell(conn, "it never happened", lambda: counted.append(1), by=ANN)
            raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        await fail()
    assert counted == []
    async with database.transaction() as conn:
        tell(conn, "something else", lambda: counted.append(2), by=ANN)
    assert counted == [2]


async def test_a_commit_that_is_lost_logs_nothing(database: Database) -> None:
    counted: list[int] = []

    async def lose(conn: Connection) -> None:
        tell(conn, "nobody knows", lambda: counted.append(1), by=ANN)
        conn.terminate()

    with pytest.raises(StorageUnavailable):
        async with database.transaction() as conn:
            await lose(conn)
    assert counted == []


async def test_a_line_has_the_id_of_the_request_that_it_is_about(
    database: Database, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    logs.configure("info")
    logs.correlation_id.set("of-the-task")
    async with database.transaction() as conn:
        tell(conn, "one", by=Actor("ann", "first"))
        tell(conn, "two", by=Actor("bob", "second"))
        tell(conn, "three", by=None)
    lines = [json.loads(line) for line in logged(capfdbinary).splitlines()]
    assert [(line["message"], line["correlation_id"]) for line in lines] == [
        ("one", "first"),
        ("two", "second"),
        ("three", "of-the-task"),
    ]


@pytest.mark.parametrize("fails", [False, True], ids=["together", "one-by-one"])
async def test_requests_that_share_a_commit_are_logged_with_their_own_ids(
    api: Api,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    *,
    fails: bool,
) -> None:
    if fails:
        _fail_together(monkeypatch, WorkflowRepository, "create_new")
        _fail_together(monkeypatch, TagRepository, "put_briefly")
    numbers = range(6)
    ids: dict[int, str] = {}

    async def create(number: int) -> None:
        body = {"tag": f"t{number}", "workflow": chain(f"n{number}")}
        answer = await api.post(
            "/workflows", body, headers={"X-Correlation-Id": f"create-{number}"}
        )
        ids[number] = answer.json()["artifact_id"]

    async def move(number: int) -> None:
        body = {"artifact_id": ids[(number + 1) % 6]}
        headers = {"X-Correlation-Id": f"move-{number}"}
        await api.post(f"/tags/t{number}/move", body, headers=headers)

    logged(capfdbinary)
    await asyncio.gather(*(create(number) for number in numbers))
    await asyncio.gather(*(move(number) for number in numbers))
    lines: list[dict[str, Any]] = [json.loads(line) for line in logged(capfdbinary).splitlines()]
    told = {
        (line["tag"], line["message"]): line["correlation_id"] for line in lines if "tag" in line
    }
    assert told == {
        (f"t{number}", f"{event} tag"): f"{act}-{number}"
        for number in numbers
        for act, event in (("create", "created"), ("move", "moved"))
    }


def _fail_together(monkeypatch: pytest.MonkeyPatch, repository: type, method: str) -> None:
    """Let the statement that several share fail, so that each is served by itself."""
    original = getattr(repository, method)

    async def failing(this: Any, conn: Connection, several: Any, *rest: Any) -> Any:
        if len(several) > 1:
            raise Contended
        return await original(this, conn, several, *rest)

    monkeypatch.setattr(repository, method, failing)


async def test_a_transaction_that_failed_leaves_no_trace_in_log_and_metrics(
    capfdbinary: pytest.CaptureFixture[bytes], shared_database: str, namespace: str
) -> None:
    settings = settings_for(shared_database, namespace_default=namespace)
    async with Api.on(create_app(settings), TOKEN) as api:

        async def deletes() -> float:
            """A count that nothing was added to yet may be missing."""
            lines = (await api.http.get("/metrics")).text.splitlines()
            name = 'orchestrator_tag_changes_total{action="delete"} '
            return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

        await api.create("main", "a")
        before = await deletes()
        logged(capfdbinary)
        operations: list[dict[str, Any]] = [
            {"op": "create_workflow", "tag": "a", "workflow": chain("never")},
            {"op": "delete", "tag": "main"},
            {"op": "delete", "tag": "nope"},
        ]
        refused = await api.post("/transactions", {"operations": operations})
        assert refused.status_code == 404
        lines = [json.loads(line) for line in logged(capfdbinary).splitlines()]
        assert [line["message"] for line in lines] == ["request"]
        assert await deletes() == before
