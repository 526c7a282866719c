"""Patches over HTTP, on the real application and database."""

import asyncio
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.core.digest import CasId
from orchestrator.service.version import VersionService
from tests.api import Api, chain
from tests.handlers.patching import JSON_PATCH, MERGE_PATCH, document, patch, patched, timeout


async def test_a_patch_moves_the_tag_to_its_result(api: Api) -> None:
    base = await api.create("main", "a", "b")
    response = await patch(
        api, "main", [timeout(5), timeout(7, 1)], params={"message": "be patient"}
    )
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["kind"], body["depth"], body["op_count"]) == ("patch_set", 1, 2)
    assert (body["tag_version"], body["message"], body["action"]) == (2, "be patient", "move")
    assert response.headers["etag"] == f'"{body["version_hash"]}"'
    workflow = chain("a", "b")
    workflow["nodes"][0]["timeout_ms"], workflow["nodes"][1]["timeout_ms"] = 5, 7
    assert await document(api, "main") == workflow
    assert await document(api, "main", version=1) == chain("a", "b")
    operations = await api.get(f"/cas/{body['cas_id']}")
    assert operations.json() == [timeout(5), timeout(7, 1)]
    assert operations.headers["content-type"] == "application/json;type=patch_ops"
    result = await api.get(f"/cas/{body['version_hash']}")
    assert str(CasId.of(result.content)) == body["version_hash"]
    lineage = (await api.get(f"/artifacts/{body['artifact_id']}/lineage")).json()["items"]
    assert [(e["relation"], e["parent_id"]) for e in lineage] == [("patch_of", base["artifact_id"])]


async def test_a_merge_patch_is_stored_as_the_operations_it_amounts_to(api: Api) -> None:
    await api.create("main", "a")
    body = (await patch(api, "main", {"metadata": {"owner": "x"}}, MERGE_PATCH)).json()
    stored = (await api.get(f"/cas/{body['cas_id']}")).json()
    assert stored == [{"op": "add", "path": "/metadata", "value": {"owner": "x"}}]
    assert (await document(api, "main"))["metadata"] == {"owner": "x"}


async def test_undo_takes_a_patch_back_and_redo_makes_it_again(api: Api) -> None:
    base = await api.create("main", "a")
    change = await patched(api, "main", timeout(5))
    undone = (await api.post("/tags/main/undo")).json()
    assert undone["version_hash"] == base["version_hash"]
    redone = (await api.post("/tags/main/redo")).json()
    assert redone["version_hash"] == change["version_hash"]


@pytest.mark.parametrize(
    ("kind", "document", "status", "rule"),
    [
        (JSON_PATCH, [], 400, "operations-min"),
        (JSON_PATCH, {}, 400, "type"),
        (JSON_PATCH, [{"op": "add", "path": "/x"}], 400, None),
        (JSON_PATCH, [{"op": "explode", "path": "/x"}], 400, None),
        (JSON_PATCH, [{"op": "remove", "path": "/nope"}], 422, "not-found"),
        (JSON_PATCH, [{"op": "test", "path": "/nodes/0/id", "value": "z"}], 422, "test"),
        (JSON_PATCH, [{"op": "remove", "path": "/nodes/0"}], 422, "missing-node"),
        (JSON_PATCH, [{"op": "add", "path": "/nodes/-", "value": {"id": "x"}}], 422, "required"),
        (
            JSON_PATCH,
            [{"op": "add", "path": "/edges/-", "value": {"from": "b", "to": "a"}}],
            422,
            "cycle",
        ),
        (MERGE_PATCH, {"nodes": None}, 422, "required"),
    ],
)
async def test_a_patch_that_cannot_be_is_refused_and_nothing_is_stored(
    api: Api, kind: str, document: Any, status: int, rule: str | None
) -> None:
    await api.create("main", "a", "b")
    response = await patch(api, "main", document, kind)
    assert response.status_code == status, response.text
    if rule is not None:
        assert rule in {error["rule"] for error in response.json()["errors"]}
    assert (await api.get("/tags/main")).json()["version"] == 1
    assert len((await api.get("/artifacts")).json()["items"]) == 1


async def test_a_patch_may_add_a_node_without_edges(api: Api) -> None:
    """As a whole new version may: a note, or a node that is connected later."""
    await api.create("main", "a", "b")
    note = {"id": "note", "type": "note"}
    await patched(api, "main", {"op": "add", "path": "/nodes/-", "value": note})
    assert (await document(api, "main"))["nodes"][-1] == note


@pytest.mark.parametrize("again", [{"metadata": {"owner": "x"}}, {}, {"nope": None}])
async def test_a_merge_patch_that_changes_nothing_is_no_refusal(api: Api, again: Any) -> None:
    await api.create("main", "a")
    first = (await patch(api, "main", {"metadata": {"owner": "x"}}, MERGE_PATCH)).json()
    second = await patch(api, "main", again, MERGE_PATCH)
    assert second.status_code == 200, second.text
    assert second.json() == first | {"action": None}


async def test_the_only_node_can_be_renamed(api: Api) -> None:
    await api.create("main", "a")
    await patched(api, "main", {"op": "replace", "path": "/nodes/0/id", "value": "b"})
    assert await document(api, "main") == chain("b")


