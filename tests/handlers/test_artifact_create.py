"""Artifacts of any kind over HTTP: created, found again, named, linked, refused."""

import asyncio
from hashlib import sha256
from typing import Any

import rfc8785
from blake3 import blake3

from tests.api import Api, path
from tests.handlers.artifacts import create, rules, upload


async def test_an_artifact_is_named_by_its_manifest_which_anybody_can_compute(
    api: Api, namespace: str
) -> None:
    weights = await upload(api, b"weights")
    config = await upload(api, b"{}", "application/json")
    meta: dict[str, Any] = {"accuracy": 0.93, "ünder": [1.0, 1e21], "b": None}
    body = await create(
        api,
        kind="acme/model",
        name="churn",
        blobs=[
            {"cas_id": weights, "name": "weights/model.bin", "media_type": "application/x-weights"},
            {"cas_id": config, "name": "config.json"},
        ],
        meta=meta,
    )
    blobs: list[dict[str, Any]] = [
        {
            "cas_id": weights,
            "name": "weights/model.bin",
            "media_type": "application/x-weights",
            "size_bytes": 7,
        },
        {
            "cas_id": config,
            "name": "config.json",
            "media_type": "application/json",
            "size_bytes": 2,
        },
    ]
    manifest = rfc8785.dumps(
        {
            "kind": "acme/model",
            "name": "churn",
            "blobs": blobs,
            "meta": {**meta, "ünder": [1, 1e21]},
        }
    )
    named = f"blake3:{blake3(manifest).hexdigest()}"
    expected = {
        "namespace": namespace,
        "kind": "acme/model",
        "name": "churn",
        "cas_id": named,
        "version_hash": named,
        "media_type": "application/json;type=manifest",
        "blobs": blobs,
        "meta": {**meta, "ünder": [1, 1e21]},
        "parents": [],
        "created_by": "admin",
        "retained": False,
        "action": "create",
    }
    assert {key: body[key] for key in expected} == expected
    assert "tag" not in body
    assert body["expires_at"] > body["created_at"]
    stored = await api.get(f"/cas/{path(named)}")
    assert (stored.content, stored.headers["content-type"]) == (
        manifest,
        "application/json;type=manifest",
    )
    seen = await api.get(f"/artifacts/{body['artifact_id']}")
    assert {**seen.json(), "action": "create"} == body
    again = await api.get(
        f"/artifacts/{body['artifact_id']}", headers={"If-None-Match": seen.headers["etag"]}
    )
    assert again.status_code == 304


async def test_meta_is_given_back_as_its_canonical_text(api: Api) -> None:
    body = await create(api, meta={"tiny": 1e-7, "huge": 1e21, "z": 1, "a": "é"})
    text = '{"a":"é","huge":1e+21,"tiny":1e-7,"z":1}'
    assert text in (await api.get(f"/artifacts/{body['artifact_id']}")).text


async def test_the_same_artifact_is_found_again_and_not_doubled(
    api: Api,
) -> None:
    weights = await upload(api, b"weights")
    first = await create(api, cas_id=weights, meta={"a": 1, "b": 2})
    again = await create(api, 200, blobs=[{"cas_id": weights}], meta={"b": 2.0, "a": 1})
    assert again == {**first, "action": None}
    other = await create(api, cas_id=weights, meta={"a": 1, "b": 3})
    assert other["artifact_id"] != first["artifact_id"]
    assert len((await api.get("/artifacts")).json()["items"]) == 2


async def test_many_who_create_the_same_artifact_at_once_get_one(
    api: Api,
) -> None:
    weights = await upload(api, b"weights")
    bodies = {"kind": "model", "cas_id": weights, "meta": {"a": 1}, "tag": "model"}
    answers = await asyncio.gather(*(api.post("/artifacts", bodies) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["artifact_id"] for answer in answers}) == 1
    assert len((await api.get("/tags/model/history")).json()["items"]) == 1


