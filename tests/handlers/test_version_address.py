"""Nodes and edges named by what they are (`address=id`), over HTTP: what is given is taken."""

from typing import Any

import pytest

from tests.api import Api, chain
from tests.handlers.patching import MERGE_PATCH, document, patch, patched
from tests.handlers.test_transaction import run

BY_ID = {"address": "id"}


def timeout(node: str, value: int) -> dict[str, Any]:
    return {"op": "add", "path": f"/nodes/{node}/timeout_ms", "value": value}


async def by_id(api: Api, tag: str, *operations: dict[str, Any], **query: Any) -> Any:
    return await patch(api, tag, list(operations), params=BY_ID | query)


async def test_a_patch_by_id_is_stored_by_position(api: Api) -> None:
    await api.create("main", "a", "b", "c")
    response = await by_id(
        api,
        "main",
        {"op": "remove", "path": "/edges/a->b"},
        {"op": "remove", "path": "/nodes/a"},
        timeout("c", 7),
        {"op": "add", "path": "/nodes/d", "value": {"id": "d", "type": "task"}},
        {"op": "add", "path": "/edges/c->d", "value": {"from": "c", "to": "d"}},
        {"op": "add", "path": "/edges/c->d/condition", "value": "x > 1/2"},
        {"op": "test", "path": "/edges/c->d if x > 1~12/to", "value": "d"},
    )
    assert response.status_code == 200, response.text
    body = response.json()
    expected = chain("b", "c", "d")
    expected["nodes"][1]["timeout_ms"] = 7
    expected["edges"][1]["condition"] = "x > 1/2"
    assert await document(api, "main") == expected
    stored = (await api.get(f"/cas/{body['cas_id']}")).json()
    assert [each["path"] for each in stored] == [
        "/edges/0",
        "/nodes/0",
        "/nodes/1/timeout_ms",
        "/nodes/-",
        "/edges/-",
        "/edges/1/condition",
        "/edges/1/to",
    ]


async def test_refusals_name_what_was_sent_and_what_is_wrong_by_id(api: Api) -> None:
    await api.create("main", "a", "b")
    refused = await by_id(api, "main", timeout("a", 1), timeout("0", 1))
    assert (refused.status_code, refused.json()["path"]) == (422, "/nodes/0/timeout_ms")
    assert refused.json()["errors"] == [
        {"pointer": "/1", "rule": "not-found", "message": 'There is no node "0".'}
    ]
    refused = await by_id(api, "main", timeout("b", -1), {"op": "remove", "path": "/nodes/a"})
    pointers = [each["pointer"] for each in refused.json()["errors"]]
    assert (refused.status_code, pointers) == (422, ["/nodes/b/timeout_ms", "/edges/a->b/from"])
    merge = await patch(api, "main", {"metadata": {}}, MERGE_PATCH, params=BY_ID)
    assert (merge.status_code, merge.json()["errors"][0]["pointer"]) == (400, "/address")
    unknown = await patch(api, "main", [timeout("a", 1)], params={"address": "name"})
    assert unknown.status_code == 400
    assert (await api.get("/tags/main")).json()["version"] == 1


async def test_what_is_wrong_with_a_whole_workflow_is_named_by_id(api: Api) -> None:
    workflow = {"nodes": [{"id": "a/b"}, {"type": "t"}], "edges": []}
    refused = await api.post("/workflows", {"tag": "t", "workflow": workflow}, params=BY_ID)
    wrong = refused.json()["errors"]
    assert (refused.status_code, {each["pointer"] for each in wrong}) == (
        422,
        {"/workflow/nodes", "/workflow/nodes/a~1b", "/workflow/nodes/a~1b/id"},
    )
    judged = await api.post("/workflows/validate", {"workflow": workflow}, params=BY_ID)
    assert judged.json()["violations"] == wrong
    alone = {"nodes": [{"id": id_, "type": "t"} for id_ in "ab"]}
    warned = (await api.post("/workflows", {"tag": "t", "workflow": alone}, params=BY_ID)).json()
    assert [each["pointer"] for each in warned["warnings"]] == [
        "/workflow/nodes/a",
        "/workflow/nodes/b",
    ]
    long = {"tag": "t", "workflow": {"nodes": [{"id": "x", "type": "t", "n": 2**60}]}}
    inexact = await api.post("/workflows", long, params=BY_ID)
    assert inexact.status_code == 400


async def test_a_transaction_takes_patches_by_id(api: Api) -> None:
    for tag in ("one", "two"):
        await api.create(tag, "a", "b")
    patches = [
        {"op": "patch", "tag": tag, "patch": [timeout("b", at)]}
        for at, tag in enumerate(("one", "two"))
    ]
    made = await api.post("/transactions", {"operations": patches}, params=BY_ID)
    assert made.status_code == 200, made.text
    assert [(await document(api, tag))["nodes"][1]["timeout_ms"] for tag in ("one", "two")] == [
        0,
        1,
    ]
    assert (await run(api, *patches)).status_code == 422
    wrong = {"op": "create_workflow", "tag": "new", "workflow": {"nodes": [{"id": "a"}]}}
    refused = await api.post("/transactions", {"operations": [wrong]}, params=BY_ID)
    assert refused.json()["errors"][0]["pointer"] == "/operations/0/workflow/nodes/a"


