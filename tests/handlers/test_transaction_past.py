"""What transactions moved, and taking them back, over HTTP on the real application."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, chain
from tests.handlers.test_transaction import run

Ids = dict[str, str]


@pytest.fixture
async def ids(api: Api) -> Ids:
    """Three versions, and the tag `prod` that names the first of them."""
    made = {x: (await api.create(f"v/{x}", x))["artifact_id"] for x in "abc"}
    await api.put("/tags/prod", {"artifact_id": made["a"]})
    return made


async def target(api: Api, tag: str) -> str | None:
    response = await api.get(f"/tags/{tag}")
    return response.json()["artifact_id"] if response.status_code == 200 else None


async def revert(api: Api, transaction_id: str, **members: Any) -> Any:
    return await api.post(f"/transactions/{transaction_id}/revert", members)


async def step(api: Api, tag: str, way: str) -> int:
    return int((await api.post(f"/tags/{tag}/{way}")).status_code)


async def test_a_transaction_can_be_looked_at_and_its_moves_name_it(api: Api, ids: Ids) -> None:
    made = (
        await run(
            api,
            {"op": "move", "tag": "prod", "from": "v/b"},
            {"op": "create", "tag": "next", "from": "v/c@1"},
            message="release",
        )
    ).json()
    found = (await api.get(f"/transactions/{made['transaction_id']}")).json()
    assert (found["message"], found["made_by"], found["reverts_id"]) == ("release", "admin", None)
    moves = {
        each["name"]: (each["version"], each["from_id"], each["to_id"]) for each in found["moves"]
    }
    assert moves == {"prod": (2, ids["a"], ids["b"]), "next": (1, None, ids["c"])}
    history = (await api.get("/tags/prod/history")).json()["items"]
    assert [each["transaction_id"] for each in history] == [made["transaction_id"], None]
    assert (await api.get(f"/transactions/{uuid4()}")).status_code == 404
    elsewhere = await api.get(
        f"/transactions/{made['transaction_id']}", params={"namespace": "other"}
    )
    assert elsewhere.status_code == 404


async def test_transactions_are_listed_newest_first_in_pages(api: Api, ids: Ids) -> None:
    made = [
        (await run(api, {"op": "move", "tag": "prod", "artifact_id": ids[x]})).json() for x in "bcb"
    ]
    expected = [each["transaction_id"] for each in reversed(made)]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2, "made_by": "admin", "since": "2026-01-01T00:00:00Z"}
    while True:
        page = (await api.get("/transactions", params=query)).json()
        found += [each["transaction_id"] for each in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == expected
    for nobody in ({"made_by": "eve"}, {"until": "2026-01-01T00:00:00Z"}):
        assert (await api.get("/transactions", params=nobody)).json()["items"] == []
    assert (await api.get("/transactions?made_by=%00")).status_code == 400


async def test_a_revert_takes_all_tags_back_and_reverting_it_brings_the_release_back(
    api: Api, ids: Ids
) -> None:
    for name in ("moved", "gone", "undone"):
        await api.put(f"/tags/{name}", {"artifact_id": ids["a"]})
    await api.post("/tags/undone/move", {"artifact_id": ids["b"]})
    release = await run(
        api,
        {"op": "move", "tag": "moved", "artifact_id": ids["b"]},
        {"op": "create", "tag": "new", "artifact_id": ids["c"]},
        {"op": "delete", "tag": "gone"},
        {"op": "undo", "tag": "undone"},
        {"op": "create_workflow", "tag": "prod", "workflow": chain("z")},
    )
    assert release.status_code == 200, release.text
    names = ("moved", "new", "gone", "undone", "prod")
    before = (ids["a"], None, ids["a"], ids["b"], ids["a"])
    released = [await target(api, name) for name in names]
    ran = release.json()["transaction_id"]

    back = await revert(api, ran, message="bad")
    assert back.status_code == 200, back.text
    assert {each["message"] for each in back.json()["results"]} == {"bad"}
    assert [await target(api, name) for name in names] == list(before)
    actions = {each["name"]: each["action"] for each in back.json()["results"]}
    assert actions == {name: "delete" if name == "new" else "undo" for name in names}
    assert (await api.get(f"/transactions/{ran}")).json()["reverted_by_id"] == (
        back.json()["transaction_id"]
    )

    second = await revert(api, ran)
    assert (second.status_code, second.json()["error"]) == (409, "already reverted")
    again = await revert(api, back.json()["transaction_id"])
    assert again.status_code == 200, again.text
    assert [await target(api, name) for name in names] == released
    last = await revert(api, again.json()["transaction_id"])
    assert last.status_code == 200, last.text
    assert [await target(api, name) for name in names] == list(before)


async def test_after_a_revert_redo_releases_again_and_undo_never_does(api: Api, ids: Ids) -> None:
    await api.post("/tags/prod/move", {"artifact_id": ids["b"]})
    made = await run(
        api,
        {"op": "move", "tag": "prod", "artifact_id": ids["c"]},
        {"op": "create", "tag": "new", "artifact_id": ids["c"]},
    )
    await revert(api, made.json()["transaction_id"])
    assert [await step(api, tag, "redo") for tag in ("prod", "new")] == [200, 200]
    assert [await target(api, tag) for tag in ("prod", "new")] == [ids["c"]] * 2
    assert [await step(api, tag, "undo") for tag in ("prod", "new")] == [200, 409]
    assert await target(api, "prod") == ids["b"]
    assert await step(api, "prod", "undo") == 200
    assert await target(api, "prod") == ids["a"]
    assert await step(api, "prod", "undo") == 409

    made = await run(api, {"op": "create", "tag": "other", "artifact_id": ids["c"]})
    await revert(api, made.json()["transaction_id"])
    assert await step(api, "other", "undo") == 409
    assert await target(api, "other") is None


async def test_tags_that_moved_since_are_all_named_and_nothing_is_done(api: Api, ids: Ids) -> None:
    names = [f"t{n}" for n in range(5)]
    made = await run(
        api, *({"op": "create", "tag": name, "artifact_id": ids["a"]} for name in names)
    )
    await api.post("/tags/t1/move", {"artifact_id": ids["b"]})
    await api.delete("/tags/t3")
    await api.post("/tags/t4/move", {"artifact_id": ids["b"]})
    await api.post("/tags/t4/undo")  # It stands where the transaction left it.
    refused = await revert(api, made.json()["transaction_id"])
    assert (refused.status_code, refused.json()["error"]) == (409, "tags moved")
    assert [
        (each["name"], each["version"], each["current_version"], each["current_artifact_id"])
        for each in refused.json()["tags"]
    ] == [("t1", 1, 2, ids["b"]), ("t3", 1, 2, None)]
    assert [await target(api, name) for name in names] == [
        *(ids["a"], ids["b"], ids["a"], None, ids["a"])
    ]
    await api.post("/tags/t1/undo")
    await api.post("/tags/t3/undo")
    done = await revert(api, made.json()["transaction_id"])
    assert done.status_code == 200, done.text
    assert [await target(api, name) for name in names] == [None] * 5


async def test_a_revert_may_expect_versions_of_its_tags(api: Api, ids: Ids) -> None:
    made = (await run(api, {"op": "move", "tag": "prod", "artifact_id": ids["b"]})).json()
    stale = await revert(api, made["transaction_id"], expected={"prod": 1})
    assert (stale.status_code, stale.json()["tags"][0]["current_version"]) == (409, 2)
    other = await revert(api, made["transaction_id"], expected={"v/a": 1})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (400, "/expected/v~1a")
    done = await revert(api, made["transaction_id"], expected={"prod": 2})
    assert done.status_code == 200, done.text
    assert (await revert(api, str(uuid4()))).status_code == 404


async def test_of_concurrent_reverts_one_wins(api: Api, ids: Ids) -> None:
    made = (await run(api, {"op": "move", "tag": "prod", "artifact_id": ids["b"]})).json()
    answers = await asyncio.gather(*(revert(api, made["transaction_id"]) for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [200, *[409] * 7]
    assert {each.json()["error"] for each in answers if each.status_code == 409} == {
        "already reverted"
    }
    versions = [each["seq"] for each in (await api.get("/tags/prod/history")).json()["items"]]
    assert versions == [3, 2, 1]


async def test_a_revert_with_a_key_is_made_once(api: Api, ids: Ids) -> None:
    made = (await run(api, {"op": "move", "tag": "prod", "artifact_id": ids["b"]})).json()
    path = f"/transactions/{made['transaction_id']}/revert"
    first, second = [await api.post(path, headers={"Idempotency-Key": "reverts"}) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, second.json())


@pytest.mark.parametrize(
    ("source", "status", "pointer"),
    [
        ({}, 400, "/operations/0/artifact_id"),
        ({"from": "v/b", "artifact_id": str(uuid4())}, 400, "/operations/0/artifact_id"),
        ({"from": "a//b"}, 400, "/operations/0/from"),
        ({"from": "nope"}, 404, None),
        ({"from": "prod@9"}, 404, None),
        ({"from": "blake3:" + "0" * 64}, 404, None),
    ],
)
async def test_a_reference_to_nothing_is_refused_and_named(
    api: Api, ids: Ids, source: dict[str, Any], status: int, pointer: str | None
) -> None:
    refused = await run(api, {"op": "move", "tag": "prod", **source})
    assert (refused.status_code, refused.json()["operation"]) == (status, 0), refused.text
    if pointer is not None:
        assert refused.json()["errors"][0]["pointer"] == pointer
    assert await target(api, "prod") == ids["a"]


async def test_references_are_of_what_was_there_before_the_transaction(api: Api, ids: Ids) -> None:
    made = await run(
        api,
        {"op": "move", "tag": "v/a", "from": "v/b"},
        {"op": "move", "tag": "v/b", "from": "v/a"},
        {"op": "move", "tag": "prod", "from": "@1"},
    )
    assert made.status_code == 200, made.text
    assert [await target(api, tag) for tag in ("v%2Fa", "v%2Fb", "prod")] == [
        *(ids["b"], ids["a"], ids["a"])
    ]
    moved = await api.post("/tags/prod/move", {"from": "v/c", "expected_version": 1})
    assert (moved.status_code, moved.json()["artifact_id"]) == (200, ids["c"])


async def test_a_step_that_leads_nowhere_undoes_the_transaction(api: Api, ids: Ids) -> None:
    for operation, error in (
        ({"op": "undo", "tag": "prod"}, "nothing to undo"),
        ({"op": "redo", "tag": "prod"}, "nothing to redo"),
        ({"op": "undo", "tag": "nope"}, "tag not found"),
        ({"op": "redo", "tag": "prod", "expected_version": 7}, "version conflict"),
    ):
        refused = await run(api, {"op": "move", "tag": "v/a", "artifact_id": ids["b"]}, operation)
        assert (refused.json()["error"], refused.json()["operation"]) == (error, 1)
    assert await target(api, "v%2Fa") == ids["a"]
    assert (await api.get("/transactions")).json()["items"] == []


async def test_deleted_tags_can_be_listed_and_restored(api: Api, ids: Ids) -> None:
    await api.delete("/tags/prod")
    page = (await api.get("/tags", params={"deleted": "true"})).json()
    assert [(each["name"], each["artifact_id"]) for each in page["items"]] == [("prod", None)]
    assert await step(api, "prod", "undo") == 200
    assert await target(api, "prod") == ids["a"]
    assert (await api.get("/tags", params={"deleted": "true"})).json()["items"] == []


@pytest.mark.slow
async def test_a_thousand_tags_move_and_go_back_together(api: Api, ids: Ids) -> None:
    names = [f"many/{n}" for n in range(1_000)]
    made = await run(api, *({"op": "create", "tag": name, "from": "v/a"} for name in names))
    assert made.status_code == 200, made.text
    moved = await run(api, *({"op": "move", "tag": name, "from": "v/b"} for name in names))
    for way in ("undo", "redo"):
        walked = await run(api, *({"op": way, "tag": name} for name in names))
        assert walked.status_code == 200, walked.text
    for each in (moved, made):
        back = await revert(api, each.json()["transaction_id"])
        assert back.status_code == 200, back.text
        assert len(back.json()["results"]) == len(names)
    left = (await api.get("/tags", params={"limit": 1_000})).json()["items"]
    assert [each["name"] for each in left] == ["prod", "v/a", "v/b", "v/c"]
