"""What people and agents want done, and how many requests that takes: each count is a promise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from blake3 import blake3

from tests.api import Api, chain, path

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


@asynccontextmanager
async def requests(api: Api, number: int) -> AsyncIterator[None]:
    """Inside, so many requests are sent, and none of them is refused."""
    answers: list[httpx2.Response] = []

    async def count(answer: httpx2.Response) -> None:
        answers.append(answer)

    hooks = api.http.event_hooks
    api.http.event_hooks = {**hooks, "response": [*hooks["response"], count]}
    try:
        yield
    finally:
        api.http.event_hooks = hooks
    assert len(answers) == number
    for answer in answers:
        assert answer.status_code < 400, await answer.aread()


async def json(answer: Any) -> Any:
    return (await answer).json()


async def targets(api: Api, prefix: str) -> dict[str, str]:
    found = await json(api.get(f"/tags?prefix={path(prefix)}"))
    return {each["name"]: each["artifact_id"] for each in found["items"]}


async def test_a_release_of_ten_tags_is_one_request_and_so_is_taking_it_back(api: Api) -> None:
    for number in range(10):
        await api.create(f"next/s{number}", "a", f"new{number}")
        await api.create(f"prod/s{number}", "a", f"old{number}")
    new = {name.replace("next", "prod"): id_ for name, id_ in (await targets(api, "next/")).items()}
    old = await targets(api, "prod/")
    async with requests(api, 1):
        release = await json(
            api.post(
                "/transactions",
                {
                    "message": "release 7",
                    "operations": [
                        {"op": "move", "tag": f"prod/s{n}", "from": f"next/s{n}"} for n in range(10)
                    ],
                },
            )
        )
    assert await targets(api, "prod/") == new
    where = f"/transactions/{release['transaction_id']}"
    async with requests(api, 1):
        back = await json(api.post(f"{where}/revert", {"message": "too slow"}))
    assert await targets(api, "prod/") == old
    async with requests(api, 1):
        await api.post(f"/transactions/{back['transaction_id']}/revert")
    assert await targets(api, "prod/") == new
    async with requests(api, 1):
        moved = (await json(api.get(where)))["moves"]
    assert {each["name"]: each["to_id"] for each in moved} == new


async def test_five_agents_that_edit_their_own_nodes_need_no_request_twice(api: Api) -> None:
    await api.create("flow", *(f"n{number}" for number in range(5)))

    async def edit(agent: int) -> None:
        for number in range(4):
            operation = {"op": "add", "path": f"/nodes/{agent}/timeout_ms", "value": number}
            await api.http.patch("/api/v1/workflows/flow", json=[operation], headers=JSON_PATCH)

    async with requests(api, 20):
        await asyncio.gather(*(edit(agent) for agent in range(5)))
    nodes = (await json(api.get("/workflows/flow")))["workflow"]["nodes"]
    assert [node["timeout_ms"] for node in nodes] == [3] * 5


async def test_an_agent_that_read_an_older_version_changes_it_in_one_request(api: Api) -> None:
    await api.create("flow", "a", "b")
    read = await api.get("/workflows/flow")
    await api.create("flow", "a", "b", "c")
    operation = {"op": "add", "path": "/nodes/0/timeout_ms", "value": 1}
    async with requests(api, 1):
        merged = await json(
            api.http.patch(
                "/api/v1/workflows/flow?on_conflict=merge",
                json=[operation],
                headers={**JSON_PATCH, "If-Match": read.headers["etag"]},
            )
        )
    assert merged["merged"] is True
    async with requests(api, 2):  # What a diff gives is taken.
        diff = await json(api.get("/diff?from=flow&to=flow@1"))
        await api.http.patch("/api/v1/workflows/flow", json=diff["patch"], headers=JSON_PATCH)
    assert (await json(api.get("/workflows/flow")))["workflow"] == chain("a", "b")


async def test_a_model_with_its_parents_and_its_tag_is_one_request_more_than_its_files(
    api: Api,
) -> None:
    data = await json(api.post("/artifacts", {"kind": "dataset", "meta": {"rows": 9}, "tag": "d"}))
    flow = await api.create("train", "a")
    files = {f"weights/{number}.bin": b"w%d" % number for number in range(3)}
    names = {name: f"blake3:{blake3(content).hexdigest()}" for name, content in files.items()}
    async with requests(api, 1):
        missing = (await json(api.post("/cas/missing", {"cas_ids": [*names.values()]})))["missing"]
    async with requests(api, 4):
        for name, content in files.items():
            if names[name] in missing:
                await api.http.post("/api/v1/cas", content=content)
        model = await json(
            api.post(
                "/artifacts",
                {
                    "kind": "model",
                    "name": "churn",
                    "blobs": [{"cas_id": cas_id, "name": name} for name, cas_id in names.items()],
                    "meta": {"accuracy": 0.9, "config": names["weights/0.bin"]},
                    "parents": [
                        {"tag": "d@1", "relation": "trained_on"},
                        {"artifact_id": flow["artifact_id"], "relation": "made_by"},
                    ],
                    "tag": "model/v1",
                },
            )
        )
    async with requests(api, 1):
        found = (await json(api.get("/artifacts?kind=model&meta.accuracy=0.9")))["items"]
    assert [each["artifact_id"] for each in found] == [model["artifact_id"]]
    where = f"/artifacts/{model['artifact_id']}"
    async with requests(api, 1):
        assert (await api.get(f"{where}/blobs/weights%2F1.bin")).content == b"w1"
    async with requests(api, 2):
        said = {"kind": "annotation", "meta": {"verdict": "passed"}}
        about = {"artifact_id": model["artifact_id"], "relation": "about"}
        await api.post("/artifacts", {**said, "parents": [about]})
        (annotation,) = (await json(api.get(f"{where}/annotations")))["items"]
    assert annotation["meta"] == said["meta"]
    async with requests(api, 1):
        lineage = await json(api.get(f"{where}/lineage?direction=both&include=tags"))
    assert {(each["direction"], each["relation"], *each["tags"]) for each in lineage["items"]} == {
        ("up", "trained_on", "d"),
        ("up", "made_by", "train"),
        ("down", "about"),
    }
    assert data["artifact_id"] in {each["parent_id"] for each in lineage["items"]}


async def test_what_an_auditor_asks_is_one_request_each(api: Api) -> None:
    first = await api.create("prod/flow", "a", "b", message="first")
    before = (await json(api.get("/moves")))["items"][0]["moved_at"]
    operation = {"op": "add", "path": "/nodes/1/timeout_ms", "value": 5}
    await api.http.patch(
        "/api/v1/workflows/prod%2Fflow?message=retry", json=[operation], headers=JSON_PATCH
    )
    await api.create("prod/gone", "c")
    await api.delete("/tags/prod%2Fgone")

    async with requests(api, 1):  # Who changed what in production since yesterday?
        moves = await json(api.get("/moves?prefix=prod/&since=-24h&total=true"))
    assert [(each["name"], each["action"]) for each in moves["items"]] == [
        ("prod/gone", "delete"),
        ("prod/gone", "create"),
        ("prod/flow", "move"),
        ("prod/flow", "create"),
    ]
    assert moves["total"] == 4
    async with requests(api, 1):  # What was everything at that moment?
        then = (await json(api.get(f"/tags?at={path(before)}")))["items"]
    assert [(each["name"], each["artifact_id"]) for each in then] == [
        ("prod/flow", first["artifact_id"])
    ]
    async with requests(api, 1):  # Who made this node what it is, when and why?
        blame = await json(api.get("/workflows/prod%2Fflow/blame"))
    assert {id_: each["message"] for id_, each in blame["nodes"].items()} == {
        "a": "first",
        "b": "retry",
    }
    async with requests(api, 1):  # What happened to it?
        events = (await json(api.get("/workflows/prod%2Fflow/nodes/b/history")))["items"]
    assert [each["action"] for each in events] == ["changed", "added"]
    async with requests(api, 1):  # What is the difference between two versions?
        diff = await json(api.get("/diff?from=prod/flow@1&to=prod/flow"))
    assert [each["op"] for each in diff["patch"]] == ["add"]
    async with requests(api, 2):  # What was deleted? Bring it back.
        (deleted,) = (await json(api.get("/tags?deleted=true")))["items"]
        await api.post(f"/tags/{path(deleted['name'])}/undo")
    assert {*await targets(api, "prod/")} == {"prod/flow", "prod/gone"}