async def test_at_most_five_agents_come_with_one_patch(api: Api) -> None:
    await api.create("main", "a")

    def agents(count: int) -> list[dict[str, Any]]:
        made = [{"id": f"g{n}", "type": "agent"} for n in range(count)]
        return [
            *({"op": "add", "path": "/nodes/-", "value": node} for node in made),
            *(
                {"op": "add", "path": "/edges/-", "value": {"from": "a", "to": node["id"]}}
                for node in made
            ),
        ]

    refused = await patch(api, "main", agents(6))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["rule"] == "agent-nodes-max"
    await patched(api, "main", *agents(5))


async def test_a_patch_of_another_type_is_415(api: Api) -> None:
    await api.create("main", "a")
    response = await patch(api, "main", [timeout(1)], "application/json")
    assert response.status_code == 415
    assert response.json()["supported"] == [JSON_PATCH, MERGE_PATCH]


async def test_a_patch_of_an_unknown_workflow_is_404(api: Api) -> None:
    response = await patch(api, "nope", [timeout(1)])
    assert (response.status_code, response.json()["error"]) == (404, "workflow not found")


async def test_a_patch_that_changes_nothing_records_nothing(api: Api) -> None:
    base = await api.create("main", "a")
    body = await patched(api, "main", {"op": "test", "path": "/nodes/0/id", "value": "a"})
    assert (body["action"], body["version_hash"], body["tag_version"]) == (
        None,
        base["version_hash"],
        1,
    )
    assert len((await api.get("/artifacts")).json()["items"]) == 1


async def test_the_entity_tag_guards_a_patch(api: Api) -> None:
    base = await api.create("main", "a")
    etag = {"If-Match": f'"{base["version_hash"]}"'}
    await patched(api, "main", timeout(1), headers=etag)
    stale = await patch(api, "main", [timeout(2)], headers=etag)
    assert stale.status_code == 412
    assert stale.json()["current_version"] == 2
    assert stale.json()["current_version_hash"].startswith("blake3:")
    assert (await patch(api, "nope", [timeout(2)], headers=etag)).status_code == 412


@pytest.mark.parametrize(("guarded", "lost"), [(False, 409), (True, 412)])
async def test_of_concurrent_patches_on_one_head_one_wins_and_no_orphan_remains(
    api: Api, monkeypatch: pytest.MonkeyPatch, guarded: bool, lost: int
) -> None:
    base = await api.create("main", "a")
    callers = 8
    all_have_read = asyncio.Barrier(callers)
    get_head = VersionService.get_head

    first_reads = iter(range(callers))

    async def get_head_together(*args: Any) -> Any:
        head = await get_head(*args)
        if next(first_reads, None) is not None:
            await all_have_read.wait()
        return head

    monkeypatch.setattr(VersionService, "get_head", get_head_together)
    headers = {"If-Match": f'"{base["version_hash"]}"'} if guarded else {}
    answers = await asyncio.gather(
        *(patch(api, "main", [timeout(n + 1)], headers=headers) for n in range(callers))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, lost: callers - 1}
    losers = [answer.json() for answer in answers if answer.status_code == lost]
    if guarded:
        assert {loser["current_version"] for loser in losers} == {2}
    else:
        places = [each["pointer"] for loser in losers for each in loser["conflicts"]]
        assert places == (callers - 1) * ["/nodes/a/timeout_ms"]
    items = (await api.get("/artifacts", params={"kind": "patch_set"})).json()["items"]
    assert len(items) == 1, "a loser left a patch behind"


@pytest.mark.parametrize("message", ["%00", "%ff", "x" * 5_000])
async def test_a_message_that_cannot_be_kept_is_400(api: Api, message: str) -> None:
    await api.create("main", "a")
    response = await api.http.patch(
        f"/api/v1/workflows/main?message={message}",
        json=[timeout(1)],
        headers={"Content-Type": JSON_PATCH},
    )
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/message"


async def test_copies_of_a_patch_at_once_are_all_given_one_answer(api: Api) -> None:
    await api.create("main", "a")
    once = [{"op": "test", "path": "/nodes/0", "value": {"id": "a", "type": "task"}}, timeout(3)]
    headers = {"Idempotency-Key": str(uuid4())}
    answers = await asyncio.gather(*(patch(api, "main", once, headers=headers) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (await api.get("/tags/main")).json()["version"] == 2


async def test_a_repeated_patch_is_given_the_first_answer(api: Api) -> None:
    await api.create("main", "a")
    operation = {"op": "add", "path": "/metadata", "value": {}}
    guard = {"op": "test", "path": "/nodes/0", "value": {"id": "a", "type": "task"}}
    headers = {"Idempotency-Key": str(uuid4())}
    first = await patch(api, "main", [guard, operation, timeout(3)], headers=headers)
    again = await patch(api, "main", [guard, operation, timeout(3)], headers=headers)
    assert first.status_code == 200
    assert (again.status_code, again.content) == (200, first.content)
    other = await patch(api, "main", [timeout(4)], headers=headers)
    assert other.status_code == 422
    assert (await api.get("/tags/main")).json()["version"] == 2


async def test_a_patch_bomb_is_refused_at_once(api: Api) -> None:
    await api.create("main", "a")
    doubling = [
        {"op": "add", "path": "/metadata", "value": {"x": ["y" * 100]}},
        *({"op": "copy", "from": "/metadata/x", "path": f"/metadata/x/{n}"} for n in range(1, 40)),
    ]
    started = time.perf_counter()
    response = await patch(api, "main", doubling)
    assert response.status_code == 422
    assert time.perf_counter() - started < 5, "generous: the bound itself is tested elsewhere"
