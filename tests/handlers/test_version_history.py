"""Blame and the history of a node over HTTP, on the real application and database."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from orchestrator.handlers.http.edge import Edge
from tests.api import Api, chain
from tests.conftest import TOKEN

PATCH_TYPE = {"Content-Type": "application/json-patch+json"}


async def patch(api: Api, tag: str, *operations: Any, message: str = "") -> dict[str, Any]:
    query = f"?{urlencode({'message': message})}" if message else ""
    response = await api.http.patch(
        f"/api/v1/workflows/{tag}{query}", json=list(operations), headers=PATCH_TYPE
    )
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def set_member(index: int, name: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/nodes/{index}/{name}", "value": value}


async def events(api: Api, tag: str, node: str, limit: int = 100) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        query = urlencode({"limit": limit, **({"cursor": cursor} if cursor else {})})
        page = await api.get(f"/workflows/{tag}/nodes/{node}/history?{query}")
        assert page.status_code == 200, page.text
        assert page.json()["truncated"] is False
        found += page.json()["items"]
        cursor = page.json()["next"]
    return found


async def test_each_node_and_edge_is_blamed_on_the_version_that_made_it_so(api: Api) -> None:
    made = await api.create("main", "a", "b", "c", message="start")
    changed = await patch(api, "main", set_member(1, "n", 1), message="be patient")
    head = await patch(api, "main", set_member(2, "n", 2))
    response = await api.get("/workflows/main/blame")
    assert response.status_code == 200
    body = response.json()
    assert (body["artifact_id"], body["version_hash"], body["truncated"]) == (
        head["artifact_id"],
        head["version_hash"],
        False,
    )
    assert body["nodes"]["a"] == {
        "version_hash": made["version_hash"],
        "artifact_id": made["artifact_id"],
        "changed_by": "admin",
        "changed_at": made["created_at"],
        "message": "start",
    }
    assert body["nodes"]["b"]["artifact_id"] == changed["artifact_id"]
    assert body["nodes"]["b"]["message"] == "be patient"
    assert body["nodes"]["c"]["artifact_id"] == head["artifact_id"]
    assert body["edges"] == {"a->b": body["nodes"]["a"], "b->c": body["nodes"]["a"]}
    same = {"If-None-Match": response.headers["etag"]}
    assert (await api.get("/workflows/main/blame", headers=same)).status_code == 304


async def test_blame_goes_through_revisions_merges_and_compactions(api: Api) -> None:
    made = await api.create("main", "a", "b", "c")
    await api.put("/tags/side", {"from": "main"})
    side = await patch(api, "side", set_member(0, "n", 1))
    main = await patch(api, "main", set_member(1, "n", 1))
    merge = await api.post("/workflows/main/merge", {"from": "side"})
    assert merge.status_code == 200, merge.text
    assert (await api.post("/workflows/main/compact", {"move": True})).status_code == 200
    revised = chain("a", "b", "c", "d")
    revised["nodes"][0]["n"] = revised["nodes"][1]["n"] = 1
    assert (await api.post("/workflows", {"tag": "main", "workflow": revised})).status_code == 201
    head = (await api.get("/workflows/main")).json()
    nodes = (await api.get("/workflows/main/blame")).json()["nodes"]
    assert {key: each["artifact_id"] for key, each in nodes.items()} == {
        "a": side["artifact_id"],
        "b": main["artifact_id"],
        "c": made["artifact_id"],
        "d": head["artifact_id"],
    }


async def test_the_history_of_a_node_has_all_that_happened_to_it(api: Api) -> None:
    made = await api.create("main", "a", "b")
    await patch(api, "main", set_member(0, "n", 1))
    changed = await patch(api, "main", set_member(1, "n", 1), message="why")
    await api.create("main", "a")
    removed = (await api.get("/workflows/main")).json()
    for limit in (1, 2, 100):
        found = await events(api, "main", "b", limit)
        assert [(each["action"], each["artifact_id"]) for each in found] == [
            ("removed", removed["artifact_id"]),
            ("changed", changed["artifact_id"]),
            ("added", made["artifact_id"]),
        ]
    assert [each["node"] for each in found] == [
        None,
        {"id": "b", "type": "task", "n": 1},
        {"id": "b", "type": "task"},
    ]
    assert found[1]["message"] == "why"


async def test_what_is_not_there_has_no_history(api: Api) -> None:
    assert (await api.get("/workflows/nope/blame")).status_code == 404
    await api.create("main", "a")
    assert (await api.get("/workflows/main/nodes/nope/history")).status_code == 404
    assert (await api.get("/workflows/main/nodes/a/history?cursor=W10")).status_code == 400
    model = {"kind": "model", "name": "m", "meta": {"a": 1}, "tag": "model"}
    assert (await api.post("/artifacts", model)).status_code == 201
    assert (await api.get("/workflows/model/blame")).status_code == 409


@pytest.mark.parametrize("limits", [{"history_versions_max": 3}, {"history_bytes_max": 300}])
async def test_a_history_that_is_too_long_is_cut_and_says_so(
    make_app: Callable[..., Edge], limits: dict[str, int]
) -> None:
    async with Api.on(make_app(**limits), TOKEN) as api:
        await api.create("main", "a", "b")
        for number in range(6):
            last = await patch(api, "main", set_member(0, "n", number))
        blame = (await api.get("/workflows/main/blame")).json()
        assert blame["truncated"] is True
        assert blame["nodes"]["a"]["artifact_id"] == last["artifact_id"]
        page = (await api.get("/workflows/main/nodes/a/history")).json()
        assert page["truncated"] is True
        assert {each["action"] for each in page["items"]} == {"changed"}
        assert 1 <= len(page["items"]) <= 2


@pytest.mark.slow
async def test_two_hundred_versions_are_one_quick_request(api: Api) -> None:
    await api.create("main", *(f"n{number}" for number in range(20)))
    made = [await patch(api, "main", set_member(number % 20, "n", number)) for number in range(200)]
    began = time.perf_counter()
    nodes = (await api.get("/workflows/main/blame")).json()["nodes"]
    assert time.perf_counter() - began < 2
    for number in range(180, 200):
        assert nodes[f"n{number % 20}"]["artifact_id"] == made[number]["artifact_id"]
    found = await events(api, "main", "n3")
    assert [each["node"].get("n") for each in found] == [*range(183, 0, -20), None]
