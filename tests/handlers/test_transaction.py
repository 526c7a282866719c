"""Many tag operations at once over HTTP, on the real application and database."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, chain


async def run(api: Api, *operations: dict[str, Any], **members: Any) -> Any:
    return await api.post("/transactions", {"operations": list(operations), **members})


async def state(api: Api) -> Any:
    return (
        (await api.get("/tags")).json()["items"],
        (await api.get("/artifacts")).json()["items"],
    )


async def test_operations_run_together_and_answer_in_their_order(api: Api) -> None:
    old = await api.create("production", "old")
    candidate = await api.create("candidate", "new")
    response = await run(
        api,
        {"op": "create_workflow", "tag": "z", "workflow": chain("z")},
        {"op": "move", "tag": "production", "artifact_id": candidate["artifact_id"]},
        {"op": "delete", "tag": "candidate", "expected_version": 1},
        {"op": "create", "tag": "previous", "artifact_id": old["artifact_id"]},
        message="promote",
    )
    assert response.status_code == 200, response.text
    results = response.json()["results"]
    assert [each["action"] for each in results] == ["create", "move", "delete", "create"]
    assert [each.get("tag") or each["name"] for each in results] == [
        "z",
        "production",
        "candidate",
        "previous",
    ]
    assert {each["message"] for each in results} == {"promote"}
    tags, _ = await state(api)
    assert [tag["name"] for tag in tags] == ["previous", "production", "z"]


FAILING = [
    ({"op": "create", "tag": "taken", "artifact_id": "$a"}, 409, "already exists"),
    ({"op": "create_workflow", "tag": "taken", "workflow": chain("n"), "absent": True}, 409, ""),
    ({"op": "move", "tag": "nope", "artifact_id": "$a"}, 404, "tag not found"),
    (
        {"op": "move", "tag": "taken", "artifact_id": "$a", "expected_version": 9},
        409,
        "version conflict",
    ),
    ({"op": "move", "tag": "taken", "artifact_id": str(uuid4())}, 404, "artifact not found"),
    ({"op": "delete", "tag": "nope"}, 404, "tag not found"),
    ({"op": "delete", "tag": "taken", "expected_version": 3}, 409, "version conflict"),
    (
        {"op": "create_workflow", "tag": "taken", "workflow": chain("n"), "expected_version": 9},
        409,
        "version conflict",
    ),
]


@pytest.mark.parametrize(("failing", "status", "error"), FAILING)
@pytest.mark.parametrize("place", [0, 1])
async def test_one_operation_that_fails_undoes_all(
    api: Api, failing: dict[str, Any], status: int, error: str, place: int
) -> None:
    a = (await api.create("taken", "a"))["artifact_id"]
    before = await state(api)
    failing = {k: a if v == "$a" else v for k, v in failing.items()}
    operations = [
        {"op": "create_workflow", "tag": "first", "workflow": chain("first")},
        {"op": "create", "tag": "zlast", "artifact_id": a},
    ]
    operations.insert(place, failing)
    response = await run(api, *operations)
    assert response.status_code == status, response.text
    assert response.json()["operation"] == place
    assert error in response.json()["error"]
    assert await state(api) == before


@pytest.mark.parametrize(
    ("operations", "status", "pointer"),
    [
        ([], 400, "/operations"),
        ([{"op": "explode", "tag": "a"}], 400, "/operations/0/op"),
        ([{"op": "move", "tag": "a"}], 400, "/operations/0/artifact_id"),
        ([{"op": "delete", "tag": ".."}], 400, "/operations/0/tag"),
        ([{"op": "delete", "tag": "a"}, {"op": "delete", "tag": "a"}], 422, "/operations/1/tag"),
        ([{"op": "create", "tag": "a", "artifact_id": "x"}], 400, "/operations/0/artifact_id"),
        (
            [{"op": "create", "tag": "a", "artifact_id": "x", "absent": False}],
            400,
            "/operations/0/absent",
        ),
        (
            [
                {
                    "op": "create_workflow",
                    "tag": "a",
                    "workflow": chain("n"),
                    "absent": True,
                    "expected_version": 1,
                }
            ],
            400,
            "/operations/0/absent",
        ),
        (
            [{"op": "create_workflow", "tag": "a", "workflow": {"nodes": []}}],
            422,
            "/operations/0/workflow/nodes",
        ),
        ([{"op": "delete", "tag": f"t{n}"} for n in range(1_001)], 400, "/operations"),
    ],
)
async def test_a_transaction_that_makes_no_sense_is_refused_and_named(
    api: Api, operations: list[dict[str, Any]], status: int, pointer: str
) -> None:
    response = await run(api, *operations)
    assert response.status_code == status, response.text
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_one_document_under_many_tags_is_one_version(api: Api) -> None:
    operations = [
        {"op": "create_workflow", "tag": tag, "workflow": chain("same")} for tag in ("b", "a")
    ]
    results = (await run(api, *operations)).json()["results"]
    assert [each["tag"] for each in results] == ["b", "a"]
    assert len({each["artifact_id"] for each in results}) == 1


async def test_a_transaction_leaves_what_a_plain_create_leaves(api: Api) -> None:
    """Orchestrated and direct: equal rows and equal bodies but for ids and times."""
    for tag, ids in (("one", ("a",)), ("two", ("b",))):
        await api.create(tag, *ids)
    body = {"tag": "one", "workflow": chain("c", "d"), "expected_version": 1}
    plain = (await api.post("/workflows", {**body, "message": "m"})).json()
    operation = {"op": "create_workflow", **body, "tag": "two", "workflow": chain("d", "c")}
    direct = (await run(api, operation, message="m")).json()["results"][0]
    assert set(plain) == set(direct)
    differing = {name for name in plain if plain[name] != direct[name]}
    assert differing == {
        "tag",
        "artifact_id",
        "cas_id",
        "version_hash",
        "created_at",
        "moved_at",
    }
    lineage = [
        (await api.get(f"/artifacts/{each['artifact_id']}/lineage")).json()["items"]
        for each in (plain, direct)
    ]
    assert [[edge["relation"] for edge in edges] for edges in lineage] == [["revision_of"]] * 2


async def test_overlapping_transactions_wait_for_each_other_and_never_deadlock(api: Api) -> None:
    a, b = [(await api.create(f"s{x}", x))["artifact_id"] for x in "ab"]
    names = [f"tag-{n}" for n in range(8)]
    for name in names:
        await api.put(f"/tags/{name}", {"artifact_id": a})

    async def attempt(number: int) -> int:
        order = names if number % 2 else list(reversed(names))
        target = a if number % 3 else b
        moves = [{"op": "move", "tag": name, "artifact_id": target} for name in order]
        created = [
            {"op": "create_workflow", "tag": f"w{n}", "workflow": chain(f"n{n}")}
            for n in sorted(range(4), reverse=bool(number % 2))
        ]
        return int((await run(api, *moves, *created)).status_code)

    statuses = await asyncio.gather(*(attempt(number) for number in range(40)))
    assert set(statuses) == {200}
