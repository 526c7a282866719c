"""Transactions that step along tags, and those that take others back: each step failing."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orchestrator.core.database import Connection
from orchestrator.errors import StorageUnavailable
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_step import TagStepRepository
from orchestrator.repository.transaction import TransactionRepository
from tests.api import Api
from tests.test_failures import counts, dangling, observe

Act = Callable[[Api, str], Awaitable[Any]]

STEPS: list[tuple[type, str]] = [
    (IdempotencyRepository, "claim"),
    (TransactionRepository, "insert"),
    (TagRepository, "put"),
    (TagStepRepository, "step"),
    (IdempotencyRepository, "remember"),
]
KEY = {"Idempotency-Key": "k"}


async def revert(api: Api, transaction_id: str) -> Any:
    return await api.post(f"/transactions/{transaction_id}/revert", headers=KEY)


async def undo(api: Api, _: str) -> Any:
    operations = [{"op": "undo", "tag": tag} for tag in ("main", "side")]
    return await api.post("/transactions", {"operations": operations}, headers=KEY)


async def release(api: Api) -> str:
    """Two tags that were moved together."""
    for tag in ("main", "side"):
        await api.create(tag, f"{tag}-old")
    made = await api.create("next", "new")
    moves = [
        {"op": "move", "tag": tag, "artifact_id": made["artifact_id"]} for tag in ("main", "side")
    ]
    found: str = (await api.post("/transactions", {"operations": moves})).json()["transaction_id"]
    return found


@pytest.mark.parametrize("act", [revert, undo])
async def test_without_a_fault_every_step_of_the_table_is_taken(
    fresh_api: Api, database: Connection, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = await release(fresh_api)
    taken: list[tuple[type, str]] = []
    for repository, method in STEPS:
        observe(monkeypatch, repository, method, taken)
    assert (await act(fresh_api, released)).status_code == 200
    assert taken == STEPS
    assert await dangling(database) == []


@pytest.mark.parametrize("act", [revert, undo])
@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed-after-persisting"])
@pytest.mark.parametrize(
    ("repository", "method"), STEPS, ids=[f"{r.__name__}.{m}" for r, m in STEPS]
)
async def test_a_fault_in_any_step_leaves_nothing_behind(
    fresh_api: Api,
    database: Connection,
    act: Act,
    repository: type,
    method: str,
    *,
    persisted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = await release(fresh_api)
    before = await counts(database)
    original = getattr(repository, method)

    async def failing(*args: Any, **options: Any) -> Any:
        if persisted:
            await original(*args, **options)
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(repository, method, failing)
        assert (await act(fresh_api, released)).status_code == 503
    assert await counts(database) == before
    assert await dangling(database) == []
    assert (await act(fresh_api, released)).status_code == 200, "it succeeds afterwards"
    assert await dangling(database) == []
