"""Changes whose tag moves while they are made: they are rebased, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.core.database import Connection
from orchestrator.handlers.http.edge import Edge
from orchestrator.models.version import Head
from orchestrator.service.version import VersionService
from tests.api import Api, chain
from tests.conftest import TOKEN
from tests.handlers.patching import MERGE_PATCH, document, patch, patched, timeout
from tests.handlers.test_merge import add_node

NEW_FIRST = [
    {"op": "add", "path": "/nodes/0", "value": {"id": "new", "type": "task"}},
    {"op": "add", "path": "/edges/0", "value": {"from": "new", "to": "a"}},
]


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, move: Callable[[], Awaitable[Any]], times: int = 1
) -> list[Any]:
    """Whoever reads a head sees it move right after, so many times; returns what the moves were
    answered.
    """
    answers: list[Any] = []
    get_head = VersionService.get_head

    async def get_head_and_move(
        versions: VersionService, conn: Connection, namespace: str, tag: str
    ) -> Head:
        head = await get_head(versions, conn, namespace, tag)
        if len(answers) < times:
            monkeypatch.setattr(VersionService, "get_head", get_head)
            answers.append(await move())
            monkeypatch.setattr(VersionService, "get_head", get_head_and_move)
        return head

    monkeypatch.setattr(VersionService, "get_head", get_head_and_move)
    return answers


def renaming(api: Api) -> Callable[[], Awaitable[Any]]:
    """Each call stores a whole version of the next name."""
    numbers = count(1)

    async def rename() -> Any:
        workflow = chain("a") | {"name": f"v{next(numbers)}"}
        return await api.post("/workflows", {"tag": "main", "workflow": workflow})

    return rename


@pytest.mark.slow
async def test_writers_of_different_nodes_all_succeed(api: Api) -> None:
    writers, changes = 5, 20
    await api.create("main", *(f"n{number}" for number in range(writers)))

    async def write(node: int) -> list[int]:
        return [
            (await patch(api, "main", [timeout(number + 1, node)])).status_code
            for number in range(changes)
        ]

    statuses = await asyncio.gather(*(write(node) for node in range(writers)))
    assert statuses == writers * [changes * [200]]
    nodes = (await document(api, "main"))["nodes"]
    assert [node["timeout_ms"] for node in nodes] == writers * [changes]
    assert (await api.get("/tags/main")).json()["version"] == writers * changes + 1


async def test_a_position_means_what_it_meant_on_the_head_that_was_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create("main", "a", "b")
    moves = meanwhile(monkeypatch, lambda: patched(api, "main", *NEW_FIRST))
    body = await patched(api, "main", timeout(7), params={"message": "wait"})
    assert len(moves) == 1
    assert (body["tag_version"], body["message"], body["action"]) == (3, "wait", "move")
    expected = chain("new", "a", "b")
    expected["nodes"][1]["timeout_ms"] = 7
    assert await document(api, "main") == expected
    stored = (await api.get(f"/cas/{body['cas_id']}")).json()
    assert [each["path"] for each in stored] == ["/nodes/1/timeout_ms"]


async def test_a_merge_patch_is_rebased(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.create("main", "a")
    moves = meanwhile(monkeypatch, renaming(api), times=3)
    response = await patch(api, "main", {"metadata": {"owner": "ann"}}, MERGE_PATCH)
    assert response.status_code == 200, response.text
    assert len(moves) == 3
    assert await document(api, "main") == chain("a") | {"metadata": {"owner": "ann"}, "name": "v3"}


@pytest.mark.parametrize("how", ["cherry-pick", "revert"])
async def test_a_change_made_again_or_taken_back_is_rebased(
    api: Api, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    await api.create("main", "a", "b")
    await api.put("/tags/side", {"from": "main"})
    await patched(api, "side", timeout(5, 1))
    if how == "revert":
        await api.put("/tags/main", {"from": "side"})

    meanwhile(monkeypatch, lambda: patched(api, "main", timeout(7)))
    response = await api.post(f"/workflows/main/{how}", {"version": "side"})
    assert response.status_code == 200, response.text
    nodes = (await document(api, "main"))["nodes"]
    picked = {"timeout_ms": 5} if how == "cherry-pick" else {}
    assert nodes == [
        {"id": "a", "type": "task", "timeout_ms": 7},
        {"id": "b", "type": "task", **picked},
    ]
    lineage = (await api.get(f"/artifacts/{response.json()['artifact_id']}/lineage")).json()
    relations = {each["relation"] for each in lineage["items"]}
    assert relations >= {"cherry_picked_from" if how == "cherry-pick" else "revert_of"}


async def branched(api: Api, *ours: dict[str, Any]) -> None:
    """Side changes the second node of main, which may have changes of its own."""
    await api.create("main", "a", "b")
    await api.put("/tags/side", {"from": "main"})
    await patched(api, "side", timeout(5, 1))
    if ours:
        await patched(api, "main", *ours)


@pytest.mark.parametrize("is_ahead", [False, True])
async def test_a_merge_is_rebased(
    api: Api, monkeypatch: pytest.MonkeyPatch, *, is_ahead: bool
) -> None:
    """Also if it was just a move, before the tag moved."""
    await branched(api, *(() if is_ahead else [timeout(1)]))
    meanwhile(monkeypatch, lambda: patched(api, "main", *NEW_FIRST))
    response = await api.post("/workflows/main/merge", {"from": "side", "message": "both"})
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["outcome"], body["result"]["message"]) == ("merged", "both")
    expected = chain("new", "a", "b")
    expected["nodes"][2]["timeout_ms"] = 5
    if not is_ahead:
        expected["nodes"][1]["timeout_ms"] = 1
    assert await document(api, "main") == expected
    lineage = await api.get(f"/artifacts/{body['result']['artifact_id']}/lineage")
    links = [each for each in lineage.json()["items"] if each["distance"] == 1]
    parents = {each["relation"]: each["parent_id"] for each in links}
    assert parents["merged_from"] == body["theirs_id"]
    assert parents["patch_of"] != body["ours_id"], "it is made on what the tag named meanwhile"
    again = (await api.post("/workflows/main/merge", {"from": "side"})).json()
    assert again["outcome"] == "up_to_date"


async def test_what_a_merge_settled_does_not_settle_what_came_meanwhile(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await branched(api, timeout(1, 1))
    body = {"from": "side", "resolutions": {"/nodes/b/timeout_ms": "theirs"}}
    await api.put("/tags/other", {"from": "main"})
    meanwhile(monkeypatch, lambda: patched(api, "main", *NEW_FIRST))
    made = (await api.post("/workflows/main/merge", body)).json()
    assert [each["pointer"] for each in made["settled"]] == ["/nodes/b/timeout_ms"]
    assert (made["settled_count"], made["op_count"]) == (1, 1)

    meanwhile(monkeypatch, lambda: patched(api, "other", timeout(9, 1)))
    refused = await api.post("/workflows/other/merge", {"from": "side", "prefer": "theirs"})
    assert refused.status_code == 409, "nobody saw this change when the side was chosen"
    (conflict,) = refused.json()["conflicts"]
    assert (conflict["ours"]["value"], conflict["theirs"]["value"]) == (5, 9)


@pytest.mark.parametrize("is_known", [False, True])
async def test_what_was_merged_meanwhile_is_not_merged_again(
    api: Api, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    """Nor what was there from the beginning."""
    await branched(api, timeout(1))

    async def merge() -> Any:
        return (await api.post("/workflows/main/merge", {"from": "side"})).json()

    if is_known:
        await merge()
    move = (lambda: patched(api, "main", timeout(2))) if is_known else merge
    others = meanwhile(monkeypatch, move)
    body = await merge()
    assert (body["outcome"], body["result"]["action"]) == ("up_to_date", None)
    tag_version = others[0]["tag_version"] if is_known else others[0]["result"]["tag_version"]
    assert body["result"]["tag_version"] == tag_version


async def test_a_merge_for_a_version_that_is_named_is_not_rebased(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await branched(api, timeout(1))
    meanwhile(monkeypatch, lambda: patched(api, "main", *NEW_FIRST))
    body = {"from": "side", "expected_version": 2}
    assert (await api.post("/workflows/main/merge", body)).status_code == 409


async def test_two_changes_of_one_place_are_a_conflict(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create("main", "a")
    meanwhile(monkeypatch, lambda: patched(api, "main", timeout(5)))
    refused = await patch(api, "main", [timeout(7)])
    assert (refused.status_code, refused.json()["error"]) == (409, "merge conflict")
    (conflict,) = refused.json()["conflicts"]
    assert conflict["pointer"] == "/nodes/a/timeout_ms"
    assert (conflict["ours"]["value"], conflict["theirs"]["value"]) == (7, 5)
    assert (await api.get("/tags/main")).json()["version"] == 2


async def test_what_somebody_else_has_done_meanwhile_changes_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create("main", "a", "b")
    others = meanwhile(monkeypatch, lambda: patched(api, "main", *add_node("c", "b")))
    body = await patched(api, "main", *add_node("c", "b"))
    assert body["action"] is None
    assert body["version_hash"] == others[0]["version_hash"]


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_tag_that_never_rests_is_given_up(
    make_app: Callable[..., Edge], monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    async with Api.on(make_app(rebase_attempts_max=attempts), TOKEN) as api:
        await api.create("main", "a")
        moves = meanwhile(monkeypatch, renaming(api), times=1_000)
        refused = await patch(api, "main", [timeout(7)])
        assert (refused.status_code, refused.json()["error"]) == (409, "version conflict")
        assert len(moves) == attempts
        assert refused.json()["current_version"] == attempts + 1


@pytest.mark.parametrize("guard", ["hash", "version"])
async def test_a_change_of_a_version_that_is_named_is_not_rebased(
    api: Api, monkeypatch: pytest.MonkeyPatch, guard: str
) -> None:
    base = await api.create("main", "a", "b")
    meanwhile(monkeypatch, lambda: patched(api, "main", timeout(5)))
    headers = {"If-Match": f'"{base["version_hash"]}"'} if guard == "hash" else {}
    params = {"expected_version": 1} if guard == "version" else {}
    refused = await patch(api, "main", [timeout(7, 1)], headers=headers, params=params)
    assert refused.status_code == (412 if guard == "hash" else 409)
    assert refused.json()["current_version"] == 2


async def test_a_key_is_given_the_answer_of_the_rebased_change(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create("main", "a", "b")
    headers = {"Idempotency-Key": str(uuid4())}
    meanwhile(monkeypatch, lambda: patched(api, "main", timeout(5)))
    answers = [await patch(api, "main", [timeout(7, 1)], headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert (await api.get("/tags/main")).json()["version"] == 3


async def test_copies_that_race_with_others_are_made_once(api: Api) -> None:
    await api.create("main", *(f"n{number}" for number in range(4)))
    headers = {"Idempotency-Key": str(uuid4())}
    copies = [patch(api, "main", [timeout(9)], headers=headers) for _ in range(4)]
    others = [patch(api, "main", [timeout(node, node)]) for node in range(1, 4)]
    answers = await asyncio.gather(*copies, *others)
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers[:4]}) == 1
    assert (await api.get("/tags/main")).json()["version"] == 5
