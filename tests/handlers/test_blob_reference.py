"""A document holds the blobs that it names."""

from typing import Any

import pytest

from orchestrator.documents.blob_names import NAMES_MAX, blobs_named
from orchestrator.errors import RuleBroken
from tests.api import Api, path
from tests.handlers.artifacts import create, upload

NOWHERE = "blake3:" + "0" * 64
SECOND = "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ('{"a":"X"}', [NOWHERE]),
        ('["X","X","Y"]', [NOWHERE, SECOND]),
        ('{"X":1}', []),
        ('{"X":"Y"}', [SECOND]),
        ('{"a":"X "}', []),
        ('{"a":" X"}', []),
        ('{"a":"see X"}', []),
        (r'{"a":"\"X"}', []),
        (r'{"a":"\"X\""}', []),
        (r'{"a":"\\","b":"X"}', [NOWHERE]),
        ('{"a":"blake3:0"}', []),
        ('{"a":"blake3:' + "A" * 64 + '"}', []),
        ("[]", []),
    ],
)
def test_a_string_that_is_a_name_as_a_whole_is_one(content: str, names: list[str]) -> None:
    text = content.replace("X", NOWHERE).replace("Y", SECOND)
    assert [str(each) for each in blobs_named(text.encode())] == names


def test_a_document_names_so_many_blobs_and_no_more() -> None:
    names = ",".join(f'"blake3:{number:064x}"' for number in range(NAMES_MAX + 1))
    assert len(blobs_named(f"[{names[:-74]}]".encode())) == NAMES_MAX
    with pytest.raises(RuleBroken) as refused:
        blobs_named(f"[{names}]".encode(), "/workflow")
    assert [(each.pointer, each.rule) for each in refused.value.errors] == [
        ("/workflow", "blobs-max")
    ]


def document(*names: str) -> dict[str, Any]:
    return {
        "nodes": [{"id": "a", "type": "task", "config": {"models": list(names)}}],
        "edges": [],
    }


async def references(api: Api, artifact_id: str) -> list[str]:
    found: list[str] = (await api.get(f"/artifacts/{artifact_id}")).json()["references"]
    return found


async def make(api: Api, tag: str, *names: str, **members: Any) -> dict[str, Any]:
    answer = await api.post("/workflows", {"tag": tag, "workflow": document(*names), **members})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_workflow_keeps_what_it_names_and_says_what_is_missing(api: Api) -> None:
    one, two = await upload(api, b"one"), await upload(api, b"two")
    created = await make(api, "main", two, one, NOWHERE)
    assert created["missing_blobs"] == [NOWHERE]
    assert await references(api, created["artifact_id"]) == [two, one]
    files = await api.get(f"/artifacts/{created['artifact_id']}/blobs")
    assert files.json()["items"] == []
    assert "missing_blobs" not in await make(api, "other", one)
    assert "missing_blobs" not in await api.create("plain", "a")


async def test_what_was_missing_counts_when_the_same_document_comes_again(api: Api) -> None:
    later = (await api.http.post("/api/v1/cas?namespace=elsewhere", content=b"later")).json()
    created = await make(api, "main", later["cas_id"])
    assert created["missing_blobs"] == [later["cas_id"]]
    assert await references(api, created["artifact_id"]) == []
    await upload(api, b"later")
    again = await make(api, "main", later["cas_id"])
    assert "missing_blobs" not in again
    assert await references(api, again["artifact_id"]) == [later["cas_id"]]


