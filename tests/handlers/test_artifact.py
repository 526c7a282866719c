"""The catalogue over HTTP, on the real application and database."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from orchestrator.handlers.artifact_lineage import WAITING
from orchestrator.handlers.http.paging import encoded
from orchestrator.service.artifact_lineage import WAITING_MAX
from tests.api import Api, chain, path

#: Patches of this artifact, under these ids.
PATCH = """
INSERT INTO artifact (artifact_id, namespace, kind, cas_id, version_hash, base_id, depth, op_count,
                      created_by)
SELECT id, namespace, 'patch_set', cas_id, version_hash, artifact_id, 1, 1, created_by
  FROM artifact, unnest($2::uuid[]) id WHERE artifact_id = $1
"""
#: Edges from a child to each of these, or from each of these to a parent.
LINK = """
INSERT INTO lineage (child_id, parent_id, relation)
SELECT coalesce($2::uuid, id), coalesce($3::uuid, id), 'merged_from' FROM unnest($1::uuid[]) id
"""


async def test_an_artifact_tells_all_it_has(api: Api, namespace: str) -> None:
    created = await api.create("main", "a", "b")
    response = await api.get(f"/artifacts/{created['artifact_id']}")
    body = response.json()
    assert body["created_at"] == created["created_at"]
    assert {**body, "created_at": ""} == {
        "artifact_id": created["artifact_id"],
        "namespace": namespace,
        "kind": "dag_version",
        "cas_id": created["cas_id"],
        "media_type": "application/json;type=dag",
        "name": None,
        "version_hash": created["version_hash"],
        "plan_hash": None,
        "base_id": None,
        "previous_id": None,
        "depth": 0,
        "op_count": 0,
        "nodes_count": 2,
        "edges_count": 1,
        "meta": {},
        "created_by": "admin",
        "created_at": "",
        "blobs": [],
        "parents": [],
        "references": [],
        "retained": False,
        "expires_at": None,
    }
    etag = response.headers["etag"]
    known = await api.get(f"/artifacts/{body['artifact_id']}", headers={"If-None-Match": etag})
    assert known.status_code == 304


@pytest.mark.parametrize("suffix", ["", "/chain", "/lineage"])
async def test_an_unknown_artifact_is_404_and_a_malformed_name_400(api: Api, suffix: str) -> None:
    unknown = await api.get(f"/artifacts/{uuid4()}{suffix}")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "artifact not found")
    for name in ("a%20b", "%ff", "blake3:1", "@1", "sha256:1"):
        assert (await api.get(f"/artifacts/{name}{suffix}")).status_code == 400


async def test_an_artifact_is_named_by_a_tag_a_version_of_it_and_digits_of_its_hash(
    api: Api,
) -> None:
    first = await api.create("team/main", "a")
    await api.create("team/main", "b")
    hash_ = first["version_hash"]
    for name in ("team%2Fmain@1", hash_, hash_[:15], hash_[7:15], first["artifact_id"]):
        for part in ("", "/lineage", "/tags", "/annotations", "/blobs", "/chain"):
            found = await api.get(f"/artifacts/{name}{part}")
            assert found.status_code == 200, (name, part, found.text)
            is_immutable = "immutable" in found.headers.get("cache-control", "")
            assert is_immutable == (part == "/chain" and name == first["artifact_id"])
        assert (await api.get(f"/artifacts/{name}")).json()["artifact_id"] == first["artifact_id"]
    assert (await api.get("/artifacts/team%2Fmain")).json()["version_hash"] != hash_
    assert (await api.get("/artifacts/nobody")).json()["error"] == "tag not found"


async def test_artifacts_are_listed_by_kind_and_version_in_pages(api: Api) -> None:
    created = [await api.create(tag, tag) for tag in "abc"]

    async def ids(**query: Any) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await api.get("/artifacts", params={"limit": 1, **query, **cursor})).json()
            found += [item["artifact_id"] for item in page["items"]]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    newest_first = [each["artifact_id"] for each in reversed(created)]
    assert await ids() == newest_first
    assert await ids(kind="dag_version") == newest_first
    assert await ids(kind="patch_set") == []
    assert await ids(version_hash=created[1]["version_hash"]) == [created[1]["artifact_id"]]
    assert (await api.get("/artifacts", params={"kind": "X"})).status_code == 400
    assert (await api.get("/artifacts", params={"version_hash": "x"})).status_code == 400


async def test_the_chain_of_a_plain_version_is_itself(api: Api) -> None:
    created = await api.create("main", "a")
    body = (await api.get(f"/artifacts/{created['artifact_id']}/chain")).json()
    assert (body["base"]["artifact_id"], body["patches"]) == (created["artifact_id"], [])


async def test_lineage_leads_from_revision_to_revision_and_back(api: Api) -> None:
    created = [await api.create("main", *"abcd"[:count]) for count in (1, 2, 3)]
    ids = [each["artifact_id"] for each in created]
    up = (await api.get(f"/artifacts/{ids[2]}/lineage", params={"limit": 1})).json()
    assert [(e["parent_id"], e["relation"]) for e in up["items"]] == [(ids[1], "revision_of")]
    rest = await api.get(f"/artifacts/{ids[2]}/lineage", params={"cursor": up["next"]})
    assert [(e["parent_id"], e["distance"]) for e in rest.json()["items"]] == [(ids[0], 2)]
    down = await api.get(f"/artifacts/{ids[0]}/lineage", params={"direction": "down", "depth": 1})
    assert [e["child_id"] for e in down.json()["items"]] == [ids[1]]


async def test_pages_of_lineage_are_one_list_with_each_edge_once(api: Api) -> None:
    for count in range(1, 8):
        head = await api.create("main", *"abcdefg"[:count])
    path = f"/artifacts/{head['artifact_id']}/lineage"
    whole = (await api.get(path)).json()
    assert [edge["distance"] for edge in whole["items"]] == [1, 2, 3, 4, 5, 6]
    assert whole["next"] is None
    for limit in (1, 2, 5):
        items: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": limit}
        while len(items) < 6:
            page = (await api.get(path, params=query)).json()
            assert len(page["items"]) == min(limit, 6 - len(items))
            items += page["items"]
            query["cursor"] = page["next"]
        assert items == whole["items"]
        assert page["next"] is None


async def test_both_ways_are_one_list_first_what_it_came_from(api: Api) -> None:
    ids = [(await api.create("main", *"abcdef"[:count]))["artifact_id"] for count in range(1, 7)]
    await api.put("/tags/third", {"artifact_id": ids[2]})
    for start in (0, 2, 5):
        where = f"/artifacts/{ids[start]}/lineage"
        up, down, both = [
            (await api.get(where, params={"direction": way, "include": "tags"})).json()
            for way in ("up", "down", "both")
        ]
        assert [each["direction"] for each in up["items"]] == ["up"] * start
        assert [each["direction"] for each in down["items"]] == ["down"] * (5 - start)
        assert both["items"] == up["items"] + down["items"]
        for limit in (1, 2, 3):
            items: list[dict[str, Any]] = []
            query: dict[str, Any] = {"direction": "both", "include": "tags", "limit": limit}
            while len(items) < 5:
                page = (await api.get(where, params=query)).json()
                assert len(page["items"]) == min(limit, 5 - len(items))
                items += page["items"]
                query["cursor"] = page["next"]
            assert (items, page["next"]) == (both["items"], None)
    where = f"/artifacts/{ids[2]}/lineage"
    for depth, truncated in ((1, True), (2, True), (3, False)):
        query = {"direction": "both", "depth": depth}
        body = (await api.get(where, params=query)).json()
        assert (len(body["items"]), body["truncated"]) == (min(2, depth) + depth, truncated)


async def test_a_walk_at_which_too_many_wait_goes_on_too(api: Api, shared_database: str) -> None:
    base = UUID((await api.create("base", "a"))["artifact_id"])
    between = [UUID(int=base.int + 1 + number) for number in range(WAITING_MAX + 2)]
    database = await asyncpg.connect(shared_database)
    await database.execute(PATCH, base, between)
    head = UUID((await api.create("head", "b"))["artifact_id"])
    for child, parent in ((head, None), (None, base)):
        await database.execute(LINK, between, child, parent)
    await database.close()
    where = f"/artifacts/{head}/lineage"
    whole = (await api.get(where, params={"limit": 1_000})).json()
    assert len(whole["items"]) == 2 * len(between)
    page = (await api.get(where, params={"limit": WAITING_MAX + 1})).json()
    assert len(page["next"]) < 200, "a cursor does not list so many"
    query = {"limit": 1_000, "cursor": page["next"]}
    rest = (await api.get(where, params=query)).json()
    assert page["items"] + rest["items"] == whole["items"]
    assert rest["next"] is None


async def test_a_cursor_leads_to_no_artifact_of_another_namespace(api: Api) -> None:
    theirs = {"namespace": "theirs"}
    for nodes in ("a", "ab", "abc"):
        body = {"tag": "main", "workflow": chain(*nodes)}
        head = (await api.post("/workflows", body, params=theirs)).json()["artifact_id"]
    mine = (await api.create("main", "a"))["artifact_id"]
    waiting = WAITING.pack(UUID(head).bytes, 0)
    cursor = encoded((UUID(mine), UUID(mine), "revision_of", waiting, True))
    page = await api.get(f"/artifacts/{mine}/lineage", params={"cursor": cursor})
    assert page.json() == {"items": [], "next": None, "truncated": False}
    seen = await api.get(f"/artifacts/{head}/lineage", params={"cursor": cursor, **theirs})
    assert len(seen.json()["items"]) == 2


def cursor_of(relation: str, waiting: bytes, *, up: bool = True) -> str:
    return encoded((uuid4(), uuid4(), relation, waiting, up))


@pytest.mark.parametrize(
    "query",
    [
        {"direction": "sideways"},
        {"depth": 0},
        {"depth": 10_001},
        {"cursor": "W10"},
        {"cursor": cursor_of("no such relation", bytes(18))},
        {"cursor": cursor_of("patch_of", b"")},
        {"cursor": cursor_of("patch_of", bytes(17))},
        {"cursor": cursor_of("patch_of", bytes(18 * 101))},
        {"cursor": cursor_of("patch_of", bytes(18)), "direction": "down"},
        {"cursor": cursor_of("patch_of", bytes(18), up=False)},
    ],
)
async def test_a_lineage_that_cannot_be_walked_is_400(api: Api, query: dict[str, Any]) -> None:
    created = await api.create("main", "a")
    response = await api.get(f"/artifacts/{created['artifact_id']}/lineage", params=query)
    assert response.status_code == 400


async def test_lineage_says_what_was_left_out_and_which_tags_there_are(api: Api) -> None:
    ids = [(await api.create("main", node))["artifact_id"] for node in "abcd"]
    for tag in ("b/2", "b/1"):
        assert (await api.put(f"/tags/{path(tag)}", {"artifact_id": ids[1]})).status_code == 201
    where = f"/artifacts/{ids[3]}/lineage"
    for depth, truncated in ((1, True), (2, True), (3, False), (100, False)):
        body = (await api.get(f"{where}?depth={depth}")).json()
        assert (len(body["items"]), body["truncated"]) == (min(depth, 3), truncated)
    assert "tags" not in body["items"][0]
    shown = (await api.get(f"{where}?include=tags")).json()["items"]
    assert [each["tags"] for each in shown] == [[], ["b/1", "b/2"], []]
    assert (await api.get(f"{where}?include=x")).status_code == 400
