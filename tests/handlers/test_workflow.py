"""Workflows over HTTP, on the real application and database."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from orchestrator.documents.canonical import canonicalise
from tests.api import Api, chain, path


def name_of(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


async def test_a_created_workflow_is_found_by_tag_and_its_blob_by_hash(api: Api) -> None:
    created = await api.create("release/v1.0", "a", "b", message="first")
    found = await api.get(f"/workflows/{path('release/v1.0')}")
    assert found.status_code == 200
    body = found.json()
    assert body["workflow"] == chain("a", "b")
    assert {**created} == {**{k: body[k] for k in body if k != "workflow"}, "action": "create"}
    assert body["message"] == "first"
    blob = await api.get(f"/cas/{body['cas_id']}")
    assert name_of(blob.content) == body["cas_id"] == body["version_hash"]
    assert blob.headers["content-type"] == "application/json;type=dag"


async def test_a_create_says_where_and_what_it_made(api: Api, namespace: str) -> None:
    response = await api.post("/workflows", {"tag": "a/b", "workflow": chain("a")})
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/v1/workflows/a%2Fb?namespace={namespace}"
    assert response.headers["etag"] == f'"{response.json()["version_hash"]}"'
    assert (await api.http.get(response.headers["location"])).status_code == 200


async def test_the_document_is_served_in_its_canonical_bytes(api: Api) -> None:
    config = {"b": 1.50, "a": 1.0}
    workflow: dict[str, Any] = {"nodes": [{"type": "t", "id": "e", "config": config}]}
    await api.post("/workflows", {"tag": "main", "workflow": workflow})
    response = await api.get("/workflows/main")
    canonical = canonicalise(workflow)
    assert response.content.endswith(b',"workflow":' + canonical + b"}")
    assert b'"config":{"a":1,"b":1.5}' in canonical


@pytest.mark.parametrize(
    "body",
    [
        b'{"tag":"main","workflow":{"nodes":[{"id":"a","type":"t","config":{"x":1}}]}}',
        b'{ "workflow" : {"nodes":[{"type":"t","config":{"x":1.0},"id":"a"}] }, "tag":"main" }\n',
        b'{"tag":"main","workflow":{"nodes":[{"id":"\\u0061","type":"t","config":{"x":1e0}}]}}',
    ],
)
async def test_spelling_does_not_change_the_version_hash(api: Api, body: bytes) -> None:
    response = await api.http.post(
        "/api/v1/workflows", content=body, headers={"content-type": "application/json"}
    )
    expected = canonicalise({"nodes": [{"id": "a", "type": "t", "config": {"x": 1}}]})
    assert response.json()["version_hash"] == name_of(expected)


async def test_the_same_workflow_again_changes_nothing(api: Api) -> None:
    first = await api.create("main", "a", "b")
    again = await api.create("main", "a", "b", message="ignored")
    assert again == {**first, "action": None}
    history = (await api.get("/tags/main/history")).json()["items"]
    assert len(history) == 1


async def test_one_character_more_is_another_version(api: Api) -> None:
    first, second = await api.create("main", "a"), await api.create("main", "aa")
    assert first["version_hash"] != second["version_hash"]
    assert (second["tag_version"], second["action"]) == (2, "move")


async def test_two_tags_on_one_version_share_its_artifact(api: Api) -> None:
    one, two = await api.create("one", "a"), await api.create("two", "a")
    assert one["artifact_id"] == two["artifact_id"]


async def test_a_known_entity_tag_is_answered_304_without_a_body(api: Api) -> None:
    created = await api.create("main", "a")
    etag = f'"{created["version_hash"]}"'
    for given in (etag, f'"x", W/{etag}', "*"):
        response = await api.get("/workflows/main", headers={"If-None-Match": given})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
    other = await api.get("/workflows/main", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_a_malformed_entity_tag_is_refused(api: Api) -> None:
    await api.create("main", "a")
    response = await api.get("/workflows/main", headers={"If-None-Match": "unquoted"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/If-None-Match"


async def test_an_unknown_tag_is_404_with_the_error_that_was_promised(api: Api) -> None:
    response = await api.get("/workflows/nope")
    assert response.status_code == 404
    assert response.json()["error"] == "workflow not found"


async def test_time_travel_by_version_and_by_time(api: Api) -> None:
    first = await api.create("main", "a")
    second = await api.create("main", "b")

    async def at(**query: Any) -> Any:
        return (await api.get("/workflows/main", params=query)).json().get("version_hash")

    assert await at(version=1) == first["version_hash"]
    assert await at(version=2) == second["version_hash"]
    assert await at(version=3) is None
    assert await at(at=first["moved_at"]) == first["version_hash"]
    assert await at(at=second["moved_at"]) == second["version_hash"]
    before = datetime.fromisoformat(first["moved_at"]) - timedelta(seconds=1)
    assert await at(at=before.isoformat()) is None


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"version": 0}, "/version"),
        ({"version": 2**63}, "/version"),
        ({"version": "x"}, "/version"),
        ({"at": "2026-01-01T00:00:00"}, "/at"),
        ({"at": "yesterday"}, "/at"),
        ({"at": "2026-01-01T00:00:00Z", "version": 1}, "/at"),
        ({"at": "0001-01-01T00:00:00+23:59"}, "/at"),
        ({"at": "9999-12-31T23:59:59-23:59"}, "/at"),
        ({"verison": 1}, "/verison"),
        ({"materialize": "perhaps"}, "/materialize"),
        ({"namespace": "No"}, "/namespace"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_named(
    api: Api, query: dict[str, Any], pointer: str
) -> None:
    response = await api.get("/workflows/main", params=query)
    assert response.status_code == 400, response.text
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_a_workflow_is_its_base_when_it_is_not_materialised(api: Api) -> None:
    created = await api.create("main", "a")
    body = (await api.get("/workflows/main", params={"materialize": "false"})).json()
    assert body["base"]["artifact_id"] == created["artifact_id"]
    assert body["base"]["workflow"] == chain("a")
    assert body["patches"] == []


async def test_all_violations_come_at_once_with_pointers_into_the_body(api: Api) -> None:
    workflow = {
        "nodes": [{"id": "a", "type": "t"}, {"id": "a", "type": "t"}, {"id": "b"}],
        "edges": [{"from": "a", "to": "nope"}, {"from": "b", "to": "b"}],
    }
    response = await api.post("/workflows", {"tag": "main", "workflow": workflow})
    assert response.status_code == 422
    pointers = {each["pointer"] for each in response.json()["errors"]}
    assert {"/workflow/nodes/1/id", "/workflow/nodes/2", "/workflow/edges/0/to"} <= pointers
    assert (await api.get("/workflows/main")).status_code == 404
    assert (await api.get("/artifacts")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b'{"tag":"main"}', ""),
        (b'{"tag":1,"workflow":{}}', "/tag"),
        (b'{"tag":"main","workflow":{"nodes":[]},"mesage":""}', ""),
        (
            b'{"tag":"main","workflow":{},"expected_version":9223372036854775808}',
            "/expected_version",
        ),
        (b'{"tag":"main","workflow":{},"expected_version":0}', "/expected_version"),
        (b'{"tag":"..","workflow":{}}', "/tag"),
        (b'{"tag":"main","workflow":{"a":1,"a":2}}', "/workflow/a"),
        (b'{"tag":"main","workflow":{"a":"\\u0000"}}', "/workflow/a"),
        (b'{"tag":"main","workflow":{"a":"\\ud800"}}', "/workflow/a"),
        (b'{"tag":"main","workflow":{"a":9007199254740992}}', "/workflow/a"),
        (b'{"tag":"main","workflow":{"a":1e999}}', "/workflow/a"),
        (b'{"tag":"main","workflow":{"a":"\xff"}}', ""),
        (b'{"tag":"main","workflow":' + b"[" * 100 + b"]" * 100 + b"}", None),
        (b'{"tag":"main","workflow":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        (b'{"tag":"main","workflow":{},"message":"\\u0000"}', "/message"),
        (b'{"tag":"main","workflow":{"nodes":[{"id":"a","type":"t"}]},"tag":"b"}', "/tag"),
        (b'\xef\xbb\xbf{"tag":"main","workflow":{}}', ""),
    ],
)
async def test_a_malformed_body_is_400_and_named(
    api: Api, body: bytes, pointer: str | None
) -> None:
    response = await api.http.post(
        "/api/v1/workflows", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400, response.text
    problem = response.json()
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer, problem


async def test_a_body_of_another_type_is_415(api: Api) -> None:
    response = await api.http.post("/api/v1/workflows", content=b"{}")
    assert response.status_code == 415
    assert response.json()["supported"] == ["application/json"]


async def test_an_expected_version_guards_the_create(api: Api) -> None:
    await api.create("main", "a")
    stale = {"tag": "main", "workflow": chain("b"), "expected_version": 2}
    response = await api.post("/workflows", stale)
    assert response.status_code == 409
    assert response.json()["current_version"] == 1
    assert (await api.post("/workflows", {**stale, "expected_version": 1})).status_code == 201
    unknown = await api.post("/workflows", {**stale, "tag": "new"})
    assert unknown.status_code == 404
    assert len((await api.get("/artifacts")).json()["items"]) == 2, "nothing is left behind"


async def test_preconditions_in_headers_guard_the_create(api: Api) -> None:
    body = {"tag": "main", "workflow": chain("a")}
    first = await api.post("/workflows", body, headers={"If-None-Match": "*"})
    assert first.status_code == 201
    again = await api.post(
        "/workflows", {**body, "workflow": chain("b")}, headers={"If-None-Match": "*"}
    )
    assert again.status_code == 412
    assert again.json()["current_version"] == 1


async def test_workflows_are_listed_without_documents_in_pages(api: Api) -> None:
    for tag in ("c", "a", "b"):
        await api.create(tag, tag)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/workflows", params={"limit": "2", **cursor})).json()
        seen += [item["tag"] for item in page["items"]]
        assert all("workflow" not in item for item in page["items"])
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
async def test_a_page_has_between_one_and_a_thousand_items(api: Api, limit: str) -> None:
    response = await api.get("/workflows", params={"limit": limit})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/limit"


@pytest.mark.parametrize("cursor", ["!", "e30", "Li4", "MQ", "%ff"])
async def test_a_cursor_that_was_not_given_out_is_refused(api: Api, cursor: str) -> None:
    response = await api.get(f"/workflows?cursor={cursor}")
    assert response.status_code == 400, response.text


async def test_deleting_a_workflow_deletes_the_tag_only(api: Api) -> None:
    created = await api.create("main", "a")
    deleted = await api.delete("/workflows/main")
    assert (deleted.status_code, deleted.json()["version"]) == (200, 2)
    assert (await api.get("/workflows/main")).status_code == 404
    assert (await api.get(f"/artifacts/{created['artifact_id']}")).status_code == 200
    assert (await api.get(f"/cas/{created['cas_id']}")).status_code == 200
    gone = await api.delete("/workflows/main")
    assert (gone.status_code, gone.json()["error"]) == (404, "workflow not found")


async def test_a_delete_keeps_its_precondition(api: Api) -> None:
    created = await api.create("main", "a")
    stale = await api.delete("/workflows/main", headers={"If-Match": '"blake3:other"'})
    assert stale.status_code == 412
    assert stale.json()["current_version_hash"] == created["version_hash"]
    etag = f'"{created["version_hash"]}"'
    done = await api.delete("/workflows/main", headers={"If-Match": etag})
    assert done.status_code == 200
    gone = await api.delete("/workflows/main", headers={"If-Match": "*"})
    assert gone.status_code == 412


async def test_a_create_keeps_the_entity_tag_it_was_given(api: Api) -> None:
    first = await api.create("main", "a")
    body = {"tag": "main", "workflow": chain("b")}
    etag = {"If-Match": f'"{first["version_hash"]}"'}
    assert (await api.post("/workflows", body, headers=etag)).status_code == 201
    stale = await api.post("/workflows", {**body, "workflow": chain("c")}, headers=etag)
    assert (stale.status_code, stale.json()["current_version"]) == (412, 2)
    both = await api.post("/workflows", {**body, "expected_version": 1}, headers={"If-Match": "*"})
    assert both.status_code == 412
    contradictory = {"If-Match": '"x"', "If-None-Match": "*"}
    refused = await api.post("/workflows", {**body, "tag": "new"}, headers=contradictory)
    assert refused.status_code == 400
    missing = await api.post("/workflows", {**body, "tag": "new"}, headers={"If-Match": "*"})
    assert missing.status_code == 412


async def test_namespaces_do_not_see_each_other(api: Api, namespace: str) -> None:
    created = await api.create("main", "a")
    other = {"namespace": "team-a"}
    assert (await api.get("/workflows/main", params=other)).status_code == 404
    assert (await api.get(f"/cas/{created['cas_id']}", params=other)).status_code == 404
    assert (await api.get("/workflows", params=other)).json()["items"] == []
    assert (
        await api.get("/workflows/main", params={"namespace": namespace[:-1]})
    ).status_code == 404


async def test_a_large_document_is_read_off_the_event_loop_and_is_the_same(api: Api) -> None:
    ids = [f"node-{number:05}" for number in range(3_000)]
    created = await api.create("big", *ids)
    assert (created["nodes_count"], created["edges_count"]) == (3_000, 2_999)
    body = msgspec.json.decode((await api.get("/workflows/big")).content)
    assert body["workflow"] == chain(*ids)


async def test_a_document_over_the_limit_is_413(make_app: Any) -> None:
    async with Api.on(make_app(workflow_bytes_max=100), "a-token-for-tests") as api:
        response = await api.post(
            "/workflows", {"tag": "main", "workflow": chain("a" * 50, "b" * 50)}
        )
    assert response.status_code == 413
    assert response.json()["limit_bytes"] == 100


async def test_a_body_of_more_values_than_the_setting_allows_is_refused_on_every_way(
    make_app: Any,
) -> None:
    async with Api.on(make_app(json_body_values_max=200), "a-token-for-tests") as api:
        await api.create("main", "a")
        many = {"nodes": [{"id": "a", "type": "t", "config": {"x": [1, 2] * 1000}}]}
        operation = {"op": "create_workflow", "tag": "main", "workflow": many}
        merge_patch = {"content-type": "application/merge-patch+json"}
        for refused in (
            await api.post("/workflows", {"tag": "main", "workflow": many}),
            await api.post("/transactions", {"operations": [operation]}),
            await api.http.patch(
                "/api/v1/workflows/main", content=msgspec.json.encode(many), headers=merge_patch
            ),
        ):
            assert refused.status_code == 400
            [violation] = refused.json()["errors"]
            assert violation["rule"] == "values-max"
            assert "at most 200 values" in violation["message"]
            assert "at most 200 values" in refused.json()["detail"]


async def test_an_answer_lists_no_more_violations_than_it_says(api: Api) -> None:
    nodes = [{"id": "a b", "type": ""}] * 1_000
    for workflow in ({"nodes": nodes}, {"nodes": [{"id": "é" * 900}] * 1_000}):
        refused = await api.post("/workflows", {"tag": "main", "workflow": workflow})
        assert refused.status_code == 422
        assert len(refused.json()["errors"]) == 101
        assert refused.json()["errors"][-1]["rule"] == "more-violations"
        assert len(refused.content) < 70_000
