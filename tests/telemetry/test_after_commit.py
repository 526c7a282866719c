"""What is told inside a transaction is logged and counted when it committed, not before."""

import json
from typing import Any

import pytest

from orchestrator.app import create_app
from orchestrator.telemetry.after_commit import held_until_commit, tell
from tests.api import Api, chain
from tests.conftest import TOKEN, logged, settings_for


def test_outside_of_a_transaction_a_fact_is_told_at_once() -> None:
    counted: list[int] = []
    tell("it happened", lambda: counted.append(1))
    assert counted == [1]


def test_inside_it_waits_for_the_end_of_the_block() -> None:
    counted: list[int] = []
    with held_until_commit():
        tell("it happened", lambda: counted.append(1))
        assert counted == []
    assert counted == [1]


def test_a_block_that_raises_told_nothing() -> None:
    counted: list[int] = []
    with pytest.raises(ZeroDivisionError), held_until_commit():
        tell("it never happened", lambda: counted.append(1))
        raise ZeroDivisionError
    assert counted == []
    tell("something else", lambda: counted.append(2))
    assert counted == [2]


async def test_a_transaction_that_failed_leaves_no_trace_in_log_and_metrics(
    capfdbinary: pytest.CaptureFixture[bytes], shared_database: str, namespace: str
) -> None:
    settings = settings_for(shared_database, namespace_default=namespace)
    async with Api.on(create_app(settings), TOKEN) as api:

        async def deletes() -> str:
            lines = (await api.http.get("/metrics")).text.splitlines()
            name = 'orchestrator_tag_changes_total{action="delete"}'
            return "".join(line for line in lines if line.startswith(name))

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
