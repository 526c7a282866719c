"""Patches in a transaction, over HTTP on the real application."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from orchestrator.service.workflow import WorkflowService
from tests.api import Api, chain
from tests.handlers.patching import patch
from tests.handlers.test_transaction import run, state


def timeout(tag: str, value: int, **members: Any) -> dict[str, Any]:
    operation = {"op": "add", "path": "/nodes/0/timeout_ms", "value": value}
    return {"op": "patch", "tag": tag, "patch": [operation], **members}


async def test_patches_are_made_together_and_leave_what_plain_ones_leave(api: Api) -> None:
    for tag in ("one", "two", "plain"):
        await api.create(tag, tag)
    plain = (await patch(api, "plain", timeout("plain", 1)["patch"])).json()
    made = await run(
        api,
        timeout("one", 1, expected_version=1),
        {"op": "create_workflow", "tag": "new", "workflow": chain("n")},
        timeout("two", 2),
        message="slower",
    )
    assert made.status_code == 200, made.text
    one, _, two = made.json()["results"]
    assert set(one) == set(plain)
    assert [
        (each["kind"], each["depth"], each["op_count"], each["action"]) for each in (one, two)
    ] == [("patch_set", 1, 1, "move")] * 2
    assert (await api.get("/workflows/two")).json()["workflow"]["nodes"][0]["timeout_ms"] == 2
    lineage = (await api.get(f"/artifacts/{one['artifact_id']}/lineage")).json()["items"]
    assert [edge["relation"] for edge in lineage] == ["patch_of"]
    again = (await run(api, timeout("one", 5), timeout("two", 2))).json()["results"]
    assert [(each["depth"], each["action"]) for each in again] == [(2, "move"), (1, None)]
    back = await api.post(f"/transactions/{made.json()['transaction_id']}/revert")
    assert (back.status_code, [each["name"] for each in back.json()["tags"]]) == (409, ["one"])


@pytest.mark.parametrize(
    ("failing", "status", "error"),
    [
        (
            {
                "op": "patch",
                "tag": "two",
                "patch": [{"op": "add", "path": "/edges/-", "value": {"from": "two", "to": "x"}}],
            },
            422,
            "rule broken",
        ),
        (timeout("two", 1, expected_version=7), 409, "version conflict"),
        (timeout("nope", 1), 404, "workflow not found"),
        ({"op": "patch", "tag": "two", "patch": {"nodes": []}}, 400, "invalid input"),
        (
            {"op": "patch", "tag": "two", "patch": [{"op": "remove", "path": "/nodes/9"}]},
            422,
            "patch failed",
        ),
    ],
)
async def test_a_patch_that_is_refused_undoes_all(
    api: Api, failing: dict[str, Any], status: int, error: str
) -> None:
    for tag in ("one", "two"):
        await api.create(tag, tag)
    before = await state(api)
    refused = await run(api, timeout("one", 1), failing)
    assert (refused.status_code, refused.json()["error"]) == (status, error), refused.text
    assert refused.json()["operation"] == 1
    assert await state(api) == before


async def test_a_repeated_key_gets_the_first_answer_though_the_tag_has_moved(api: Api) -> None:
    await api.create("one", "one")
    body = {"operations": [timeout("one", 1, expected_version=1)]}
    first, second = [
        await api.post("/transactions", body, headers={"Idempotency-Key": "patches"})
        for _ in range(2)
    ]
    assert (first.status_code, first.json()) == (200, second.json())


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, move: Callable[[], Awaitable[Any]], times: int = 1
) -> None:
    """Whoever reads the heads of a transaction sees something move right after, so many times."""
    left = [move] * times
    get_by_tags = WorkflowService.get_by_tags

    async def get_by_tags_and_move(*arguments: Any) -> Any:
        found = await get_by_tags(*arguments)
        if left:
            await left.pop()()
        return found

    monkeypatch.setattr(WorkflowService, "get_by_tags", get_by_tags_and_move)


async def test_a_patch_whose_tag_moves_meanwhile_is_rebased_with_all_others(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References stay what they were when the transaction was tried first."""
    for tag in ("one", "two", "source"):
        await api.create(tag, tag)
    numbers = count(1)

    async def move() -> None:
        name = f"v{next(numbers)}"
        for tag in ("one", "source"):
            workflow = chain("new", tag) | {"name": name}
            made = await api.post("/workflows", {"tag": tag, "workflow": workflow})
            assert made.status_code == 201

    meanwhile(monkeypatch, move, times=3)
    refer = {"op": "create", "tag": "refer", "from": "source"}
    made = await run(api, timeout("one", 1), timeout("two", 2, expected_version=1), refer)
    assert made.status_code == 200, made.text
    one, two, referred = made.json()["results"]
    assert [one["tag_version"], two["tag_version"]] == [5, 2]
    workflow = (await api.get("/workflows/one")).json()["workflow"]
    expected = chain("new", "one") | {"name": "v3"}
    expected["nodes"][1]["timeout_ms"] = 1
    assert workflow == expected
    at_first = (await api.get("/workflows/source", params={"version": 2})).json()
    assert referred["version_hash"] == at_first["version_hash"]
    listed = (await api.get("/transactions")).json()["items"]
    assert [each["transaction_id"] for each in listed] == [made.json()["transaction_id"]]