async def test_the_tag_moves_in_the_same_transaction_and_only_on_its_condition(api: Api) -> None:
    weights = await upload(api, b"weights")
    first = await create(api, cas_id=weights, tag="model/v1", message="one", absent=True)
    assert (first["tag"]["name"], first["tag"]["version"], first["tag"]["action"]) == (
        "model/v1",
        1,
        "create",
    )
    assert first["expires_at"] is None
    refused = await api.post(
        "/artifacts", {"kind": "model", "meta": {"n": 2}, "tag": "model/v1", "absent": True}
    )
    assert refused.status_code == 409
    stale = {"kind": "model", "meta": {"n": 2}, "tag": "model/v1", "expected_version": 7}
    assert (await api.post("/artifacts", stale)).status_code == 409
    headers = {"If-Match": '"7"'}
    named = {"kind": "model", "meta": {"n": 2}, "tag": "model/v1"}
    assert (await api.post("/artifacts", named, headers=headers)).status_code == 412
    assert (await api.get("/artifacts?kind=model")).json()["items"][0]["meta"] == {}
    second = await create(api, meta={"n": 2}, tag="model/v1", expected_version=1)
    assert (second["tag"]["version"], second["tag"]["action"]) == (2, "move")
    undone = await api.post("/tags/model%2Fv1/undo")
    assert undone.json()["artifact_id"] == first["artifact_id"]
    assert undone.json()["kind"] == "model"


async def test_parents_are_named_by_artifact_hash_and_tag(api: Api) -> None:
    orders = await api.create("orders", "a", "b")
    await api.create("orders", "a", "c")
    data = await create(api, kind="dataset", meta={"rows": 3})
    body = await create(
        api,
        meta={"n": 1},
        parents=[
            {"tag": "orders@1", "relation": "trained_on"},
            {"cas_id": data["cas_id"], "relation": "trained_on"},
            {"artifact_id": data["artifact_id"]},
            {"artifact_id": data["artifact_id"], "relation": "derived_from"},
        ],
    )
    assert {(each["artifact_id"], each["relation"]) for each in body["parents"]} == {
        (orders["artifact_id"], "trained_on"),
        (data["artifact_id"], "trained_on"),
        (data["artifact_id"], "derived_from"),
    }
    edges = (await api.get(f"/artifacts/{body['artifact_id']}/lineage")).json()["items"]
    assert {each["artifact"]["kind"] for each in edges} == {"dag_version", "dataset"}
    down = await api.get(f"/artifacts/{data['artifact_id']}/lineage?direction=down")
    assert {each["child_id"] for each in down.json()["items"]} == {body["artifact_id"]}


async def test_what_is_posted_again_with_further_parents_gets_them(api: Api) -> None:
    one = await create(api, meta={"n": 1})
    two = await create(api, meta={"n": 2}, parents=[{"artifact_id": one["artifact_id"]}])
    three = await create(api, meta={"n": 3})
    further = [{"artifact_id": each["artifact_id"]} for each in (one, three)]
    again = await create(api, 200, meta={"n": 2}, parents=further)
    added = {each["artifact_id"]: each.get("added_by") for each in again["parents"]}
    assert added == {one["artifact_id"]: None, three["artifact_id"]: "admin"}
    circle = {"kind": "model", "meta": {"n": 1}, "parents": [{"artifact_id": two["artifact_id"]}]}
    refused = await api.post("/artifacts", circle)
    assert (refused.status_code, rules(refused)) == (422, [("/parents", "circle")])
    itself = {"kind": "model", "meta": {"n": 1}, "parents": [{"artifact_id": one["artifact_id"]}]}
    assert rules(await api.post("/artifacts", itself)) == [("/parents", "circle")]


async def test_of_two_edges_that_would_close_a_circle_together_one_is_refused(api: Api) -> None:
    one, two = await create(api, meta={"n": 1}), await create(api, meta={"n": 2})

    async def add(meta: int, parent: dict[str, Any]) -> int:
        parents = [{"artifact_id": parent["artifact_id"]}]
        body = {"kind": "model", "meta": {"n": meta}, "parents": parents}
        return (await api.post("/artifacts", body)).status_code

    assert sorted(await asyncio.gather(add(1, two), add(2, one))) == [200, 422]


async def test_digits_that_begin_two_hashes_name_no_parent(api: Api) -> None:
    alike = [await api.create(f"t{number}", f"n{number}") for number in (22_918, 72_983)]
    for each in alike:
        assert each["version_hash"].startswith("blake3:a38e579f")
    parents = [{"tag": "t22918"}, {"tag": "a38e579f"}]
    refused = await api.post("/artifacts", {"kind": "model", "meta": {"n": 1}, "parents": parents})
    assert (refused.status_code, rules(refused)) == (422, [("/parents/1", "ambiguous-hash")])
    assert "More than one" in refused.json()["errors"][0]["message"]


