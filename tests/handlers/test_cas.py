"""Blobs over HTTP, on the real application and database."""

from typing import Any

import asyncpg
import pytest
from blake3 import blake3

from orchestrator.documents.canonical import canonicalise
from tests.api import Api

HELLO = f"blake3:{blake3(b'hello').hexdigest()}"


async def upload(api: Api, content: bytes, **options: Any) -> Any:
    return await api.http.post("/api/v1/cas", content=content, **options)


@pytest.mark.parametrize("media_type", ["image/x-thing; a=b", "text/plain", "text/html"])
async def test_a_blob_comes_back_exactly_with_the_type_it_came_with(
    api: Api, namespace: str, media_type: str
) -> None:
    # The first media type of the same bytes stays, so each case has bytes of its own.
    content = bytes(range(256)) * 10 + namespace.encode()
    response = await upload(api, content, headers={"Content-Type": media_type})
    assert response.status_code == 201
    body = response.json()
    assert body["size_bytes"] == len(content)
    found = await api.get(f"/cas/{body['cas_id']}")
    assert found.content == content
    assert found.headers["content-type"] == media_type
    assert found.headers["content-length"] == str(len(content))
    assert found.headers["etag"] == f'"{body["cas_id"]}"'
    assert "immutable" in found.headers["cache-control"]
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in found.headers["content-security-policy"]


async def test_the_same_blob_again_is_200(api: Api) -> None:
    assert [(await upload(api, b"hello")).status_code for _ in range(2)] == [201, 200]


async def test_an_empty_blob_is_a_blob(api: Api) -> None:
    body = (await upload(api, b"")).json()
    assert body["cas_id"].startswith("blake3:af1349b9f5f9a1a6")
    found = await api.get(f"/cas/{body['cas_id']}")
    assert (found.status_code, found.content) == (200, b"")


async def test_bytes_without_a_type_are_octets(api: Api) -> None:
    assert (await upload(api, b"hello")).json()["media_type"] == "application/octet-stream"


async def test_a_put_stores_only_what_the_name_promises(api: Api) -> None:
    wrong = await api.http.put(f"/api/v1/cas/{HELLO}", content=b"other")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "digest mismatch")
    assert (await api.get(f"/cas/{HELLO}")).status_code == 404
    right = await api.http.put(f"/api/v1/cas/{HELLO}", content=b"hello")
    assert right.status_code == 201
    encoded = await api.get(f"/cas/{HELLO.replace(':', '%3A')}")
    assert encoded.content == b"hello"


async def test_a_head_is_a_get_without_the_bytes(api: Api) -> None:
    await upload(api, b"hello", headers={"Content-Type": "text/plain"})
    head = await api.http.head(f"/api/v1/cas/{HELLO}")
    get = await api.get(f"/cas/{HELLO}")
    assert (head.status_code, head.content) == (200, b"")
    ignored = {"date", "x-correlation-id"}
    assert {k: v for k, v in head.headers.items() if k not in ignored} == {
        k: v for k, v in get.headers.items() if k not in ignored
    }


async def test_a_known_blob_is_not_sent_again(api: Api) -> None:
    await upload(api, b"hello")
    for method in ("GET", "HEAD"):
        response = await api.http.request(
            method, f"/api/v1/cas/{HELLO}", headers={"If-None-Match": f'"{HELLO}"'}
        )
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == f'"{HELLO}"'
        assert "immutable" in response.headers["cache-control"]


@pytest.mark.parametrize(
    "name",
    ["x", "blake3:", "blake3:" + "0" * 63, "blake3:" + "A" * 64, "sha256:" + "0" * 63, "0" * 64],
)
async def test_a_malformed_name_is_400(api: Api, name: str) -> None:
    for response in (
        await api.get(f"/cas/{name}"),
        await api.http.put(f"/api/v1/cas/{name}", content=b"x"),
        await api.post("/cas/missing", {"cas_ids": [HELLO, name]}),
    ):
        assert response.status_code == 400
        assert response.json()["errors"][0]["rule"] == "cas-id"


async def test_an_unknown_name_is_404(api: Api) -> None:
    for method in ("GET", "HEAD"):
        response = await api.http.request(method, f"/api/v1/cas/{HELLO}")
        assert response.status_code == 404


async def test_an_upload_is_new_in_each_namespace(api: Api) -> None:
    assert (await upload(api, b"hello")).status_code == 201
    other = {"namespace": "other"}
    missing = await api.post("/cas/missing", {"cas_ids": [HELLO]}, params=other)
    assert missing.json() == {"missing": [HELLO]}
    assert (await api.get(f"/cas/{HELLO}", params=other)).status_code == 404
    assert (await upload(api, b"hello", params=other)).status_code == 201
    assert (await api.get(f"/cas/{HELLO}", params=other)).content == b"hello"


