"""Chains of patches over HTTP, their compaction, and branches from them."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.handlers.http.edge import Edge
from tests.api import Api
from tests.conftest import TOKEN
from tests.handlers.patching import document, patched, timeout


async def test_a_page_of_versions_needs_the_tag(api: Api) -> None:
    await api.create("main", "a")
    for number in (1, 2):
        await patched(api, "main", timeout(number))
    page = (await api.get("/workflows/main/versions", params={"limit": 1})).json()
    cursor = {"cursor": page["next"]}
    assert (await api.get("/workflows/main/versions", params=cursor)).status_code == 200
    assert (await api.get("/workflows/nope/versions", params=cursor)).status_code == 404


async def test_the_chain_is_listed_newest_first_in_pages(api: Api) -> None:
    await api.create("main", "a")
    for number in range(1, 5):
        await patched(api, "main", timeout(number), params={"message": f"m{number}"})
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/workflows/main/versions", params={"limit": 2, **cursor})).json()
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [(v["seq"], v["message"], v["op_count"]) for v in seen] == [
        (4, "m4", 1),
        (3, "m3", 1),
        (2, "m2", 1),
        (1, "m1", 1),
        (0, None, 0),
    ]


async def test_every_position_of_the_chain_is_a_version(api: Api) -> None:
    await api.create("main", "a")
    for number in (1, 2):
        await patched(api, "main", timeout(number))
    for seq, expected in ((0, None), (1, 1), (2, 2)):
        response = await api.get(f"/workflows/main/versions/{seq}")
        body = response.json()
        assert body["seq"] == seq
        assert body["workflow"]["nodes"][0].get("timeout_ms") == expected
        etag = response.headers["etag"]
        known = await api.get(f"/workflows/main/versions/{seq}", headers={"If-None-Match": etag})
        assert known.status_code == 304
    assert (await api.get("/workflows/main/versions/3")).status_code == 404
    for bad in ("-1", "x", "1e1", "9" * 30, "%ff"):
        assert (await api.get(f"/workflows/main/versions/{bad}")).status_code == 400


async def test_a_plain_version_has_only_the_position_zero(api: Api) -> None:
    await api.create("main", "a")
    assert (await api.get("/workflows/main/versions/0")).status_code == 200
    assert (await api.get("/workflows/main/versions/1")).status_code == 404


async def test_a_chain_taken_apart_is_its_base_and_its_operations(api: Api) -> None:
    base = await api.create("main", "a")
    one = await patched(api, "main", timeout(1))
    two = await patched(api, "main", timeout(2))
    body = (await api.get("/workflows/main", params={"materialize": "false"})).json()
    assert body["base"]["artifact_id"] == base["artifact_id"]
    assert [p["operations"] for p in body["patches"]] == [[timeout(1)], [timeout(2)]]
    chain_ = (await api.get(f"/artifacts/{two['artifact_id']}/chain")).json()
    assert chain_["base"]["artifact_id"] == base["artifact_id"]
    assert [p["artifact_id"] for p in chain_["patches"]] == [
        one["artifact_id"],
        two["artifact_id"],
    ]


async def test_compaction_keeps_the_bytes_and_the_chain_and_moves_only_when_asked(
    api: Api,
) -> None:
    await api.create("main", "a")
    for number in (1, 2, 3):
        head = await patched(api, "main", timeout(number))
    body = (await api.post("/workflows/main/compact", {})).json()
    assert (body["created"], body["moved"], body["original_depth"]) == (True, False, 3)
    assert body["version_hash"] == head["version_hash"]
    assert (await api.get("/tags/main")).json()["artifact_id"] == head["artifact_id"]
    artifact = (await api.get(f"/artifacts/{body['artifact_id']}")).json()
    assert artifact["kind"] == "dag_version"
    assert artifact["meta"]["original_depth"] == 3
    up = (await api.get(f"/artifacts/{body['artifact_id']}/lineage")).json()["items"]
    assert up[0]["relation"] == "compacted_from"
    before = (await api.get("/workflows/main")).content.partition(b'"workflow":')[2]
    stale = await api.post(
        "/workflows/main/compact", {"move": True}, headers={"If-Match": '"blake3:x"'}
    )
    assert stale.status_code == 412
    etag = {"If-Match": f'"{head["version_hash"]}"'}
    moved = await api.post("/workflows/main/compact", {"move": True}, headers=etag)
    assert (moved.json()["created"], moved.json()["moved"]) == (False, True)
    after = (await api.get("/workflows/main")).content.partition(b'"workflow":')[2]
    assert before == after
    tag = (await api.get("/tags/main")).json()
    assert (tag["kind"], tag["version_hash"]) == ("dag_version", head["version_hash"])
    again = await api.post("/workflows/main/compact", {})
    assert (again.status_code, again.json()["error"]) == (409, "nothing to compact")


@pytest.mark.slow
async def test_a_thousand_patches_on_one_branch_work(make_app: Callable[..., Edge]) -> None:
    async with Api.on(make_app(access_log=False, log_level="warning"), TOKEN) as api:
        await api.create("main", "a", "b")
        for number in range(1, 1_001):
            head = await patched(api, "main", timeout(number, number % 2))
        assert head["depth"] == 1_000
        assert (await document(api, "main"))["nodes"][0]["timeout_ms"] == 1_000
        middle = (await api.get("/workflows/main/versions/500")).json()
        assert middle["workflow"]["nodes"][0]["timeout_ms"] == 500
        page = (await api.get("/workflows/main/versions", params={"limit": 1_000})).json()
        assert len(page["items"]) == 1_000
        assert page["next"] is not None


async def test_which_tags_name_a_version_or_ever_did(api: Api) -> None:
    base = await api.create("main", "a")
    await api.put("/tags/release", {"artifact_id": base["artifact_id"]})
    await patched(api, "main", timeout(1))
    items = (await api.get(f"/artifacts/{base['artifact_id']}/tags")).json()["items"]
    assert [(i["name"], i["current"], i["first_version"]) for i in items] == [
        ("main", False, 1),
        ("release", True, 1),
    ]
    page = (await api.get(f"/artifacts/{base['artifact_id']}/tags", params={"limit": 1})).json()
    rest = await api.get(f"/artifacts/{base['artifact_id']}/tags", params={"cursor": page["next"]})
    assert [i["name"] for i in rest.json()["items"]] == ["release"]


async def test_a_branch_starts_from_any_tag_version_artifact_or_hash(api: Api) -> None:
    first = await api.create("main", "a")
    second = await api.create("main", "b")
    sources = {
        "main": second,
        "main@1": first,
        first["artifact_id"]: first,
        first["version_hash"]: first,
    }
    for number, (source, expected) in enumerate(sources.items()):
        body = {"from": source}
        response = await api.put(f"/tags/b{number}", body, headers={"If-None-Match": "*"})
        assert (response.status_code, response.json()["artifact_id"]) == (
            201,
            expected["artifact_id"],
        )
    for bad, status in (
        ({"from": "nope"}, 404),
        ({"from": "main@9"}, 404),
        ({"from": "main@0"}, 400),
        ({"from": "blake3:" + "0" * 64}, 404),
        ({"from": str(uuid4())}, 404),
        ({"from": ".."}, 400),
        ({}, 400),
        ({"from": "main", "artifact_id": first["artifact_id"]}, 400),
    ):
        assert (await api.put("/tags/x", bad)).status_code == status, bad


async def test_a_whole_version_named_by_digits_is_reverted_to_its_parent(api: Api) -> None:
    await api.create("main", "a", "b")
    second = await api.create("main", "a", "b", "c")
    digits = second["version_hash"][7:15]
    done = await api.post("/workflows/main/revert", {"version": digits})
    assert done.status_code == 200, done.text
    assert (done.json()["nodes_count"], done.json()["tag_version"]) == (2, 3)
