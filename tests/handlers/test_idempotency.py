"""`Idempotency-Key` on every POST, on the real application and database."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.handlers.http.edge import Edge
from tests.api import Api, chain
from tests.conftest import TOKEN


async def posts(api: Api) -> dict[str, tuple[Any, Any]]:
    """For every POST: a body, and another one."""
    a = (await api.create("tag", "a"))["artifact_id"]
    b = (await api.create("tag", "b"))["artifact_id"]
    name = "blake3:" + "0" * 64
    delete = {"operations": [{"op": "delete", "tag": "tag"}]}
    return {
        "/workflows": (
            {"tag": "new", "workflow": chain("x")},
            {"tag": "new", "workflow": chain("y")},
        ),
        "/tags/tag/move": ({"artifact_id": a}, {"artifact_id": b}),
        "/tags/tag/undo": ({}, {"message": "other"}),
        "/transactions": (delete, {**delete, "message": "other"}),
        "/cas": ("one", "two"),
        "/cas/missing": ({"cas_ids": [name]}, {"cas_ids": []}),
        "/gc": ({"dry_run": True}, {"dry_run": True, "explain": True}),
    }


PATHS = [
    "/workflows",
    "/tags/tag/move",
    "/tags/tag/undo",
    "/transactions",
    "/cas",
    "/cas/missing",
    "/gc",
]


@pytest.mark.parametrize("path", PATHS)
async def test_the_same_request_again_is_given_the_first_answer(api: Api, path: str) -> None:
    body, other = (await posts(api))[path]
    headers = {"Idempotency-Key": str(uuid4())}
    first = await api.post(path, body, headers=headers)
    assert first.status_code < 300, first.text
    again = await api.post(path, body, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("content-type", "etag", "location"):
        assert again.headers.get(name) == first.headers.get(name)
    reused = await api.post(path, other, headers=headers)
    assert (reused.status_code, reused.json()["error"]) == (422, "idempotency key reused")


async def test_a_repeated_request_has_its_effect_once(api: Api) -> None:
    for tag in "abc":
        await api.create("main", tag)
    headers = {"Idempotency-Key": str(uuid4())}
    for _ in range(3):
        response = await api.post("/tags/main/undo", headers=headers)
        assert response.json()["version"] == 4
    assert (await api.get("/tags/main")).json()["version"] == 4


async def test_many_at_once_with_one_key_have_one_effect(api: Api) -> None:
    for tag in "abcdefgh":
        await api.create("main", tag)
    headers = {"Idempotency-Key": str(uuid4())}
    answers = await asyncio.gather(
        *(api.post("/tags/main/undo", headers=headers) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (await api.get("/tags/main")).json()["version"] == 9


async def test_a_refused_request_keeps_nothing_and_may_be_sent_again(api: Api) -> None:
    a = (await api.create("source", "a"))["artifact_id"]
    headers = {"Idempotency-Key": str(uuid4())}
    refused = await api.post("/tags/main/move", {"artifact_id": a}, headers=headers)
    assert refused.status_code == 404
    await api.create("main", "b")
    accepted = await api.post("/tags/main/move", {"artifact_id": a}, headers=headers)
    assert accepted.status_code == 200


async def test_the_same_key_for_another_operation_is_refused(api: Api) -> None:
    await api.create("one", "a")
    await api.create("one", "b")
    headers = {"Idempotency-Key": str(uuid4())}
    assert (await api.post("/tags/one/undo", headers=headers)).status_code == 200
    assert (await api.post("/tags/one/redo", headers=headers)).status_code == 422


@pytest.mark.parametrize("key", ["", "has space", "x" * 256, "é"])
async def test_a_malformed_key_is_400(api: Api, key: str) -> None:
    response = await api.post(
        "/cas/missing", {"cas_ids": []}, headers={"Idempotency-Key": key.encode()}
    )
    assert response.status_code == 400


async def test_a_key_is_free_again_once_it_expired(make_app: Callable[..., Edge]) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    async with Api.on(make_app(idempotency_seconds=-1), TOKEN) as api:
        for tag in ("one", "two"):
            body = {"tag": tag, "workflow": chain("a")}
            assert (await api.post("/workflows", body, headers=headers)).status_code == 201
