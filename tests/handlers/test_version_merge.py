"""Patches that were made for another version than the head, and are merged into it, over HTTP."""

import asyncio
from typing import Any

import pytest

from tests.api import Api, chain
from tests.handlers.patching import document, patched, timeout

PATCH = {"Content-Type": "application/json-patch+json"}


async def merging(
    api: Api, *operations: dict[str, Any], if_match: str | None = None, **query: Any
) -> Any:
    """Patch main, made for the version that is named."""
    headers = PATCH | ({"If-Match": f'"{if_match}"'} if if_match else {})
    return await api.http.patch(
        "/api/v1/workflows/main",
        json=list(operations),
        headers=headers,
        params={"on_conflict": "merge", **query},
    )


@pytest.mark.parametrize("by_hash", [True, False])
async def test_a_patch_for_an_older_version_is_merged_into_the_head(
    api: Api, *, by_hash: bool
) -> None:
    base = await api.create("main", "a", "b")
    await patched(api, "main", timeout(5, 1), {"op": "add", "path": "/x", "value": 1})
    named: Any = {"if_match": base["version_hash"]} if by_hash else {"expected_version": 1}
    response = await merging(api, timeout(7), **named)
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["merged"], body["tag_version"], body["action"]) == (True, 3, "move")
    assert response.headers["etag"] == f'"{body["version_hash"]}"'
    expected = chain("a", "b") | {"x": 1}
    expected["nodes"][0]["timeout_ms"], expected["nodes"][1]["timeout_ms"] = 7, 5
    assert await document(api, "main") == expected


async def test_a_patch_for_the_head_is_just_applied(api: Api) -> None:
    base = await api.create("main", "a")
    first = (await merging(api, timeout(5), if_match=base["version_hash"])).json()
    assert first["merged"] is False
    second = (await merging(api, timeout(6), expected_version=2)).json()
    assert (second["merged"], second["tag_version"]) == (False, 3)
    assert "merged" not in await patched(api, "main", timeout(7))


async def test_a_position_means_what_it_meant_in_the_version_that_is_named(api: Api) -> None:
    await api.create("main", "a", "b")
    await patched(
        api,
        "main",
        {"op": "add", "path": "/nodes/0", "value": {"id": "new", "type": "task"}},
        {"op": "add", "path": "/edges/-", "value": {"from": "new", "to": "a"}},
    )
    assert (await merging(api, timeout(7), expected_version=1)).status_code == 200
    nodes = {node["id"]: node for node in (await document(api, "main"))["nodes"]}
    assert nodes["a"]["timeout_ms"] == 7
    assert "timeout_ms" not in nodes["new"]


async def test_conflicts_are_409_and_the_head_is_theirs(api: Api) -> None:
    await api.create("main", "a")
    await patched(api, "main", timeout(5))
    refused = await merging(api, timeout(7), expected_version=1)
    assert refused.status_code == 409
    (conflict,) = refused.json()["conflicts"]
    assert conflict["pointer"] == "/nodes/a/timeout_ms"
    assert (conflict["ours"]["value"], conflict["theirs"]["value"]) == (7, 5)
    assert (await api.get("/tags/main")).json()["version"] == 2


async def test_the_version_must_be_one_of_the_tag(api: Api) -> None:
    """One that it has named, or that its head comes from."""
    await api.create("main", "a")
    first = await patched(api, "main", timeout(5))
    await api.put("/tags/side", {"from": "main"})
    await patched(api, "main", timeout(6))
    later = await patched(api, "side", timeout(9))
    other = await api.create("other", "z")
    await api.post("/tags/main/undo")
    for named in (first["version_hash"], (await api.get("/tags/main")).json()["version_hash"]):
        response = await merging(api, {"op": "add", "path": "/y", "value": 1}, if_match=named)
        assert response.status_code == 200, response.text
    for missing in (later["version_hash"], other["version_hash"], "blake3:" + 64 * "0"):
        refused = await merging(api, timeout(1), if_match=missing)
        assert (refused.status_code, refused.json()["current_version"]) == (412, 5), missing
    assert (await merging(api, timeout(1), expected_version=99)).status_code == 412
    await api.put("/tags/copy", {"from": "main"})
    response = await api.http.patch(
        "/api/v1/workflows/copy",
        json=[timeout(2)],
        headers=PATCH | {"If-Match": f'"{first["version_hash"]}"'},
        params={"on_conflict": "merge"},
    )
    assert response.status_code == 200, "its head comes from it"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"If-Match": "*"},
        {"If-Match": '"a", "b"'},
        {"If-Match": '"x"'},
        {"If-Match": f'"blake3:{64 * "0"}"', "expected": "1"},
    ],
)
async def test_to_merge_one_version_must_be_named(api: Api, headers: dict[str, str]) -> None:
    await api.create("main", "a")
    query = {"on_conflict": "merge", "expected_version": headers.pop("expected", None)}
    params = {key: value for key, value in query.items() if value}
    response = await api.http.patch(
        "/api/v1/workflows/main", json=[timeout(1)], headers=PATCH | headers, params=params
    )
    assert response.status_code == 400, response.text


async def test_an_expected_version_alone_refuses_what_is_stale(api: Api) -> None:
    await api.create("main", "a")
    await patched(api, "main", timeout(5))
    for version, status in ((1, 409), (2, 200)):
        response = await merging(api, timeout(6), expected_version=version, on_conflict="refuse")
        assert response.status_code == status
    assert (await merging(api, timeout(6), expected_version=0)).status_code == 400


async def test_many_who_change_different_places_of_one_version_all_succeed(api: Api) -> None:
    """Each is merged into what the others left."""
    ids = [f"n{number}" for number in range(8)]
    base = await api.create("main", *ids)
    answers = await asyncio.gather(
        *(
            merging(api, timeout(number, number), if_match=base["version_hash"])
            for number in range(8)
        )
    )
    assert [each.status_code for each in answers] == 8 * [200]
    nodes = (await document(api, "main"))["nodes"]
    assert [node["timeout_ms"] for node in nodes] == list(range(8))
    assert sorted(each.json()["tag_version"] for each in answers) == list(range(2, 10))