async def test_a_change_of_one_place_or_a_version_that_is_demanded_is_not_rebased(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tag in ("one", "two"):
        await api.create(tag, tag)

    async def move() -> None:
        assert (await patch(api, "two", timeout("two", 9)["patch"])).status_code == 200

    meanwhile(monkeypatch, move)
    refused = await run(api, timeout("one", 1), timeout("two", 2))
    assert (refused.status_code, refused.json()["error"]) == (409, "merge conflict")
    assert (refused.json()["operation"], refused.json()["conflicts_count"]) == (1, 1)
    stale = await run(api, timeout("one", 1), timeout("two", 2, expected_version=1))
    assert (stale.status_code, stale.json()["error"]) == (409, "version conflict")
    assert (await api.get("/tags/one")).json()["version"] == 1


@pytest.mark.slow
async def test_writers_in_transactions_and_others_all_succeed(api: Api) -> None:
    """Of the same two tags, each of nodes of its own."""
    writers, changes = 4, 5
    for tag in ("one", "two"):
        await api.create(tag, *(f"n{number}" for number in range(writers)))

    def slower(tag: str, node: int, value: int) -> dict[str, Any]:
        operation = {"op": "add", "path": f"/nodes/n{node}/timeout_ms", "value": value}
        return {"op": "patch", "tag": tag, "patch": [operation]}

    async def write(node: int) -> list[int]:
        statuses = []
        for value in range(changes):
            steps = [slower(tag, node, value) for tag in ("one", "two")]
            body = {"operations": steps[::-1] if node % 2 else steps}
            made = await api.post("/transactions", body, params={"address": "id"})
            statuses.append(made.status_code)
        return statuses

    assert await asyncio.gather(*map(write, range(writers))) == [[200] * changes] * writers
    for tag in ("one", "two"):
        workflow = (await api.get(f"/workflows/{tag}")).json()
        assert workflow["tag_version"] == writers * changes + 1
        assert {node["timeout_ms"] for node in workflow["workflow"]["nodes"]} == {changes - 1}


@pytest.mark.slow
async def test_many_patches_are_made_together(api: Api) -> None:
    tags = [f"many/{n}" for n in range(300)]
    created = [{"op": "create_workflow", "tag": tag, "workflow": chain("a")} for tag in tags]
    assert (await run(api, *created)).status_code == 200
    made = await run(api, *(timeout(tag, n + 1) for n, tag in enumerate(tags)))
    assert made.status_code == 200, made.text
    assert len({each["version_hash"] for each in made.json()["results"]}) == len(tags)