async def test_a_file_of_an_artifact_is_fetched_by_its_name(api: Api) -> None:
    weights = await upload(api, b"weights")
    body = await create(
        api,
        blobs=[
            {"cas_id": weights, "name": "dir/ü b.bin", "media_type": "application/x-weights"},
            {"cas_id": weights, "name": "copy"},
        ],
    )
    where = f"/artifacts/{body['artifact_id']}/blobs"
    file = await api.get(f"{where}/{path('dir/ü b.bin')}")
    assert (file.status_code, file.content) == (200, b"weights")
    assert file.headers["content-type"] == "application/x-weights"
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BC%20b.bin"
    assert file.headers["etag"] == f'"{weights}"'
    part = await api.get(f"{where}/copy", headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"ei")
    assert (await api.http.head(f"/api/v1{where}/copy")).headers["content-length"] == "7"
    for name in ("nothing", "dir", "%2E%2E%2Fcopy"):
        assert (await api.get(f"{where}/{name}")).status_code in {400, 404}
    elsewhere = await api.get(f"{where}/copy", params={"namespace": "elsewhere"})
    assert elsewhere.status_code == 404


async def test_a_blob_of_another_namespace_is_as_if_it_were_not_there(api: Api) -> None:
    response = await api.http.post("/api/v1/cas?namespace=elsewhere", content=b"secret")
    body = {"kind": "model", "cas_id": response.json()["cas_id"]}
    refused = await api.post("/artifacts", body)
    assert (refused.status_code, rules(refused)) == (422, [("/blobs/0/cas_id", "exists")])


async def test_a_blob_may_be_named_by_its_second_name(api: Api) -> None:
    headers = {"Want-Repr-Digest": "sha-256=1"}
    response = await api.http.post("/api/v1/cas", content=b"weights", headers=headers)
    first = response.json()["cas_id"]
    second = f"sha256:{sha256(b'weights').hexdigest()}"
    body = await create(api, cas_id=second)
    assert [each["cas_id"] for each in body["blobs"]] == [first]


async def test_annotations_are_listed_below_what_they_are_about(api: Api) -> None:
    model = await create(api, meta={"n": 1})
    about = [{"artifact_id": model["artifact_id"], "relation": "about"}]
    notes = [
        await create(api, kind="annotation", meta={"verdict": each}, parents=about)
        for each in ("good", "better")
    ]
    listed = (await api.get(f"/artifacts/{model['artifact_id']}/annotations?limit=1")).json()
    assert [each["meta"] for each in listed["items"]] == [{"verdict": "better"}]
    rest = await api.get(
        f"/artifacts/{model['artifact_id']}/annotations", params={"cursor": listed["next"]}
    )
    assert [each["artifact_id"] for each in rest.json()["items"]] == [notes[0]["artifact_id"]]
    assert notes[0]["expires_at"] is None


async def test_what_is_retained_never_goes_until_it_is_released(api: Api) -> None:
    body = await create(api, meta={"n": 1}, retain=True)
    assert (body["retained"], body["expires_at"]) == (True, None)
    kept = await create(api, 200, meta={"n": 1})
    assert kept["retained"]
    released = await create(api, 200, meta={"n": 1}, retain=False)
    assert not released["retained"]
    assert released["expires_at"] is not None


async def test_a_repeated_key_gives_the_first_answer(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"kind": "model", "meta": {"n": 1}}
    first = await api.post("/artifacts", body, headers=headers)
    again = await api.post("/artifacts", body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await api.post("/artifacts", {**body, "meta": {"n": 2}}, headers=headers)
    assert other.status_code == 422


async def test_a_workflow_is_not_asked_of_a_tag_that_names_something_else(api: Api) -> None:
    body = await create(api, meta={"n": 1}, tag="model")
    patch = {"Content-Type": "application/json-patch+json"}
    answers = [
        await api.get("/workflows/model"),
        await api.get("/workflows/model?version=1"),
        await api.get("/workflows/model?materialize=false"),
        await api.http.patch("/api/v1/workflows/model", content=b"[]", headers=patch),
        await api.delete("/workflows/model"),
        await api.post("/workflows/model/compact", {}),
    ]
    for answer in answers:
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (409, "urn:orchestrator:problem:wrong-kind")
        assert (problem["kind"], problem["artifact_id"]) == ("model", body["artifact_id"])
    assert (await api.get("/tags/model")).json()["kind"] == "model"
    assert (await api.get("/workflows")).json()["items"] == []
