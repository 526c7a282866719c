"""The catalogue over HTTP, on the real application and database."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api


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
    }
    etag = response.headers["etag"]
    known = await api.get(f"/artifacts/{body['artifact_id']}", headers={"If-None-Match": etag})
    assert known.status_code == 304


@pytest.mark.parametrize("suffix", ["", "/chain", "/lineage"])
async def test_an_unknown_artifact_is_404_and_a_malformed_id_400(api: Api, suffix: str) -> None:
    unknown = await api.get(f"/artifacts/{uuid4()}{suffix}")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "artifact not found")
    for name in ("x", "%ff", uuid4().hex):
        assert (await api.get(f"/artifacts/{name}{suffix}")).status_code == 400


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
    assert (await api.get("/artifacts", params={"kind": "x"})).status_code == 400
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


@pytest.mark.parametrize(
    "query", [{"direction": "sideways"}, {"depth": 0}, {"depth": 10_001}, {"cursor": "W10"}]
)
async def test_a_lineage_that_cannot_be_walked_is_400(api: Api, query: dict[str, Any]) -> None:
    created = await api.create("main", "a")
    response = await api.get(f"/artifacts/{created['artifact_id']}/lineage", params=query)
    assert response.status_code == 400
