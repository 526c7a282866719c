"""Diffs, merges, cherry-picks and reverts over HTTP, on the real application and database."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.documents.patch import apply, parse_operations
from orchestrator.handlers.http.edge import Edge
from tests.api import Api, chain
from tests.conftest import TOKEN
from tests.handlers.patching import document, patch, patched, timeout


async def branches(api: Api) -> dict[str, Any]:
    """main and side, both at a → b."""
    base = await api.create("main", "a", "b")
    await api.put("/tags/side", {"artifact_id": base["artifact_id"]})
    return base


def add_node(id_: str, after: str) -> list[dict[str, Any]]:
    return [
        {"op": "add", "path": "/nodes/-", "value": {"id": id_, "type": "task"}},
        {"op": "add", "path": "/edges/-", "value": {"from": after, "to": id_}},
    ]


async def merge(api: Api, tag: str, source: str, **members: Any) -> Any:
    return await api.post(f"/workflows/{tag}/merge", {"from": source, **members})


async def test_changes_of_both_sides_are_merged_into_the_tag(api: Api) -> None:
    base = await branches(api)
    ours = await patched(api, "main", timeout(5))
    theirs = await patched(api, "side", *add_node("c", "b"))
    response = await merge(api, "main", "side", message="merge side")
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["outcome"] == "merged"
    assert body["base_id"] == base["artifact_id"]
    assert body["result"]["message"] == "merge side"
    expected = chain("a", "b", "c")
    expected["nodes"][0]["timeout_ms"] = 5
    assert await document(api, "main") == expected
    assert await document(api, "side") == chain("a", "b", "c")
    up = await api.get(f"/artifacts/{body['result']['artifact_id']}/lineage", params={"depth": 1})
    assert {(e["relation"], e["parent_id"]) for e in up.json()["items"]} == {
        ("patch_of", ours["artifact_id"]),
        ("merged_from", theirs["artifact_id"]),
    }


async def test_merging_twice_is_a_no_op_and_an_ancestor_is_up_to_date(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "side", *add_node("c", "b"))
    await merge(api, "main", "side")
    version = (await api.get("/tags/main")).json()["version"]
    again = (await merge(api, "main", "side")).json()
    assert (again["outcome"], again["result"]["action"]) == ("up_to_date", None)
    ancestor = (await merge(api, "main", "main@1")).json()
    assert ancestor["outcome"] == "up_to_date"
    assert (await api.get("/tags/main")).json()["version"] == version


async def test_a_side_that_did_not_move_is_fast_forwarded(api: Api) -> None:
    await branches(api)
    theirs = await patched(api, "side", timeout(9))
    body = (await merge(api, "main", "side", message="ff")).json()
    assert body["outcome"] == "fast_forward"
    tag = (await api.get("/tags/main")).json()
    assert (tag["artifact_id"], tag["message"]) == (theirs["artifact_id"], "ff")


async def test_after_a_merge_the_other_side_fast_forwards(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "side", *add_node("c", "b"))
    await merge(api, "main", "side")
    body = (await merge(api, "side", "main")).json()
    assert body["outcome"] == "fast_forward"
    assert await document(api, "side") == await document(api, "main")


async def test_undoing_a_merge_restores_the_hash(api: Api) -> None:
    await branches(api)
    before = await patched(api, "main", timeout(5))
    await patched(api, "side", *add_node("c", "b"))
    await merge(api, "main", "side")
    undone = (await api.post("/tags/main/undo")).json()
    assert undone["version_hash"] == before["version_hash"]


async def test_conflicts_are_409_and_list_each_place(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5), timeout(1, 1))
    await patched(api, "side", timeout(7), timeout(2, 1))
    before = (await api.get("/tags/main")).json()
    for members in ({}, {"dry_run": True}):
        response = await merge(api, "main", "side", **members)
        assert (response.status_code, response.json()["error"]) == (409, "merge conflict")
        conflicts = response.json()["conflicts"]
        assert [c["pointer"] for c in conflicts] == ["/nodes/a/timeout_ms", "/nodes/b/timeout_ms"]
        assert conflicts[0]["base"] == {"present": False}
        assert conflicts[0]["ours"] == {"present": True, "value": 5}
        assert conflicts[0]["theirs"] == {"present": True, "value": 7}
    assert (await api.get("/tags/main")).json() == before


@pytest.mark.parametrize(("prefer", "expected"), [("ours", 5), ("theirs", 7)])
async def test_a_preferred_side_settles_conflicts(api: Api, prefer: str, expected: int) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "side", timeout(7), timeout(3, 1))
    body = (await merge(api, "main", "side", prefer=prefer)).json()
    assert [c["pointer"] for c in body["settled"]] == ["/nodes/a/timeout_ms"]
    nodes = (await document(api, "main"))["nodes"]
    assert [node["timeout_ms"] for node in nodes] == [expected, 3]


async def test_a_merge_that_keeps_all_of_ours_is_recorded_so_it_is_not_asked_for_again(
    api: Api,
) -> None:
    await branches(api)
    before = await patched(api, "main", timeout(5))
    await patched(api, "side", timeout(7))
    body = (await merge(api, "main", "side", prefer="ours")).json()
    assert (body["outcome"], body["op_count"]) == ("merged", 0)
    assert body["result"]["version_hash"] == before["version_hash"]
    assert body["result"]["tag_version"] == 3
    assert (await merge(api, "main", "side")).json()["outcome"] == "up_to_date"
    assert (await merge(api, "side", "main")).json()["outcome"] == "fast_forward"


async def test_a_merge_that_would_break_a_rule_is_422_and_stores_nothing(api: Api) -> None:
    """Each side adds an edge that is fine alone; together they close a cycle."""
    await api.create("main", "a", "b")
    await patched(api, "main", *add_node("c", "a"))
    await api.put("/tags/side", {"from": "main"})

    def edge(source: str, target: str) -> dict[str, Any]:
        return {"op": "add", "path": "/edges/-", "value": {"from": source, "to": target}}

    await patched(api, "main", edge("b", "c"))
    await patched(api, "side", edge("c", "b"))
    before = (await api.get("/tags/main")).json()
    for members in ({}, {"dry_run": True}, {"prefer": "ours"}):
        response = await merge(api, "main", "side", **members)
        assert response.status_code == 422, response.text
        assert "cycle" in {error["rule"] for error in response.json()["errors"]}
    assert (await api.get("/tags/main")).json() == before


async def test_a_dry_run_shows_the_merge_and_stores_nothing(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "side", *add_node("c", "b"))
    artifacts = (await api.get("/artifacts")).json()
    body = (await merge(api, "main", "side", dry_run=True)).json()
    assert (body["dry_run"], body["result"]["tag_version"], body["outcome"]) == (True, 3, "merged")
    assert [node["id"] for node in body["diff"]["nodes_added"]] == ["c"]
    assert (await api.get("/artifacts")).json() == artifacts
    await api.post("/tags/main/undo")
    forward = (await merge(api, "main", "side", dry_run=True)).json()
    assert forward["outcome"] == "fast_forward"
    assert [node["id"] for node in forward["diff"]["nodes_added"]] == ["c"]
    nothing = (await merge(api, "main", "main@1", dry_run=True)).json()
    assert (nothing["outcome"], nothing["diff"]["nodes_added"]) == ("up_to_date", [])


async def test_versions_without_common_history_need_a_base(api: Api) -> None:
    await api.create("main", "a")
    await api.create("other", "z")
    response = await merge(api, "main", "other")
    assert (response.status_code, response.json()["error"]) == (409, "no common ancestor")
    await api.create("empty", "a", "q")
    named = await merge(api, "main", "empty", base="main")
    assert named.json()["outcome"] == "merged", "a base that was named does not make it ours"
    assert (await merge(api, "main", "empty")).json()["outcome"] == "up_to_date"


async def test_a_merge_of_equal_versions_is_remembered(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(1))
    await patched(api, "side", timeout(1))
    assert (await merge(api, "main", "side")).json()["outcome"] == "merged"
    await patched(api, "side", timeout(2))
    again = await merge(api, "main", "side")
    assert again.status_code == 200, "their newer change is on top of what was merged"
    assert (await document(api, "main"))["nodes"][0]["timeout_ms"] == 2


async def test_a_merge_keeps_its_preconditions(api: Api) -> None:
    await branches(api)
    await patched(api, "side", timeout(9))
    stale = await api.post(
        "/workflows/main/merge", {"from": "side"}, headers={"If-Match": '"blake3:x"'}
    )
    assert stale.status_code == 412
    assert (await merge(api, "nope", "side")).status_code == 404
    assert (await merge(api, "main", "nope")).status_code == 404
    assert (await merge(api, "main", "..")).status_code == 400


async def test_a_repeated_merge_is_given_the_first_answer(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "side", *add_node("c", "b"))
    headers = {"Idempotency-Key": "merge-once"}
    first = await api.post("/workflows/main/merge", {"from": "side"}, headers=headers)
    again = await api.post("/workflows/main/merge", {"from": "side"}, headers=headers)
    assert first.json()["outcome"] == "merged"
    assert again.content == first.content


async def test_a_cherry_pick_makes_one_change_of_another_chain_here(api: Api) -> None:
    await branches(api)
    await patched(api, "side", timeout(7))
    picked = await patched(api, "side", *add_node("c", "b"))
    response = await api.post(
        "/workflows/main/cherry-pick", {"version": picked["artifact_id"], "message": "pick"}
    )
    assert response.status_code == 200, response.text
    assert await document(api, "main") == chain("a", "b", "c")
    up = await api.get(f"/artifacts/{response.json()['artifact_id']}/lineage", params={"depth": 1})
    assert {e["relation"] for e in up.json()["items"]} == {"patch_of", "cherry_picked_from"}
    again = await api.post("/workflows/main/cherry-pick", {"version": "side"})
    assert again.json()["action"] is None, "the change is there already"


async def test_a_cherry_pick_that_conflicts_is_409(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "side", timeout(7))
    response = await api.post("/workflows/main/cherry-pick", {"version": "side"})
    assert response.status_code == 409
    assert response.json()["conflicts"][0]["pointer"] == "/nodes/a/timeout_ms"
    forced = {"version": "side", "prefer": "theirs"}
    assert (await api.post("/workflows/main/cherry-pick", forced)).status_code == 200


async def test_a_version_that_was_made_from_nothing_cannot_be_picked(api: Api) -> None:
    await api.create("main", "a")
    response = await api.post("/workflows/main/cherry-pick", {"version": "main"})
    assert (response.status_code, response.json()["error"]) == (404, "parent not found")


async def test_a_change_in_the_middle_of_a_chain_is_taken_back(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "main", timeout(6, 1))
    await patched(api, "main", *add_node("c", "b"))
    response = await api.post("/workflows/main/revert", {"seq": 2, "message": "revert"})
    assert response.status_code == 200, response.text
    expected = chain("a", "b", "c")
    expected["nodes"][0]["timeout_ms"] = 5
    assert await document(api, "main") == expected
    up = await api.get(f"/artifacts/{response.json()['artifact_id']}/lineage", params={"depth": 1})
    assert {e["relation"] for e in up.json()["items"]} == {"patch_of", "revert_of"}


async def test_a_revert_that_conflicts_is_409(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5))
    await patched(api, "main", timeout(6))
    response = await api.post("/workflows/main/revert", {"seq": 1})
    assert response.status_code == 409
    assert response.json()["conflicts"][0]["ours"]["value"] == 6
    by_reference = await api.post("/workflows/main/revert", {"version": "main@3"})
    assert by_reference.status_code == 200
    assert (await document(api, "main"))["nodes"][0]["timeout_ms"] == 5


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"seq": 1, "version": "main"}, 400), ({"seq": -1}, 400), ({"seq": 9}, 404)],
)
async def test_a_revert_names_one_version(api: Api, body: dict[str, Any], status: int) -> None:
    await branches(api)
    assert (await api.post("/workflows/main/revert", body)).status_code == status


async def test_a_diff_tells_nodes_and_gives_the_patch(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5), *add_node("c", "b"))
    for against in ("side", "1", "@1", "main@1"):
        body = (await api.get("/workflows/main/diff", params={"against": against})).json()
        diff = body["diff"]
        assert [node["id"] for node in diff["nodes_added"]] == ["c"]
        assert [node["id"] for node in diff["nodes_changed"]] == ["a"]
        assert diff["edges_added"] == [{"from": "b", "to": "c"}]
        operations = parse_operations(body["patch"])
        assert apply(chain("a", "b"), operations) == await document(api, "main")


@pytest.mark.parametrize("address", ["position", "id"])
async def test_the_patch_of_a_diff_can_be_applied_however_much_changed(
    api: Api, address: str
) -> None:
    note = "n" * 200
    nodes = [{"id": f"n{n}", "type": "t", "v": 0, "note": note} for n in range(1_100)]
    await api.post("/workflows", {"tag": "main", "workflow": {"nodes": nodes}})
    changed = {"nodes": [{**node, "v": 1} for node in nodes]}
    after = (await api.post("/workflows", {"tag": "main", "workflow": changed})).json()
    query = {"address": address}
    diff = await api.get("/workflows/main/diff", params={"against": "1", **query})
    patch_ = diff.json()["patch"]
    assert len(patch_) == len(nodes)
    await api.put("/tags/side", {"from": "main@1"})
    made = await patched(api, "side", *patch_, params=query)
    assert (made["version_hash"], made["op_count"]) == (after["version_hash"], len(nodes))


async def test_a_diff_is_text_for_people_when_asked(api: Api) -> None:
    await branches(api)
    await patched(api, "main", *add_node("c", "b"))
    response = await api.get("/workflows/main/diff", params={"against": "side", "format": "text"})
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert "+ node c" in response.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"against": "nope"}, 404),
        ({"against": "main@99"}, 404),
        ({"against": "0"}, 400),
        ({"against": "main@99999999999999999999999"}, 400),
        ({"against": "main@@1"}, 400),
        ({"against": "a b"}, 400),
        ({"against": "main", "format": "html"}, 400),
    ],
)
async def test_a_diff_against_nothing_is_refused(
    api: Api, query: dict[str, str], status: int
) -> None:
    await branches(api)
    response = await api.get("/workflows/main/diff", params=query)
    assert response.status_code == status, response.text


async def test_a_revert_by_tag_goes_back_to_what_that_tag_named_before(api: Api) -> None:
    """A whole version is shared by the tags that named its content, what it replaced is not."""
    for tag, before in (("one", "y"), ("two", "x")):
        await api.create(tag, before)
        shared = await api.create(tag, "w")
    response = await api.post("/workflows/two/revert", {"version": "two"})
    assert response.status_code == 200, response.text
    assert await document(api, "two") == chain("x")
    picked = await api.post("/workflows/two/cherry-pick", {"version": "one@2"})
    assert picked.status_code in {200, 409}
    other = await api.create("three", "v")
    assert other["action"] == "create"
    await api.post("/workflows", {"tag": "three", "workflow": chain("w")})
    by_id = await api.post("/workflows/one/revert", {"version": shared["artifact_id"]})
    assert by_id.status_code == 200, "one tag replaced something by it when it was new"


async def test_a_version_that_replaced_several_must_be_named_by_its_tag(api: Api) -> None:
    for tag in ("one", "two"):
        await api.create(tag, f"before-{tag}")
    operations = [
        {"op": "create_workflow", "tag": tag, "workflow": chain("shared")} for tag in ("one", "two")
    ]
    results = (await api.post("/transactions", {"operations": operations})).json()["results"]
    refused = await api.post("/workflows/one/revert", {"version": results[0]["artifact_id"]})
    assert (refused.status_code, refused.json()["errors"][0]["rule"]) == (400, "ambiguous")
    assert (await api.post("/workflows/two/revert", {"version": "two"})).status_code == 200
    assert await document(api, "two") == chain("before-two")


async def test_a_merge_that_changes_more_than_there_is_stores_the_whole(
    make_app: Callable[..., Edge],
) -> None:
    async with Api.on(make_app(workflow_bytes_max=40_000), TOKEN) as api:
        members = {f"k{number}": 0 for number in range(2_000)}
        workflow = {**chain("a", "b"), "m": members}
        await api.post("/workflows", {"tag": "main", "workflow": workflow})
        await api.put("/tags/side", {"from": "main"})
        changed = {**workflow, "m": dict.fromkeys(members, 1)}
        await api.post("/workflows", {"tag": "side", "workflow": changed})
        await patched(api, "main", timeout(5))
        body = (await merge(api, "main", "side")).json()
        assert (body["outcome"], body["op_count"]) == ("merged", 1)
        assert (await document(api, "main"))["m"] == changed["m"]


async def test_a_document_as_deep_as_allowed_can_be_patched_and_merged(api: Api) -> None:
    await branches(api)
    deep: Any = 1
    for _ in range(63):
        deep = [deep]
    await patched(api, "main", timeout(5))
    await patched(api, "side", {"op": "add", "path": "/deep", "value": deep})
    assert (await merge(api, "main", "side")).json()["outcome"] == "merged"
    assert (await document(api, "main"))["deep"] == deep
    deeper = await patch(api, "side", [{"op": "add", "path": "/deep", "value": [deep]}])
    assert deeper.status_code in {400, 422}
