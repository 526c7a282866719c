"""Patches in a transaction, over HTTP on the real application."""

from typing import Any

import pytest

from tests.api import Api, chain
from tests.handlers.test_transaction import run, state
from tests.handlers.test_version import patch


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


@pytest.mark.slow
async def test_many_patches_are_made_together(api: Api) -> None:
    tags = [f"many/{n}" for n in range(300)]
    created = [{"op": "create_workflow", "tag": tag, "workflow": chain("a")} for tag in tags]
    assert (await run(api, *created)).status_code == 200
    made = await run(api, *(timeout(tag, n + 1) for n, tag in enumerate(tags)))
    assert made.status_code == 200, made.text
    assert len({each["version_hash"] for each in made.json()["results"]}) == len(tags)
