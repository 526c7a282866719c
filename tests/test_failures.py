"""Both orchestration patterns, each step failing and each step failing after it persisted."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orchestrator.core.database import Connection
from orchestrator.errors import StorageUnavailable
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.repository.tag import TagRepository
from tests.api import Api, chain

#: Every write that a create which revises a tag makes, in order.
STEPS: list[tuple[type, str]] = [
    (IdempotencyRepository, "claim"),
    (CASRepository, "insert"),
    (ArtifactRepository, "insert"),
    (TagRepository, "put"),
    (LineageRepository, "insert"),
    (IdempotencyRepository, "remember"),
]


async def create(api: Api) -> Any:
    body = {"tag": "main", "workflow": chain("new"), "message": "m"}
    return await api.post("/workflows", body, headers={"Idempotency-Key": "k"})


async def transact(api: Api) -> Any:
    operation = {"op": "create_workflow", "tag": "main", "workflow": chain("new")}
    body = {"operations": [operation], "message": "m"}
    return await api.post("/transactions", body, headers={"Idempotency-Key": "k"})


PATTERNS = [pytest.param(create, id="orchestrator"), pytest.param(transact, id="direct")]


DANGLING = """
SELECT 'tag without its move' FROM tag t LEFT JOIN tag_move m
    ON (m.namespace, m.name, m.seq) = (t.namespace, t.name, t.version) WHERE m.seq IS NULL
UNION ALL
SELECT 'move out of sequence' FROM (
    SELECT seq, row_number() OVER (PARTITION BY namespace, name ORDER BY seq) AS expected
      FROM tag_move) m WHERE seq <> expected
UNION ALL
SELECT 'move to another target than the tag' FROM tag t JOIN tag_move m
    ON (m.namespace, m.name, m.seq) = (t.namespace, t.name, t.version)
 WHERE m.to_id IS DISTINCT FROM t.target_id OR m.action <> t.action
UNION ALL
SELECT 'move from another target than the one before' FROM (
    SELECT from_id, lag(to_id) OVER (PARTITION BY namespace, name ORDER BY seq) AS before
      FROM tag_move) m WHERE from_id IS DISTINCT FROM before
UNION ALL
SELECT 'blob that nothing holds' FROM cas_blob b
 WHERE NOT EXISTS (SELECT FROM artifact a WHERE b.cas_id IN (a.cas_id, a.version_hash))
   AND NOT EXISTS (SELECT FROM cas_lease l WHERE l.cas_id = b.cas_id)
UNION ALL
SELECT 'artifact that no tag ever named' FROM artifact a
 WHERE NOT EXISTS (SELECT FROM tag_move m WHERE m.to_id = a.artifact_id)
   AND NOT EXISTS (SELECT FROM artifact_retained r WHERE r.artifact_id = a.artifact_id)
UNION ALL
SELECT 'key without its answer' FROM idempotency_key WHERE status IS NULL
"""


async def counts(database: Connection) -> dict[str, int]:
    tables = (
        "cas_blob",
        "artifact",
        "lineage",
        "transaction",
        "tag",
        "tag_move",
        "idempotency_key",
    )
    return {table: await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


async def dangling(database: Connection) -> list[str]:
    return [row[0] for row in await database.fetch(DANGLING)]


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_without_a_fault_every_step_of_the_table_is_taken(
    fresh_api: Api,
    database: Connection,
    pattern: Callable[[Api], Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fresh_api.create("main", "old")
    taken: list[tuple[type, str]] = []
    for repository, method in STEPS:
        observe(monkeypatch, repository, method, taken)
    assert (await pattern(fresh_api)).status_code < 300
    assert taken == STEPS
    assert await dangling(database) == []


def observe(
    monkeypatch: pytest.MonkeyPatch,
    repository: type,
    method: str,
    taken: list[tuple[type, str]],
) -> None:
    original = getattr(repository, method)

    async def observed(*args: Any, **options: Any) -> Any:
        taken.append((repository, method))
        return await original(*args, **options)

    monkeypatch.setattr(repository, method, observed)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed-after-persisting"])
@pytest.mark.parametrize(
    ("repository", "method"), STEPS, ids=[f"{r.__name__}.{m}" for r, m in STEPS]
)
@pytest.mark.parametrize("fault", [StorageUnavailable, ZeroDivisionError], ids=["storage", "bug"])
async def test_a_fault_in_any_step_leaves_nothing_behind(
    fresh_api: Api,
    database: Connection,
    pattern: Callable[[Api], Awaitable[Any]],
    repository: type,
    method: str,
    *,
    persisted: bool,
    fault: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fresh_api.create("main", "old")
    before = await counts(database)
    original = getattr(repository, method)

    async def failing(*args: Any, **options: Any) -> Any:
        if persisted:
            await original(*args, **options)
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(repository, method, failing)
        response = await pattern(fresh_api)
    assert response.status_code == (503 if fault is StorageUnavailable else 500)
    assert await counts(database) == before
    assert await dangling(database) == []
    assert (await pattern(fresh_api)).status_code < 300, "the same request succeeds afterwards"
    assert await dangling(database) == []


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_connection_that_dies_before_the_commit_leaves_nothing_behind(
    fresh_api: Api,
    database: Connection,
    pattern: Callable[[Api], Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fresh_api.create("main", "old")
    before = await counts(database)
    original = IdempotencyRepository.remember

    async def killed(self: Any, conn: Connection, *args: Any) -> None:
        await original(self, conn, *args)
        await database.execute("SELECT pg_terminate_backend($1)", conn.get_server_pid())

    with monkeypatch.context() as patched:
        patched.setattr(IdempotencyRepository, "remember", killed)
        response = await pattern(fresh_api)
    assert response.status_code == 503
    assert await counts(database) == before
    assert await dangling(database) == []


async def test_the_checker_finds_what_it_is_for(fresh_api: Api, database: Connection) -> None:
    await fresh_api.create("main", "old")
    await database.execute("ALTER TABLE tag_move DISABLE TRIGGER ALL; DELETE FROM tag_move")
    found = await dangling(database)
    assert {"tag without its move", "artifact that no tag ever named"} <= set(found)
