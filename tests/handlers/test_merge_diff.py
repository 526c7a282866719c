"""The difference of any two versions, over HTTP."""

from typing import Any

import pytest

from orchestrator.documents.patch import apply, parse_operations
from tests.api import Api
from tests.handlers.patching import patched, timeout
from tests.handlers.test_merge import add_node, branches

SIDES = ("before", "after")
#: Of a blob whose type nobody said.
TYPE = "application/octet-stream"


async def test_any_two_versions_are_compared(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5), *add_node("c", "b"))
    hash_ = (await api.get("/workflows/main")).json()["version_hash"]
    expected = await api.get("/workflows/main/diff", params={"against": "side"})
    for first, last in (("side", "main"), ("main@1", hash_)):
        response = await api.get("/diff", params={"from": first, "to": last})
        assert (response.status_code, response.content) == (200, expected.content)
    text = await api.get("/diff", params={"from": "main", "to": "side", "format": "text"})
    assert text.text.startswith("- node c")


async def blob(api: Api, content: bytes) -> str:
    stored = await api.http.post("/api/v1/cas", content=content)
    return str(stored.json()["cas_id"])


async def test_artifacts_of_other_kinds_are_compared_by_meta_and_files(api: Api) -> None:
    one, two = await blob(api, b"one"), await blob(api, b"two")
    versions: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"rate": 1, "deep": {"a": [1, 2]}}, {"a.bin": one, "old.txt": one}),
        ({"rate": 2, "deep": {"a": [1, 2, 3]}, "new": "x"}, {"a.bin": two, "new.txt": one}),
    ]
    for meta, files in versions:
        blobs = [{"name": name, "cas_id": cas_id} for name, cas_id in files.items()]
        model = {"kind": "model", "name": "m", "meta": meta, "blobs": blobs, "tag": "m"}
        assert (await api.post("/artifacts", model)).status_code == 201
    found = (await api.get("/diff?from=m@1&to=m")).json()
    assert (found["before"]["kind"], found["after"]["kind"]) == ("model", "model")
    assert "diff" not in found
    manifest = found["manifest"]
    assert sorted(each["path"] for each in manifest["meta"]["patch"]) == [
        "/deep/a/2",
        "/new",
        "/rate",
    ]
    assert [each["name"] for each in manifest["blobs_added"]] == ["new.txt"]
    assert [each["name"] for each in manifest["blobs_removed"]] == ["old.txt"]
    assert [each["after"]["cas_id"] for each in manifest["blobs_changed"]] == [two]
    assert manifest["members"] == {"patch": [], "inverse": []}
    contents = [(await api.get(f"/cas/{found[each]['version_hash']}")).json() for each in SIDES]
    assert apply(contents[0], parse_operations(found["patch"])) == contents[1]
    text = (await api.get("/diff?from=m@1&to=m&format=text")).text.splitlines()
    assert {"- /meta/rate: 1", "+ /meta/rate: 2", f"- file a.bin {one} {TYPE} 3"} <= {*text}
    assert (await api.get("/diff?from=m&to=m&format=text")).text == ""
    await api.create("flow", "a")
    for query in ("from=m&to=flow", "from=flow&to=m"):
        refused = await api.get(f"/diff?{query}")
        assert (refused.status_code, refused.json()["error"]) == (409, "not a workflow")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "main"}, 400),
        ({"to": "main"}, 400),
        ({"from": "@1", "to": "main"}, 400),
        ({"from": "main", "to": "1"}, 400),
        ({"from": "main", "to": "nope"}, 404),
        ({"from_": "main", "to": "main"}, 400),
    ],
)
async def test_what_is_compared_must_be_named(api: Api, query: dict[str, str], status: int) -> None:
    await branches(api)
    response = await api.get("/diff", params=query)
    assert response.status_code == status, response.text
