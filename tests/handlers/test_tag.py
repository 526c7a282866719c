"""The focused tag resource over HTTP, on the real application and database."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, path


async def versions(api: Api, *ids: str) -> list[str]:
    """Artifact ids of versions that no tag of the test names."""
    return [(await api.create(f"source-{each}", each))["artifact_id"] for each in ids]


async def test_a_put_creates_and_then_moves(api: Api, namespace: str) -> None:
    a, b = await versions(api, "a", "b")
    created = await api.put("/tags/x%2Fy", {"artifact_id": a, "message": "m"})
    assert (created.status_code, created.json()["action"]) == (201, "create")
    assert created.headers["location"] == f"/api/v1/tags/x%2Fy?namespace={namespace}"
    moved = await api.put("/tags/x%2Fy", {"artifact_id": b})
    assert (moved.status_code, moved.json()["action"], moved.headers["etag"]) == (
        200,
        "move",
        '"2"',
    )
    same = await api.put("/tags/x%2Fy", {"artifact_id": b})
    assert (same.status_code, same.json()["action"], same.json()["version"]) == (200, None, 2)


async def test_a_tag_tells_what_it_names(api: Api, namespace: str) -> None:
    created = await api.create("main", "a", message="why")
    response = await api.get("/tags/main")
    assert response.headers["etag"] == '"1"'
    body = response.json()
    assert body.pop("moved_at")
    assert body == {
        "cursor": 1,
        "transaction_id": None,
        "namespace": namespace,
        "name": "main",
        "version": 1,
        "artifact_id": created["artifact_id"],
        "kind": "dag_version",
        "version_hash": created["version_hash"],
        "message": "why",
        "moved_by": "admin",
    }
    known = await api.get("/tags/main", headers={"If-None-Match": '"1"'})
    assert known.status_code == 304


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"2"'}, 412),
        ({"If-Match": 'W/"1"'}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": '"9223372036854775808"'}, 412),
        ({"If-Match": '"' + "9" * 5_000 + '"'}, 412),
        ({"If-Match": '"٣"'.encode()}, 412),
        ({"If-Match": '"7", "1"'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": '"1"'}, 400),
        ({"If-Match": "1"}, 400),
        ({"If-Match": "*", "If-None-Match": "*"}, 400),
    ],
)
async def test_a_put_keeps_its_preconditions(
    api: Api, headers: dict[str, Any], status: int
) -> None:
    a, b = await versions(api, "a", "b")
    await api.put("/tags/main", {"artifact_id": a})
    response = await api.put("/tags/main", {"artifact_id": b}, headers=headers)
    assert response.status_code == status, response.text
    now = (await api.get("/tags/main")).json()
    assert now["artifact_id"] == (b if status == 200 else a)
    if status == 412:
        assert response.json()["current_version"] == 1
        assert response.json()["current_artifact_id"] == a


async def test_a_precondition_on_a_tag_that_is_not_there_fails(api: Api) -> None:
    (a,) = await versions(api, "a")
    response = await api.put("/tags/new", {"artifact_id": a}, headers={"If-Match": "*"})
    assert response.status_code == 412
    assert response.json()["current_version"] is None
    created = await api.put("/tags/new", {"artifact_id": a}, headers={"If-None-Match": "*"})
    assert created.status_code == 201


async def test_naming_an_artifact_that_is_not_there_is_404(api: Api) -> None:
    response = await api.put("/tags/main", {"artifact_id": str(uuid4())})
    assert (response.status_code, response.json()["error"]) == (404, "artifact not found")
    (a,) = await versions(api, "a")
    other = await api.put("/tags/main?namespace=other", {"artifact_id": a})
    assert other.status_code == 404


async def test_a_move_needs_the_tag_and_its_version(api: Api) -> None:
    a, b = await versions(api, "a", "b")
    unknown = await api.post("/tags/main/move", {"artifact_id": a})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "tag not found")
    await api.put("/tags/main", {"artifact_id": a})
    stale = await api.post("/tags/main/move", {"artifact_id": b, "expected_version": 9})
    assert (stale.status_code, stale.json()["current_version"]) == (409, 1)
    moved = await api.post("/tags/main/move", {"artifact_id": b, "expected_version": 1})
    assert (moved.status_code, moved.json()["version"]) == (200, 2)
    header = {"If-Match": '"1"'}
    failed = await api.post("/tags/main/move", {"artifact_id": a}, headers=header)
    assert failed.status_code == 412


async def test_a_body_and_a_header_must_agree(api: Api) -> None:
    a, b = await versions(api, "a", "b")
    await api.put("/tags/main", {"artifact_id": a})
    body = {"artifact_id": b, "expected_version": 1}
    assert (await api.post("/tags/main/move", body, headers={"If-Match": '"2"'})).status_code == 412
    assert (await api.post("/tags/main/move", body, headers={"If-Match": '"1"'})).status_code == 200


async def test_undo_and_redo_walk_a_b_a_b_through_all_four(api: Api) -> None:
    a, b = await versions(api, "a", "b")
    for target in (a, b, a, b):
        await api.put("/tags/main", {"artifact_id": target})
    for expected in (a, b, a):
        response = await api.post("/tags/main/undo")
        assert (response.status_code, response.json()["artifact_id"]) == (200, expected)
    end = await api.post("/tags/main/undo")
    assert (end.status_code, end.json()["error"]) == (409, "nothing to undo")
    for expected in (b, a, b):
        assert (await api.post("/tags/main/redo")).json()["artifact_id"] == expected
    assert (await api.post("/tags/main/redo")).status_code == 409
    items = (await api.get("/tags/main/history")).json()["items"]
    assert [item["seq"] for item in items] == list(range(10, 0, -1))
    assert items[-1]["from_id"] is None
    assert all(older["to_id"] == newer["from_id"] for newer, older in pairwise(items))


async def test_undo_takes_an_expected_version_and_a_message(api: Api) -> None:
    a, b = await versions(api, "a", "b")
    await api.put("/tags/main", {"artifact_id": a})
    await api.put("/tags/main", {"artifact_id": b})
    stale = await api.post("/tags/main/undo", {"expected_version": 1})
    assert stale.status_code == 409
    failed = await api.post("/tags/main/undo", headers={"If-Match": '"1"'})
    assert failed.status_code == 412
    done = await api.post("/tags/main/undo", {"expected_version": 2, "message": "back"})
    assert (done.json()["version"], done.json()["message"]) == (3, "back")


@pytest.mark.parametrize("route", ["tags", "workflows"])
async def test_a_delete_takes_an_expected_version_and_a_message(api: Api, route: str) -> None:
    await api.create("main", "a")
    stale = await api.delete(f"/{route}/main?expected_version=2")
    assert (stale.status_code, stale.json()["current_version"]) == (409, 1)
    assert (await api.delete(f"/{route}/main?message=%ff")).status_code == 400
    done = await api.delete(f"/{route}/main?expected_version=1&message=Over")
    assert (done.status_code, done.json()["message"]) == (200, "Over")
    items = (await api.get("/tags/main/history")).json()["items"]
    assert (items[0]["action"], items[0]["message"]) == ("delete", "Over")


async def test_history_goes_on_across_delete_and_create_again(api: Api) -> None:
    a, b = await versions(api, "a", "b")
    await api.put("/tags/main", {"artifact_id": a})
    deleted = await api.delete("/tags/main")
    assert (deleted.status_code, deleted.json()["version"]) == (200, 2)
    assert (await api.get("/tags/main")).status_code == 404
    assert (await api.delete("/tags/main")).status_code == 404
    await api.put("/tags/main", {"artifact_id": b})
    items = (await api.get("/tags/main/history")).json()["items"]
    assert [(item["seq"], item["action"]) for item in items] == [
        (3, "create"),
        (2, "delete"),
        (1, "create"),
    ]
    stale = await api.put("/tags/main", {"artifact_id": a}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412, "an old version number never comes back"


async def test_history_is_paged(api: Api) -> None:
    ids = await versions(api, "a", "b", "c")
    for target in ids:
        await api.put("/tags/main", {"artifact_id": target})
    first = (await api.get("/tags/main/history", params={"limit": 2})).json()
    rest = (await api.get("/tags/main/history", params={"cursor": first["next"]})).json()
    assert [item["seq"] for item in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next"] is None
    assert (await api.get("/tags/nope/history")).status_code == 404


async def test_tags_are_listed_by_name(api: Api) -> None:
    await versions(api, "b", "a")
    page = (await api.get("/tags", params={"limit": 1})).json()
    assert [item["name"] for item in page["items"]] == ["source-a"]
    rest = (await api.get("/tags", params={"cursor": page["next"]})).json()
    assert [item["name"] for item in rest["items"]] == ["source-b"]


async def test_a_tag_is_known_as_it_was(api: Api) -> None:
    a, b = await versions(api, "a", "b")
    first = (await api.put("/tags/main", {"artifact_id": a})).json()
    await api.put("/tags/main", {"artifact_id": b})
    by_version = await api.get("/tags/main", params={"version": 1})
    by_time = await api.get("/tags/main", params={"at": first["moved_at"]})
    assert by_version.json()["artifact_id"] == by_time.json()["artifact_id"] == a
    assert by_version.headers["etag"] == '"1"'


ROUTES = [
    ("GET", "/tags/{}", None),
    ("PUT", "/tags/{}", {"artifact_id": ""}),
    ("POST", "/tags/{}/move", {"artifact_id": ""}),
    ("GET", "/tags/{}/history", None),
    ("POST", "/tags/{}/undo", {}),
    ("POST", "/tags/{}/redo", {}),
    ("GET", "/workflows/{}", None),
    ("DELETE", "/workflows/{}", None),
    ("DELETE", "/tags/{}", None),
]


@pytest.mark.parametrize(("method", "route", "body"), ROUTES)
async def test_a_name_with_slashes_works_encoded_on_every_route(
    api: Api, method: str, route: str, body: Any
) -> None:
    name = "release/2026/v1.0"
    created = await api.create(name, "a")
    if route.endswith(("undo", "redo")):
        await api.create(name, "b")
        if route.endswith("redo"):
            await api.post(f"/tags/{path(name)}/undo")
    if body:
        body = {"artifact_id": created["artifact_id"]}
    response = await api.http.request(method, "/api/v1" + route.format(path(name)), json=body)
    assert response.status_code == 200, response.text


BAD_NAMES = [
    "a/../b",
    "a//b",
    "/a",
    "a/",
    ".hidden",
    "-a",
    "a b",
    "a\x00b",
    "a\nb",
    "é",
    "a:b",
    "x" * 201,
    "_global_/x",
    "01936f3e-7c1a-7b52-9d0e-3f6a1c2b4d5e",
    "blake3:" + "0" * 64,
    "0" * 64,
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize(("method", "route", "body"), ROUTES)
async def test_a_name_outside_the_grammar_is_400_on_every_route(
    api: Api, method: str, route: str, body: Any, name: str
) -> None:
    response = await api.http.request(method, "/api/v1" + route.format(path(name)), json=body)
    assert response.status_code == 400, response.text
    assert response.json()["errors"][0]["pointer"] == "/tag"


async def test_a_segment_of_dots_is_400(api: Api) -> None:
    response = await api.get("/tags/%2E%2E")
    assert response.status_code == 400


async def test_a_name_that_is_not_utf8_is_400(api: Api) -> None:
    response = await api.get("/tags/%ff")
    assert response.status_code == 400


@pytest.mark.parametrize("name", ["a", "_x", "release/v1.0", "A-b_c.d/e", "x" * 200, "_globa_"])
async def test_a_name_inside_the_grammar_is_accepted(api: Api, name: str) -> None:
    await api.create(name, "a")
    assert (await api.get(f"/tags/{path(name)}")).json()["name"] == name


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("DELETE", "/tags/{}", None),
        ("DELETE", "/workflows/{}", None),
        ("POST", "/tags/{}/move", {"artifact_id": "$"}),
        ("POST", "/tags/{}/undo", {}),
        ("POST", "/tags/{}/redo", {}),
        ("POST", "/workflows/{}/compact", {}),
        ("POST", "/workflows/{}/merge", {"from": "main"}),
    ],
)
async def test_a_write_that_wants_the_tag_absent_does_not_touch_one_that_is_there(
    api: Api, method: str, route: str, body: Any
) -> None:
    await api.create("main", "a")
    artifact_id = (await api.create("main", "b"))["artifact_id"]
    if body:
        body = {key: artifact_id if value == "$" else value for key, value in body.items()}
    absent = {"If-None-Match": "*"}
    url = "/api/v1" + route.format("main")
    response = await api.http.request(method, url, json=body, headers=absent)
    assert response.status_code == 412, response.text
    assert (await api.get("/tags/main")).json()["version"] == 2
    if "merge" not in route:
        unknown = "/api/v1" + route.format("nope")
        missing = await api.http.request(method, unknown, json=body, headers=absent)
        assert missing.status_code == 404


async def test_several_lines_of_a_header_are_one_list(api: Api) -> None:
    a, b = await versions(api, "a", "b")
    await api.put("/tags/main", {"artifact_id": a})
    for lines, status in (((b'"1"', b'"77"'), 200), ((b'"77"', b'"2"'), 200), ((b'"1"',), 412)):
        target = a if lines[0] == b'"77"' else b
        response = await api.http.put(
            "/api/v1/tags/main",
            json={"artifact_id": target},
            headers=[(b"if-match", line) for line in lines],
        )
        assert response.status_code == status, response.text


async def test_a_parameter_that_is_given_twice_is_refused(api: Api) -> None:
    await api.create("main", "a")
    response = await api.get("/tags/main?version=1&version=1")
    assert response.status_code == 400
    assert response.json()["errors"][0]["rule"] == "repeated-parameter"


async def test_an_undo_reads_a_body_that_comes_in_pieces(api: Api) -> None:
    for node in "ab":
        await api.create("main", node)

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"expected_version": 77}'

    url = "/api/v1/tags/main/undo"
    without_type = await api.http.post(url, content=pieces())
    assert without_type.status_code == 415
    headers = {"Content-Type": "application/json"}
    stale = await api.http.post(url, content=pieces(), headers=headers)
    assert stale.status_code == 409
