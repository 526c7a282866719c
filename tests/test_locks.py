"""What somebody else has locked holds up those requests only that need the same thing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from uuid import UUID

import pytest

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.documents.canonical import canonicalise
from tests.api import API, Api, chain
from tests.conftest import TOKEN, settings_for

TOGETHER = 20

LOCK_TAG = "SELECT FROM tag WHERE name = $1 FOR UPDATE"
LOCK_ARTIFACT = "SELECT FROM artifact WHERE artifact_id = $1 FOR UPDATE"
INSERT_BLOB = """
INSERT INTO cas_blob (cas_id, size_bytes, media_type, content)
VALUES ($1, octet_length($2::bytea), 'text/plain', $2)
"""
INSERT_TAG = """
INSERT INTO tag (namespace, name, target_id, version, cursor, action, moved_by, moved_at)
VALUES ('default', $1, $2, 1, 1, 'create', 'somebody', now())
"""

INSERT_MOVE = """
INSERT INTO tag_move (namespace, name, seq, action, to_id, moved_by, moved_at)
VALUES ('default', $1, 1, 'create', $2, 'somebody', now())
"""
TOUCH_TAG = "UPDATE tag SET protected = protected WHERE name = $1 AND target_id <> $2"
MOVE_TAG = """
WITH moved AS (
    UPDATE tag SET version = 2, cursor = 2, action = 'move', from_id = target_id, parent_seq = 1,
                   target_id = $2
     WHERE name = $1 RETURNING *
)
INSERT INTO tag_move (namespace, name, seq, action, from_id, to_id, parent_seq, moved_by, moved_at)
SELECT namespace, name, version, action, from_id, target_id, parent_seq, moved_by, moved_at
  FROM moved