async def test_a_diff_by_id_is_a_patch_by_id(api: Api) -> None:
    note: Any = {"type": "task", "note": "n" * 200}
    nodes: list[Any] = [{"id": id_, **note} for id_ in "abc"]
    await api.post("/workflows", {"tag": "main", "workflow": {"nodes": nodes}})
    after = [{**nodes[2], "timeout_ms": 5}, {"id": "new", **note}, nodes[0]]
    new = (await api.post("/workflows", {"tag": "main", "workflow": {"nodes": after}})).json()
    diff = (await api.get("/diff", params={"from": "main@1", "to": "main", **BY_ID})).json()
    assert [(each["op"], each["path"]) for each in diff["patch"]] == [
        ("remove", "/nodes/b"),
        ("add", "/nodes/c/timeout_ms"),
        ("add", "/nodes/new"),
    ]
    assert diff["exact"] is False, "the order is another"
    await api.put("/tags/side", {"from": "main@1"})
    await patched(api, "side", *diff["patch"], params=BY_ID)
    by_name = {node["id"]: node for node in (await document(api, "side"))["nodes"]}
    assert by_name == {node["id"]: node for node in after}
    back = (await api.get("/workflows/side/diff", params={"against": "main@1", **BY_ID})).json()
    assert (back["exact"], back["patch"]) == (True, diff["patch"])
    assert new["version_hash"] != back["after"]["version_hash"]
    plain = (await api.get("/diff", params={"from": "main@1", "to": "main"})).json()
    assert "exact" not in plain
    assert plain["patch"][0] == {"op": "remove", "path": "/nodes/1"}


async def test_the_places_of_conflicts_and_of_blame_are_addresses(api: Api) -> None:
    await api.create("main", "a", "b")
    await api.put("/tags/side", {"from": "main"})
    for tag, value in (("main", 1), ("side", 2)):
        await patched(api, tag, timeout("b", value), params=BY_ID)
        label = {"op": "add", "path": "/edges/a->b/label", "value": value}
        await patched(api, tag, label, params=BY_ID)
    conflict = await api.post("/workflows/main/merge", {"from": "side"}, params=BY_ID)
    places = [each["pointer"] for each in conflict.json()["conflicts"]]
    assert (conflict.status_code, places) == (409, ["/nodes/b/timeout_ms", "/edges/a->b/label"])
    resolutions = dict.fromkeys(places, "theirs")
    body = {"from": "side", "resolutions": resolutions}
    assert (await api.post("/workflows/main/merge", body, params=BY_ID)).status_code == 200
    fixes = [{"op": "replace", "path": place, "value": 3} for place in places]
    await patched(api, "main", *fixes, params=BY_ID)
    blame = (await api.get("/workflows/main/blame")).json()
    for kind in ("nodes", "edges"):
        for name in blame[kind]:
            whole = {"op": "copy", "from": f"/{kind}/{name}", "path": "/metadata"}
            await patched(api, "main", whole, params=BY_ID)


@pytest.mark.parametrize("how", ["merge", "cherry-pick", "revert"])
async def test_what_a_merge_breaks_is_named_by_id(api: Api, how: str) -> None:
    """Each side is sound; together their edges are a cycle."""
    await api.create("main", "a", "b", "c")
    await patched(api, "main", {"op": "remove", "path": "/edges/1"})
    await api.put("/tags/side", {"from": "main"})
    back = {"op": "add", "path": "/edges/-", "value": {"from": "b", "to": "c"}}
    forth = {"op": "add", "path": "/edges/0", "value": {"from": "c", "to": "a"}}
    await patched(api, "main", forth)
    await patched(api, "side", back)
    body = {"version": "main@2"} if how == "revert" else {"version": "side"}
    if how == "merge":
        body = {"from": "side"}
    refused = await api.post(f"/workflows/main/{how}", body, params=BY_ID)
    assert refused.status_code == 422, refused.text
    (violation,) = [each for each in refused.json()["errors"] if each["rule"] == "cycle"]
    assert "->" in violation["pointer"]


async def test_a_patch_by_id_means_what_it_meant_for_the_version_that_is_named(api: Api) -> None:
    await api.create("main", "a", "b")
    gone = [{"op": "remove", "path": f"/{member}/0"} for member in ("edges", "nodes")]
    await patched(api, "main", *gone)
    response = await by_id(api, "main", timeout("b", 7), on_conflict="merge", expected_version=1)
    assert response.status_code == 200, response.text
    assert (await document(api, "main"))["nodes"] == [{"id": "b", "type": "task", "timeout_ms": 7}]