async def test_missing_names_what_would_have_to_be_uploaded(api: Api) -> None:
    await upload(api, b"hello")
    unknown = f"blake3:{blake3(b'unknown').hexdigest()}"
    response = await api.post("/cas/missing", {"cas_ids": [unknown, HELLO, unknown]})
    assert (response.status_code, response.json()) == (200, {"missing": [unknown]})


async def test_questions_and_blobs_over_their_limits_are_refused(make_app: Any) -> None:
    app = make_app(
        missing_ids_max=1, blob_bytes_max=10, blob_inline_bytes_max=5, workflow_bytes_max=10
    )
    async with Api.on(app, "a-token-for-tests") as api:
        many = await api.post("/cas/missing", {"cas_ids": [HELLO, HELLO]})
        assert (many.status_code, many.json()["errors"][0]["pointer"]) == (400, "/cas_ids")
        assert (await upload(api, b"x" * 10)).status_code == 201
        declared = await upload(api, b"x" * 11)
        assert (declared.status_code, declared.json()["limit_bytes"]) == (413, 10)

        async def pieces() -> Any:
            for _ in range(4):
                yield b"xxxx"

        chunked = await upload(api, pieces())
        assert chunked.status_code == 413


async def test_an_encoded_upload_is_refused_because_its_name_would_be_of_other_bytes(
    api: Api,
) -> None:
    response = await upload(api, b"x", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


@pytest.mark.parametrize("media_type", ["x" * 256, "text/\x7f"])
async def test_a_media_type_that_cannot_be_returned_is_refused(api: Api, media_type: str) -> None:
    response = await upload(api, b"x", headers={"Content-Type": media_type})
    assert response.status_code == 400


async def test_corrupted_bytes_are_an_error_and_never_served(
    fresh_api: Api, fresh_database: str
) -> None:
    await upload(fresh_api, b"hello")
    connection = await asyncpg.connect(fresh_database)
    await connection.execute("UPDATE cas_blob SET content = 'jello'")
    await connection.close()
    response = await fresh_api.get(f"/cas/{HELLO}")
    assert (response.status_code, response.json()["error"]) == (500, "corrupt blob")
    assert b"jello" not in response.content


@pytest.mark.parametrize(
    ("asked", "status", "content", "answered"),
    [
        ("bytes=0-1", 206, b"he", "bytes 0-1/5"),
        ("bytes=1-", 206, b"ello", "bytes 1-4/5"),
        ("bytes=-2", 206, b"lo", "bytes 3-4/5"),
        ("bytes=-99", 206, b"hello", "bytes 0-4/5"),
        ("bytes=3-99", 206, b"lo", "bytes 3-4/5"),
        ("Bytes = 4-4", 206, b"o", "bytes 4-4/5"),
        ("bytes=5-", 416, None, "bytes */5"),
        ("bytes=-0", 416, None, "bytes */5"),
        ("bytes=2-1", 200, b"hello", None),
        ("bytes=0-1,3-4", 200, b"hello", None),
        ("bytes=-", 200, b"hello", None),
        ("bytes=" + "9" * 30 + "-", 200, b"hello", None),
        ("lines=0-1", 200, b"hello", None),
    ],
)
async def test_a_range_of_bytes_is_a_part_of_the_blob(
    api: Api, asked: str, status: int, content: bytes | None, answered: str | None
) -> None:
    await upload(api, b"hello")
    response = await api.get(f"/cas/{HELLO}", headers={"Range": asked})
    assert response.status_code == status
    assert response.headers.get("content-range") == answered
    if content is not None:
        assert response.content == content
        assert response.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(("tag", "status"), [(HELLO, 206), ("blake3:" + "0" * 64, 200)])
async def test_a_range_of_another_blob_is_answered_with_the_whole(
    api: Api, tag: str, status: int
) -> None:
    await upload(api, b"hello")
    headers = {"Range": "bytes=0-0", "If-Range": f'"{tag}"'}
    assert (await api.get(f"/cas/{HELLO}", headers=headers)).status_code == status


async def test_a_workflow_is_of_its_own_type_whoever_uploaded_its_bytes_before(api: Api) -> None:
    content = canonicalise({"nodes": [{"id": "shared", "type": "t"}]})
    elsewhere = {"namespace": "elsewhere"}
    theirs = await upload(api, content, params=elsewhere, headers={"Content-Type": "text/secret"})
    body = {"tag": "main", "workflow": {"nodes": [{"id": "shared", "type": "t"}]}}
    created = (await api.post("/workflows", body)).json()
    assert created["cas_id"] == theirs.json()["cas_id"]
    mine = await api.get(f"/cas/{created['cas_id']}")
    assert mine.headers["content-type"] == "application/json;type=dag"
    again = (await upload(api, content, headers={"Content-Type": "text/plain"})).json()
    assert again["media_type"] == "application/json;type=dag"
    assert again["created_at"] == created["created_at"]
