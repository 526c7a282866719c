"""What memory may answer on the short way, and how soon it sees what another server did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from orchestrator.app import create_app
from tests.api import API, Api, chain, path
from tests.conftest import TOKEN, settings_for
from tests.handlers.http.two_ways import BLOB


async def uploaded(api: Api, content: bytes = BLOB) -> str:
    answer = await api.http.post(f"{API}/cas", content=content)
    assert answer.status_code == 201
    where = f"/cas/{answer.json()['cas_id']}"
    assert (await api.get(where)).content == content
    return where


@pytest.mark.parametrize(
    ("changed", "served"),
    [
        ({}, True),
        ({"blob_cache_seconds": 0}, False),
        ({"blob_cache_seconds": 0.05}, False),
        ({"blob_cache_bytes_max": 0}, False),
    ],
)
async def test_a_blob_that_nothing_holds_any_more_is_served_so_long_and_no_longer(
    fresh_database: str, database: asyncpg.Connection, changed: dict[str, Any], *, served: bool
) -> None:
    async with Api.on(create_app(settings_for(fresh_database, **changed)), TOKEN) as api:
        where = await uploaded(api)
        await database.execute("UPDATE cas_lease SET expires_at = created_at")
        await asyncio.sleep(changed.get("blob_cache_seconds", 0))
        answer = await api.get(where)
        assert answer.status_code == (200 if served else 404)
        assert (answer.content == BLOB) is served
        # Who says more than the name is not answered from memory.
        assert (await api.get(where, headers={"Range": "bytes=0-"})).status_code == 404


async def test_what_memory_holds_is_for_the_namespace_that_may_see_it(fresh_api: Api) -> None:
    where = await uploaded(fresh_api)
    for _ in range(2):
        assert (await fresh_api.get(where)).status_code == 200
        assert (await fresh_api.get(f"{where}?namespace=other")).status_code == 404


@pytest.mark.parametrize("bytes_max", [0, 1_000_000])
async def test_damaged_bytes_are_never_served(
    fresh_database: str, database: asyncpg.Connection, bytes_max: int
) -> None:
    settings = settings_for(fresh_database, blob_cache_bytes_max=bytes_max)
    async with Api.on(create_app(settings), TOKEN) as api:
        where = await uploaded(api)
        await database.execute("UPDATE cas_blob SET content = 'SOME BYTES'")
        for _ in range(2):
            answer = await api.get(where)
            if bytes_max:
                assert answer.content == BLOB, "what is in memory is right"
            else:
                assert answer.status_code == 500
        if bytes_max:
            # Another name of the same is another entry, which is not there.
            quoted = where.replace("blake3:", "blake3%3A")
            assert (await api.get(quoted)).status_code == 500


@pytest.mark.parametrize("bytes_max", [0, 1_000_000])
async def test_a_damaged_workflow_is_never_served(
    fresh_database: str, database: asyncpg.Connection, bytes_max: int
) -> None:
    settings = settings_for(fresh_database, document_cache_bytes_max=bytes_max)
    async with Api.on(create_app(settings), TOKEN) as api:
        await api.create("main", "a")
        wanted = (await api.get("/workflows/main")).json()
        await database.execute(
            "UPDATE cas_blob SET content = content || ' '::bytea, size_bytes = size_bytes + 1"
        )
        answer = await api.get("/workflows/main")
        if bytes_max:
            assert answer.json() == wanted, "what is in memory is right"
        else:
            assert answer.status_code == 500


@pytest.fixture
async def two(fresh_database: str) -> AsyncIterator[tuple[Api, Api]]:
    """Two servers on one database."""
    settings = settings_for(fresh_database)
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(Api.on(create_app(settings), TOKEN)) for _ in "ab"
        ]
        yield one, other


async def looked_up(api: Api, tag: str = "main") -> tuple[list[str], int, str]:
    answer = await api.get(f"/workflows/{path(tag)}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert answer.headers["etag"] == f'"{body["version_hash"]}"'
    same = await api.get(
        f"/workflows/{path(tag)}", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert same.status_code == 304
    return [node["id"] for node in body["workflow"]["nodes"]], body["tag_version"], body["moved_by"]


async def test_a_tag_that_another_server_moved_is_never_answered_from_memory(
    two: tuple[Api, Api],
) -> None:
    one, other = two
    first = await one.create("main", "a")
    for _ in range(2):
        assert (await looked_up(one))[:2] == (["a"], 1)
    second = await other.create("main", "b")
    assert (await looked_up(one))[:2] == (["b"], 2)
    old = {"If-None-Match": f'"{first["version_hash"]}"'}
    assert (await one.get("/workflows/main", headers=old)).status_code == 200

    back = {"artifact_id": first["artifact_id"], "message": "back"}
    assert (await other.post("/tags/main/move", back)).status_code == 200
    assert (await looked_up(one))[:2] == (["a"], 3)
    assert (await one.get("/workflows/main")).json()["message"] == "back"

    assert (await other.post("/tags/main/undo")).status_code == 200
    assert (await looked_up(one))[:2] == (["b"], 4)
    assert (await other.post("/tags/main/redo")).status_code == 200
    assert (await looked_up(one))[:2] == (["a"], 5)

    operations = [
        {"op": "add", "path": "/nodes/-", "value": {"id": "p", "type": "task"}},
        {"op": "add", "path": "/edges/-", "value": {"from": "a", "to": "p"}},
    ]
    patched = await other.http.patch(
        f"{API}/workflows/main",
        json=operations,
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert patched.status_code < 300, patched.text
    assert (await looked_up(one))[:2] == (["a", "p"], 6)

    put = await other.put("/tags/main", {"artifact_id": second["artifact_id"]})
    assert put.status_code == 200
    assert (await looked_up(one))[:2] == (["b"], 7)


async def test_a_tag_that_another_server_deleted_is_not_found_and_comes_back_as_it_is_now(
    two: tuple[Api, Api],
) -> None:
    one, other = two
    await one.create("main", "a")
    await looked_up(one)
    assert (await other.delete("/tags/main")).status_code == 200
    assert (await one.get("/workflows/main")).status_code == 404
    await other.create("main", "a", message="again")
    assert (await looked_up(one))[:2] == (["a"], 3)
    assert (await one.get("/workflows/main")).json()["message"] == "again"


async def test_lookups_that_come_together_each_get_their_own(two: tuple[Api, Api]) -> None:
    one, other = two
    for number in range(20):
        await one.create(f"t{number}", f"n{number}")
    await asyncio.gather(*(one.get(f"/workflows/t{number}") for number in range(10)))
    await asyncio.gather(*(other.create(f"t{number}", f"m{number}") for number in range(0, 20, 3)))
    await other.delete("/tags/t1")
    asked = [f"t{number % 22}" for number in range(60)]
    answers = await asyncio.gather(*(one.get(f"/workflows/{tag}") for tag in asked))
    for tag, answer in zip(asked, answers, strict=True):
        number = int(tag[1:])
        if number in {1, 20, 21}:
            assert answer.status_code == 404
            assert tag in answer.json()["detail"]
        else:
            body = answer.json()
            assert body["tag"] == tag
            assert body["workflow"] == chain(f"{'n' if number % 3 else 'm'}{number}")
