"""Conflicts that a request settles one by one, and lists of conflicts that are too long."""

from typing import Any

import pytest

from orchestrator.errors import VIOLATIONS_BYTES_MAX, VIOLATIONS_MAX
from tests.api import Api, chain
from tests.handlers.patching import document, patched, timeout
from tests.handlers.test_merge import add_node, branches, merge


async def conflicting(api: Api) -> None:
    """In conflict at the timeouts of a and b, and about the node c, which ours removed."""
    await api.create("main", "a", "b", "c")
    await api.put("/tags/side", {"from": "main"})
    remove = {"op": "remove", "path": "/nodes/2"}
    await patched(
        api, "main", timeout(5), timeout(5, 1), remove, {"op": "remove", "path": "/edges/1"}
    )
    await patched(api, "side", timeout(7), timeout(7, 1), timeout(7, 2))


async def test_each_conflict_is_settled_as_its_resolution_says(api: Api) -> None:
    await conflicting(api)
    resolutions = {
        "/nodes/a/timeout_ms": "theirs",
        "/nodes/b/timeout_ms": {"value": 6},
        "/nodes/c": "theirs",
    }
    body = (await merge(api, "main", "side", resolutions=resolutions)).json()
    assert (body["outcome"], body["settled_count"]) == ("merged", 3)
    assert [each["pointer"] for each in body["settled"]] == list(resolutions)
    expected = chain("a", "b", "c")
    for node, timeout_ms in zip(expected["nodes"], (7, 6, 7), strict=True):
        node["timeout_ms"] = timeout_ms
    assert await document(api, "main") == expected
    again = (await merge(api, "main", "side")).json()
    assert again["outcome"] == "up_to_date", "it is one merge, and it was recorded"


async def test_what_has_no_resolution_is_still_in_conflict_unless_a_side_is_preferred(
    api: Api,
) -> None:
    await conflicting(api)
    resolutions = {"/nodes/a/timeout_ms": "theirs"}
    refused = await merge(api, "main", "side", resolutions=resolutions)
    assert refused.status_code == 409
    left = [each["pointer"] for each in refused.json()["conflicts"]]
    assert left == ["/nodes/b/timeout_ms", "/nodes/c"]
    body = (await merge(api, "main", "side", resolutions=resolutions, prefer="ours")).json()
    assert body["settled_count"] == 3
    nodes = (await document(api, "main"))["nodes"]
    assert [node["timeout_ms"] for node in nodes] == [7, 5]


@pytest.mark.parametrize("source", ["side", "main"])
async def test_resolutions_of_what_is_not_in_conflict_are_named(api: Api, source: str) -> None:
    await conflicting(api)
    resolutions = {"/nodes/x": "ours", "/a~1b": {"value": 1}}
    refused = await merge(api, "main", source, resolutions=resolutions)
    assert refused.status_code == 422
    assert [(each["pointer"], each["rule"]) for each in refused.json()["errors"]] == [
        ("/resolutions/~1nodes~1x", "no-conflict"),
        ("/resolutions/~1a~01b", "no-conflict"),
    ]


@pytest.mark.parametrize("value", [1, {"id": "x", "type": "t"}, None])
async def test_a_node_is_not_settled_by_something_else(api: Api, value: Any) -> None:
    await conflicting(api)
    resolutions = {"/nodes/c": {"value": value}}
    refused = await merge(api, "main", "side", resolutions=resolutions)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/resolutions/~1nodes~1c/value"
    assert "id: 'c'" in error["message"]


async def test_a_node_that_both_added_can_be_settled_by_a_third_one(api: Api) -> None:
    await branches(api)
    await patched(api, "main", *add_node("c", "b"))
    await patched(api, "side", *add_node("c", "b"), timeout(3, 2))
    third = {"id": "c", "type": "http", "timeout_ms": 4}
    body = (await merge(api, "main", "side", resolutions={"/nodes/c": {"value": third}})).json()
    assert body["outcome"] == "merged"
    assert (await document(api, "main"))["nodes"][2] == third


@pytest.mark.parametrize(
    ("resolutions", "pointer"),
    [
        ({"/x": "base"}, "/resolutions"),
        ({"/x": {"value": 1, "more": 2}}, "/resolutions"),
        ({"/x": {}}, "/resolutions"),
        ([], "/resolutions"),
    ],
)
async def test_resolutions_that_say_nothing_are_400(
    api: Api, resolutions: Any, pointer: str
) -> None:
    await branches(api)
    refused = await merge(api, "main", "side", resolutions=resolutions)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)


async def test_a_list_of_many_conflicts_ends_and_says_how_many_there_are(api: Api) -> None:
    names = [f"k{number:03}" for number in range(3 * VIOLATIONS_MAX)]
    await branches(api)
    for tag, value in (("main", 1), ("side", 2)):
        await patched(api, tag, {"op": "add", "path": "/m", "value": dict.fromkeys(names, value)})
    refused = (await merge(api, "main", "side")).json()
    assert refused["conflicts_count"] == len(names)
    assert refused["detail"].startswith(f"{len(names)} places")
    listed = [f"/m/{name}" for name in names[:VIOLATIONS_MAX]]
    assert [each["pointer"] for each in refused["conflicts"]] == listed
    body = (await merge(api, "main", "side", prefer="ours")).json()
    assert body["settled_count"] == len(names)
    assert [each["pointer"] for each in body["settled"]] == listed


async def test_long_values_are_left_out_of_the_list_of_conflicts(api: Api) -> None:
    await branches(api)
    for tag, letter in (("main", "x"), ("side", "y")):
        values = {f"k{number}": letter * 50_000 for number in range(9)}
        await patched(api, tag, {"op": "add", "path": "/m", "value": values})
    response = await merge(api, "main", "side")
    assert len(response.content) < VIOLATIONS_BYTES_MAX
    conflicts = response.json()["conflicts"]
    assert len(conflicts) == 9
    assert conflicts[0]["ours"] == {"present": True, "size_bytes": 50_002}


async def test_pointers_that_are_too_long_are_counted_and_not_listed(api: Api) -> None:
    await branches(api)
    for tag, value in (("main", 1), ("side", 2)):
        members = {"k" * VIOLATIONS_BYTES_MAX: value}
        await patched(api, tag, {"op": "add", "path": "/m", "value": members})
    refused = (await merge(api, "main", "side")).json()
    assert (refused["conflicts"], refused["conflicts_count"]) == ([], 1)