"""


@pytest.fixture
async def api(fresh_database: str) -> AsyncIterator[Api]:
    """Nobody who waits for a lock gives up before the end of a test."""
    settings = settings_for(fresh_database, database_lock_seconds_max=60)
    async with Api.on(create_app(settings), TOKEN) as api:
        yield api


async def while_locked(
    database: Connection, lock: tuple[str, *tuple[Any, ...]], *requests: Awaitable[Any]
) -> list[int]:
    """The statuses of requests of one moment. The first one needs what is locked, and is answered
    when the lock ends; the others do not wait for that.
    """
    transaction = database.transaction()
    await transaction.start()
    await database.execute(*lock)
    # While one of the others is served, all come that share a batch.
    opener, first, *others = (
        asyncio.ensure_future(requests[at]) for at in (1, 0, *range(2, len(requests)))
    )
    async with asyncio.timeout(10):
        answers = await asyncio.gather(opener, *others)
    assert not first.done()
    await transaction.rollback()
    return [answer.status_code for answer in (await first, *answers)]


def move(api: Api, tag: str, target: str, version: int = 1) -> Awaitable[Any]:
    return api.post(f"/tags/{tag}/move", {"artifact_id": target, "expected_version": version})


def create(api: Api, number: int) -> Awaitable[Any]:
    return api.post("/workflows", {"tag": f"t{number}", "workflow": chain(f"new{number}")})


def upload(api: Api, number: int) -> Awaitable[Any]:
    return api.http.post(f"{API}/cas", content=b"%d" % number)


async def targets(api: Api, *names: str) -> list[str]:
    made = await asyncio.gather(*(api.create(name, name) for name in names))
    return [each["artifact_id"] for each in made]


async def test_a_locked_tag_holds_up_no_move_of_another(api: Api, database: Connection) -> None:
    (target, *_) = await targets(api, "target", *(f"t{number}" for number in range(TOGETHER)))
    statuses = await while_locked(
        database,
        (LOCK_TAG, "t0"),
        move(api, "t0", target),
        move(api, "absent", target),
        move(api, "t1", target, 7),
        *(move(api, f"t{number}", target) for number in range(1, TOGETHER)),
    )
    assert statuses == [200, 404, 409] + [200] * (TOGETHER - 1)


async def test_a_locked_target_is_not_taken_for_an_absent_one(
    api: Api, database: Connection
) -> None:
    names = [f"t{number}" for number in range(TOGETHER)]
    locked, target, *_ = await targets(api, "locked", "target", *names)
    statuses = await while_locked(
        database,
        (LOCK_ARTIFACT, UUID(locked)),
        move(api, "t0", locked),
        *(move(api, name, target) for name in names[1:]),
    )
    assert statuses == [200] * TOGETHER


@pytest.mark.parametrize("what", ["tag", "new tag", "content"])
async def test_what_is_locked_holds_up_no_other_create(
    api: Api, database: Connection, what: str
) -> None:
    target, *_ = await targets(api, "target", *(["t0"] if what == "tag" else []))
    content = canonicalise(chain("new0"))
    locks: dict[str, tuple[Any, ...]] = {
        "tag": (LOCK_TAG, "t0"),
        "new tag": (INSERT_TAG, "t0", UUID(target)),
        "content": (INSERT_BLOB, CasId.of(content).raw, content),
    }
    requests = [create(api, number) for number in range(TOGETHER)]
    assert await while_locked(database, locks[what], *requests) == [201] * TOGETHER


async def test_a_locked_blob_holds_up_no_other_upload(api: Api, database: Connection) -> None:
    await api.create("main", "a")
    requests = [upload(api, number) for number in range(TOGETHER)]
    lock = (INSERT_BLOB, CasId.of(b"0").raw, b"0")
    assert await while_locked(database, lock, *requests) == [201] * TOGETHER


async def test_of_many_that_wait_for_a_locked_tag_one_moves_it(
    api: Api, database: Connection
) -> None:
    (target, _) = await targets(api, "target", "t0")
    async with database.transaction():
        await database.execute(LOCK_TAG, "t0")
        moving = [asyncio.ensure_future(move(api, "t0", target)) for _ in range(10)]
        await asyncio.sleep(0.2)
        assert not any(each.done() for each in moving)
    statuses = [answer.status_code for answer in await asyncio.gather(*moving)]
    assert sorted(statuses) == [200] + [409] * 9
    history = (await api.get("/tags/t0/history")).json()["items"]
    assert [each["action"] for each in history] == ["move", "create"]


async def test_who_waits_too_long_for_a_lock_is_told_what_is_in_the_way(
    fresh_database: str, database: Connection
) -> None:
    settings = settings_for(fresh_database, database_lock_seconds_max=0.2)
    async with Api.on(create_app(settings), TOKEN) as api:
        target, _ = await targets(api, "target", "t0")
        async with database.transaction():
            await database.execute(LOCK_TAG, "t0")
            answers = await asyncio.gather(
                move(api, "t0", target), create(api, 0), api.post("/tags/t0/undo")
            )
    assert {answer.status_code for answer in answers} == {503}
    assert all("nother request" in answer.json()["detail"] for answer in answers)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)


async def test_writes_that_wait_for_locks_leave_reads_and_other_namespaces_their_connections(
    fresh_database: str, database: Connection
) -> None:
    """More of them than there are connections, all in the way of each other."""
    settings = settings_for(
        fresh_database, database_connections_max=6, database_acquire_seconds_max=20
    )
    async with Api.on(create_app(settings), TOKEN) as api:
        names = [f"t{number}" for number in range(TOGETHER)]
        target, *_ = await targets(api, "target", *names)
        moves = [{"op": "move", "tag": name, "artifact_id": target} for name in names]
        async with database.transaction():
            await database.execute(LOCK_TAG, "t0")
            waiting = [
                asyncio.ensure_future(api.post("/transactions", {"operations": moves}))
                for _ in range(16)
            ]
            await asyncio.sleep(0.1)
            async with asyncio.timeout(5):
                answers = await asyncio.gather(
                    api.get("/tags/t1"),
                    api.get("/workflows/t1"),
                    api.http.get("/health/ready"),
                    create(api, 100),
                    api.put(
                        "/tags/main?namespace=other",
                        {"artifact_id": "00000000-0000-7000-8000-000000000000"},
                    ),
                )
            assert not any(each.done() for each in waiting)
        done = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 201, 404]
    assert {answer.status_code for answer in done} == {200}


@pytest.mark.parametrize(("change", "expected"), [(TOUCH_TAG, 200), (MOVE_TAG, 409)])
async def test_what_the_other_one_did_counts_for_who_waited(
    api: Api, database: Connection, change: str, expected: int
) -> None:
    target, other, *_ = await targets(api, "target", "other", "t0", "t1")
    async with database.transaction():
        await database.execute(change, "t0", UUID(other))
        waiting = asyncio.ensure_future(move(api, "t0", target))
        async with asyncio.timeout(10):
            assert (await move(api, "t1", target)).status_code == 200
        assert not waiting.done()
    assert (await waiting).status_code == expected


async def test_of_creates_that_wait_for_a_tag_that_somebody_creates_each_moves_it(
    api: Api, database: Connection
) -> None:
    (target,) = await targets(api, "target")
    async with database.transaction():
        await database.execute(INSERT_TAG, "t0", UUID(target))
        await database.execute(INSERT_MOVE, "t0", UUID(target))
        creating = [
            asyncio.ensure_future(
                api.post("/workflows", {"tag": "t0", "workflow": chain(f"n{number}")})
            )
            for number in range(5)
        ]
        await asyncio.sleep(0.2)
        assert not any(each.done() for each in creating)
    assert {answer.status_code for answer in await asyncio.gather(*creating)} == {201}
    history = (await api.get("/tags/t0/history")).json()["items"]
    assert [each["seq"] for each in history] == [6, 5, 4, 3, 2, 1]
    assert [each["action"] for each in history] == ["move"] * 5 + ["create"]


async def test_writes_of_many_namespaces_that_wait_leave_shared_statements_their_connections(
    api: Api, database: Connection
) -> None:
    (target, _) = await targets(api, "target", "t1")
    options = [{"params": {"namespace": f"space-{number}"}} for number in range(12)]
    for each in options:
        body = {"tag": "t0", "workflow": chain("a")}
        assert (await api.post("/workflows", body, **each)).status_code == 201
    async with database.transaction():
        await database.execute(LOCK_TAG, "t0")
        waiting = [asyncio.ensure_future(api.post("/tags/t0/undo", **each)) for each in options]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(4):  # Less than a request waits for a connection.
            answers = await asyncio.gather(
                move(api, "t1", target), create(api, 2), upload(api, 3), api.get("/tags")
            )
        assert not any(each.done() for each in waiting)
    assert [answer.status_code for answer in answers] == [200, 201, 201, 200]
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {409}