async def test_results_of_patches_merges_and_compactions_keep_what_they_name(api: Api) -> None:
    one, two = await upload(api, b"one"), await upload(api, b"two")
    await make(api, "main", one)
    await api.put("/tags/side", {"from": "main"})
    headers = {"Content-Type": "application/json-patch+json"}
    add = [{"op": "add", "path": "/nodes/0/config/models/-", "value": two}]
    patched = await api.http.patch("/api/v1/workflows/main", json=add, headers=headers)
    assert await references(api, patched.json()["artifact_id"]) == [one, two]
    name = [{"op": "add", "path": "/nodes/0/name", "value": "A"}]
    await api.http.patch("/api/v1/workflows/side", json=name, headers=headers)
    merged = await api.post("/workflows/side/merge", {"from": "main"})
    assert merged.status_code == 200, merged.text
    head = (await api.get("/workflows/side")).json()
    assert await references(api, head["artifact_id"]) == [one, two]
    compacted = await api.post("/workflows/side/compact", {})
    assert await references(api, compacted.json()["artifact_id"]) == [one, two]


async def test_every_create_of_a_transaction_keeps_what_it_names(api: Api) -> None:
    one = await upload(api, b"one")
    operations = [
        {"op": "create_workflow", "tag": "a", "workflow": document(one, NOWHERE)},
        {"op": "create_workflow", "tag": "b", "workflow": document()},
    ]
    results = (await api.post("/transactions", {"operations": operations})).json()["results"]
    assert [each.get("missing_blobs") for each in results] == [[NOWHERE], None]
    assert await references(api, results[0]["artifact_id"]) == [one]


async def test_an_artifact_that_is_named_is_an_ancestor(api: Api) -> None:
    model = await create(api, meta={"n": 1})
    created = await make(api, "main", model["cas_id"])
    edges = (await api.get(f"/artifacts/{created['artifact_id']}/lineage")).json()["items"]
    assert [(each["parent_id"], each["relation"]) for each in edges] == [
        (model["artifact_id"], "refers_to")
    ]
    report = await create(api, kind="acme/report", meta={"of": created["version_hash"]})
    assert [each["relation"] for each in report["parents"]] == ["refers_to"]


async def test_a_name_that_was_there_before_what_it_names_closes_no_circle(api: Api) -> None:
    """The report names a model that is made later, and from the report."""
    model = await create(api, meta={"n": 1})
    elsewhere = {"params": {"namespace": "elsewhere"}}
    named = {"kind": "acme/report", "meta": {"of": model["cas_id"]}}
    report = (await api.post("/artifacts", named, **elsewhere)).json()
    assert report["missing_blobs"] == [model["cas_id"]]
    parents = [{"artifact_id": report["artifact_id"]}]
    body = {"kind": "model", "meta": {"n": 1}, "parents": parents}
    assert (await api.post("/artifacts", body, **elsewhere)).status_code == 201
    again = (await api.post("/artifacts", named, **elsewhere)).json()
    assert (again["references"], again["parents"]) == ([model["cas_id"]], [])


async def test_a_hash_of_several_artifacts_names_the_newest_wherever_it_stands(api: Api) -> None:
    await api.create("main", "a")
    headers = {"Content-Type": "application/merge-patch+json"}
    patched = await api.http.patch("/api/v1/workflows/main", json={"name": "n"}, headers=headers)
    whole = (await api.get("/workflows/main")).json()["workflow"]
    made = await api.post("/workflows", {"tag": "other", "workflow": whole})
    named, newest = made.json()["version_hash"], made.json()["artifact_id"]
    assert (named, newest) != (patched.json()["version_hash"], patched.json()["artifact_id"])
    assert named == patched.json()["version_hash"]
    put = await api.put("/tags/one", {"from": named})
    operations = [{"op": "create", "tag": "two", "from": named}]
    run = await api.post("/transactions", {"operations": operations})
    model = await create(api, meta={"n": 1}, parents=[{"cas_id": named}])
    assert put.json()["artifact_id"] == newest
    assert run.json()["results"][0]["artifact_id"] == newest
    assert [each["artifact_id"] for each in model["parents"]] == [newest]


async def test_a_blob_of_another_namespace_is_not_kept(api: Api) -> None:
    secret = (await api.http.post("/api/v1/cas?namespace=elsewhere", content=b"s")).json()["cas_id"]
    created = await make(api, "main", secret)
    assert created["missing_blobs"] == [secret]
    assert (await api.get(f"/cas/{path(secret)}")).status_code == 404
