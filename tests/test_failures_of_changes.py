"""Every other write of several steps: each step failing, and each failing after it persisted."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from orchestrator.core.database import Connection
from orchestrator.errors import StorageUnavailable
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_step import TagStepRepository
from tests.api import Api
from tests.handlers.patching import patch, timeout
from tests.test_failures import counts, dangling, observe

WRITES: list[tuple[type, str]] = [
    (IdempotencyRepository, "claim"),
    (IdempotencyRepository, "remember"),
    (CASRepository, "insert"),
    (CASRepository, "put_lease"),
    (ArtifactRepository, "insert"),
    (LineageRepository, "insert"),
    (TagRepository, "put"),
    (TagStepRepository, "step"),
]
KEY = {"Idempotency-Key": "once"}


async def patching(api: Api) -> Any:
    return await patch(api, "main", [timeout(9)], headers=KEY)


async def merging(api: Api) -> Any:
    return await api.post("/workflows/main/merge", {"from": "side"}, headers=KEY)


async def picking(api: Api) -> Any:
    return await api.post("/workflows/main/cherry-pick", {"version": "side"}, headers=KEY)


async def compacting(api: Api) -> Any:
    return await api.post("/workflows/main/compact", {"move": True}, headers=KEY)


async def undoing(api: Api) -> Any:
    return await api.post("/tags/main/undo", headers=KEY)


async def deleting(api: Api) -> Any:
    return await api.delete("/tags/main")


async def uploading(api: Api) -> Any:
    return await api.http.post("/api/v1/cas", content=b"new bytes", headers=KEY)


CHANGES: dict[str, tuple[Callable[[Api], Awaitable[Any]], int]] = {
    "patch": (patching, 6),
    "merge": (merging, 7),
    "cherry-pick": (picking, 7),
    "compact": (compacting, 5),
    "undo": (undoing, 4),
    "delete": (deleting, 1),
    "upload": (uploading, 4),
}


async def prepare(api: Api) -> None:
    """main and side, one patch each on the same base."""
    base = await api.create("main", "a", "b")
    await api.put("/tags/side", {"artifact_id": base["artifact_id"]})
    await patch(api, "main", [timeout(1)])
    await patch(api, "side", [timeout(2, 1)])


@pytest.mark.parametrize("name", CHANGES)
async def test_a_fault_in_any_step_of_a_change_leaves_nothing_behind(
    fresh_api: Api, fresh_database: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, steps_expected = CHANGES[name]
    await prepare(fresh_api)
    database = await asyncpg.connect(fresh_database, connection_class=Connection)
    before = await counts(database)
    state = (await fresh_api.get("/workflows/main")).content
    # A last step that fails after all others: what was taken is the table, and nothing remains.
    taken: list[tuple[type, str]] = []
    with monkeypatch.context() as patched:
        for repository, method in WRITES:
            observe(patched, repository, method, taken)
        patched.setattr("asyncpg.transaction.Transaction._Transaction__commit", refuse)
        assert (await change(fresh_api)).status_code == 503
    assert len(taken) == steps_expected, taken
    for at in range(len(taken)):
        for persisted in (False, True):
            with monkeypatch.context() as patched:
                fail_at(patched, at, persisted=persisted)
                response = await change(fresh_api)
            assert response.status_code == 503, (taken[at], persisted)
            assert await counts(database) == before, (taken[at], persisted)
            assert await dangling(database) == []
            assert (await fresh_api.get("/workflows/main")).content == state
    assert (await change(fresh_api)).status_code < 300, "the same request succeeds afterwards"
    assert await dangling(database) == []
    await database.close()


async def refuse(transaction: Any) -> None:
    await transaction._Transaction__rollback()
    raise StorageUnavailable


def fail_at(patched: pytest.MonkeyPatch, number: int, *, persisted: bool) -> None:
    """Let the write of this number fail, before or after it was made."""
    made = 0

    def failing(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def write(*args: Any, **options: Any) -> Any:
            nonlocal made
            made += 1
            if made - 1 != number:
                return await original(*args, **options)
            if persisted:
                await original(*args, **options)
            raise StorageUnavailable

        return write

    for repository, method in WRITES:
        patched.setattr(repository, method, failing(getattr(repository, method)))
