"""What an artifact may be, and the place of what breaks a rule."""

from typing import Any

import pytest

from tests.api import Api
from tests.handlers.artifacts import create, rules, upload

REFUSED: list[tuple[dict[str, Any], int, list[tuple[str, str]]]] = [
    ({"kind": "Model"}, 400, [("/kind", "kind-grammar")]),
    ({"kind": "a/" + "b" * 99}, 400, [("/kind", "kind-grammar")]),
    ({"kind": "dag_version"}, 422, [("/kind", "reserved")]),
    ({"kind": "report"}, 422, [("/kind", "reserved")]),
    ({"meta": {}}, 422, [("/blobs", "empty")]),
    ({"meta": []}, 400, [("/meta", "shape")]),
    ({"meta": {"a": "x" * 65_536}}, 413, []),
    ({"name": "a\nb"}, 422, [("/name", "name")]),
    ({"blobs": [{"cas_id": "x"}]}, 400, [("/blobs/0/cas_id", "cas-id")]),
    ({"cas_id": "blake3:" + "0" * 64}, 422, [("/blobs/0/cas_id", "exists")]),
    ({"blobs": [{"cas_id": "sha256:" + "0" * 64}]}, 422, [("/blobs/0/cas_id", "exists")]),
    (
        {"blobs": [{"cas_id": "blake3:" + "0" * 64, "media_type": "plain"}]},
        400,
        [("/blobs/0/media_type", "media-type")],
    ),
    ({"cas_id": "blake3:" + "0" * 64, "blobs": []}, 400, [("/cas_id", "one-of")]),
    ({"parents": [{"tag": "nothing"}]}, 422, [("/parents/0", "exists")]),
    ({"parents": [{"tag": "a", "cas_id": "b"}]}, 400, [("/parents/0", "one-of")]),
    ({"parents": [{"tag": "3"}]}, 422, [("/parents/0", "exists")]),
    (
        {"parents": [{"tag": "a", "relation": "A"}]},
        400,
        [("/parents/0/relation", "relation-grammar")],
    ),
    (
        {"parents": [{"tag": "a", "relation": "patch_of"}]},
        422,
        [("/parents/0/relation", "reserved")],
    ),
    (
        {"parents": [{"tag": "a", "relation": "about"}]},
        422,
        [("/parents/0/relation", "annotation")],
    ),
    ({"kind": "annotation"}, 422, [("/parents", "required")]),
    ({"absent": True}, 400, [("/absent", "tag")]),
    ({"expected_version": 3}, 400, [("/expected_version", "tag")]),
    ({"tag": "a", "absent": True, "expected_version": 3}, 400, [("/absent", "absent")]),
    ({"tag": "a//b"}, 400, [("/tag", "tag-grammar")]),
    ({"unknown": 1}, 400, [("", "shape")]),
]


@pytest.mark.parametrize(("members", "status", "broken"), REFUSED)
async def test_what_breaks_a_rule_is_refused_with_its_place(
    api: Api,
    members: dict[str, Any],
    status: int,
    broken: list[tuple[str, str]],
) -> None:
    response = await api.post("/artifacts", {"kind": "model", "meta": {"n": 1}, **members})
    assert response.status_code == status, response.text
    if broken:
        assert rules(response) == broken
    assert (await api.get("/artifacts")).json()["items"] == []


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "a\x00b", "a\x1fb", "\x85", "é" * 128],
)
async def test_the_name_of_a_file_is_safe_below_any_folder(api: Api, name: str) -> None:
    if "\x00" in name:
        return  # No JSON with NUL is read at all; see the tests of canonical JSON.
    weights = await upload(api, b"weights")
    body = {"kind": "model", "blobs": [{"cas_id": weights, "name": name}]}
    response = await api.post("/artifacts", body)
    assert (response.status_code, rules(response)) == (422, [("/blobs/0/name", "file-name")])


async def test_each_of_several_files_has_a_name_of_its_own(api: Api) -> None:
    weights = await upload(api, b"weights")
    names: list[str | None] = ["a", None, "a", "b/c/d", "b/c", "b"]
    blobs = [{"cas_id": weights, "name": name} for name in names]
    response = await api.post("/artifacts", {"kind": "model", "blobs": blobs})
    assert rules(response) == [
        ("/blobs/1/name", "required"),
        ("/blobs/2/name", "unique"),
        ("/blobs/3/name", "unique"),
        ("/blobs/3/name", "unique"),
        ("/blobs/4/name", "unique"),
    ]


async def test_there_may_be_a_thousand_blobs_and_ten_thousand_parents(api: Api) -> None:
    weights = await upload(api, b"weights")
    blobs = [{"cas_id": weights, "name": f"part/{at}"} for at in range(1_001)]
    refused = await api.post("/artifacts", {"kind": "model", "blobs": blobs})
    assert rules(refused) == [("/blobs", "length")]
    body = await create(api, blobs=blobs[:-1])
    assert len(body["blobs"]) == 1_000
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = (await api.get(f"/artifacts/{body['artifact_id']}/blobs?limit=400{more}")).json()
        seen += [each["name"] for each in page["items"]]
        cursor = page["next"]
    assert seen == [f"part/{at}" for at in range(1_000)]
    parents = [{"artifact_id": body["artifact_id"], "relation": f"r{n}"} for n in range(10_001)]
    refused = await api.post("/artifacts", {"kind": "model", "meta": {"n": 1}, "parents": parents})
    assert rules(refused) == [("/parents", "length")]
    child = await create(api, meta={"n": 1}, parents=parents[:-1])
    assert len(child["parents"]) == 1_000
