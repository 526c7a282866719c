"""Refusals of resumable uploads over HTTP."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest

from orchestrator.handlers.http.edge import Edge
from tests.api import Api
from tests.conftest import TOKEN
from tests.handlers.transfer.uploading import (
    BYTES,
    TUS,
    UPLOADS,
    begun,
    cas_id,
    checksum,
    content_of,
    create,
    encoded,
    head,
    id_of,
    offset,
    patch,
)

# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("headers", "pointer"),
    [
        ({}, "/Upload-Length"),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, "/Upload-Length"),
        ({"Upload-Length": "-1"}, "/Upload-Length"),
        ({"Upload-Length": "5.0"}, "/Upload-Length"),
        ({"Upload-Length": "٣"}, "/Upload-Length"),
        ({"Upload-Length": ""}, "/Upload-Length"),
        ({"Upload-Defer-Length": "0"}, "/Upload-Defer-Length"),
        ({"Upload-Length": "5", "Upload-Defer-Length": "2"}, "/Upload-Defer-Length"),
        ({"Upload-Length": "5", "Upload-Metadata": "a b c"}, "/Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": "a %%%"}, "/Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": "a,a"}, "/Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": "a,,b"}, "/Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": "ä eA=="}, "/Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": encoded(cas_id="x")}, "/Upload-Metadata/cas_id"),
        ({"Upload-Length": "5", "Upload-Metadata": encoded(filetype="a\nb")}, "/Content-Type"),
    ],
)
async def test_a_creation_that_makes_no_sense_is_400(
    api: Api, headers: dict[str, str], pointer: str
) -> None:
    given = {k.encode(): v.encode() for k, v in {**TUS, **headers}.items()}
    response = await api.http.post(UPLOADS, headers=given)
    assert response.status_code == 400, response.text
    assert response.json()["errors"][0]["pointer"] == pointer
    assert response.headers["tus-resumable"] == "1.0.0"
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("digits", [14, 18, 19, 5_000])
async def test_a_length_over_the_limit_is_413_whatever_its_digits(api: Api, digits: int) -> None:
    headers = {**TUS, "Upload-Length": "9" * digits}
    refused = await api.http.post(UPLOADS, headers=headers)
    assert refused.status_code == 413
    assert refused.json()["limit_bytes"] == 16 * 1024**3
    where = await begun(api, None)
    assert (await patch(api, where, 0, b"x", **{"Upload-Length": "9" * digits})).status_code == 413
    beyond = await patch(api, where, 0, b"x", **{"Upload-Offset": "9" * digits})
    assert (beyond.status_code, beyond.json()["error"]) == (409, "upload conflict")


async def test_zeros_before_a_length_are_no_digits_of_it(api: Api) -> None:
    created = await api.http.post(UPLOADS, headers={**TUS, "Upload-Length": "0" * 30 + "5"})
    assert created.status_code == 201
    assert (await head(api, created.headers["location"])).headers["upload-length"] == "5"


@pytest.mark.parametrize("given", [{}, {"Tus-Resumable": "0.2.2"}, {"Tus-Resumable": "1.0"}])
async def test_another_version_of_the_protocol_is_412(api: Api, given: dict[str, str]) -> None:
    where = await begun(api, 5)
    headers = {**{k: v for k, v in BYTES.items() if k not in TUS}, "Upload-Offset": "0", **given}
    for method, url in (("POST", UPLOADS), ("PATCH", where), ("HEAD", where), ("DELETE", where)):
        more = {"Upload-Length": "5"} if method == "POST" else {}
        response = await api.http.request(method, url, headers={**headers, **more}, content=b"hi")
        assert response.status_code == 412
        assert response.headers["tus-version"] == response.headers["tus-resumable"] == "1.0.0"
    assert await offset(api, where) == 0
    assert (await api.http.get(where)).status_code == 200, "the JSON is no part of the protocol"


@pytest.mark.parametrize(
    ("headers", "status", "pointer"),
    [
        ({"Upload-Offset": "1"}, 409, None),
        ({"Upload-Offset": "-1"}, 400, "/Upload-Offset"),
        ({"Upload-Offset": "x"}, 400, "/Upload-Offset"),
        ({"Upload-Offset": ""}, 400, "/Upload-Offset"),
        ({"Upload-Length": "6"}, 400, "/Upload-Length"),
        ({"Content-Type": "application/octet-stream"}, 415, None),
        ({"Content-Type": ""}, 415, None),
        ({"Content-Encoding": "gzip"}, 415, None),
        ({"Upload-Checksum": "md5 AAAA"}, 400, "/Upload-Checksum"),
        ({"Upload-Checksum": "sha1 AAAA"}, 400, "/Upload-Checksum"),
        ({"Upload-Checksum": "sha1 %"}, 400, "/Upload-Checksum"),
        ({"Upload-Checksum": "sha1"}, 400, "/Upload-Checksum"),
    ],
)
async def test_a_patch_that_does_not_fit_changes_nothing(
    api: Api, headers: dict[str, str], status: int, pointer: str | None
) -> None:
    where = await begun(api, 5)
    response = await patch(api, where, 0, b"hi", **headers)
    assert response.status_code == status
    assert response.headers["tus-resumable"] == "1.0.0"
    if pointer:
        assert response.json()["errors"][0]["pointer"] == pointer
    assert await offset(api, where) == 0
    assert (await patch(api, where, 0, b"hello")).status_code == 204


async def test_a_patch_without_an_offset_is_400(api: Api) -> None:
    where = await begun(api, 5)
    response = await api.http.patch(where, content=b"hi", headers=BYTES)
    assert response.status_code == 400


async def test_a_conflict_says_where_the_upload_is(api: Api) -> None:
    where = await begun(api, 5)
    await patch(api, where, 0, b"he")
    response = await patch(api, where, 0, b"he")
    assert response.status_code == 409
    problem = response.json()
    assert (problem["offset_bytes"], problem["upload_id"]) == (2, id_of(where))
    assert problem["error"] == "upload conflict"


@pytest.mark.parametrize("chunked", [False, True])
async def test_more_bytes_than_were_announced_are_413(api: Api, *, chunked: bool) -> None:
    where = await begun(api, 5)

    async def stream() -> AsyncIterator[bytes]:
        yield b"hel"
        yield b"lo!"

    response = await patch(api, where, 0, stream() if chunked else b"hello!")
    assert response.status_code == 413
    at = await offset(api, where)
    assert at == (3 if chunked else 0)
    last = await patch(api, where, at, b"hello"[at:])
    assert await content_of(api, last) == b"hello"


async def test_sizes_over_the_limit_are_413(make_app: Callable[..., Edge]) -> None:
    app = make_app(blob_bytes_max=10, blob_inline_bytes_max=5, workflow_bytes_max=5)
    async with Api.on(app, TOKEN) as api:
        assert (await create(api, 11)).status_code == 413
        assert (await create(api, 10)).status_code == 201
        assert (await create(api, None, headers=BYTES, content=b"x" * 11)).status_code == 413
        where = await begun(api, None)
        assert (await patch(api, where, 0, b"x" * 11)).status_code == 413
        assert (await patch(api, where, 0, b"", **{"Upload-Length": "11"})).status_code == 413
        assert (await patch(api, where, 0, b"x" * 10, **{"Upload-Length": "10"})).is_success


async def test_a_creation_with_other_bytes_than_it_says_leaves_nothing(
    api: Api, namespace: str, shared_database: str
) -> None:
    for headers, content, status in (
        ({"Content-Type": "text/plain"}, b"hello", 415),
        ({}, b"hello", 415),
        (BYTES, b"hello!", 413),
        ({**BYTES, "Upload-Checksum": checksum("sha1", b"other")}, b"hello", 460),
        ({**BYTES, "Upload-Metadata": encoded(cas_id=cas_id(b"other"))}, b"hello", 400),
    ):
        response = await create(api, 5, headers=headers, content=content)
        assert response.status_code == status
    connection = await asyncpg.connect(shared_database)
    query = "SELECT count(*) FROM cas_upload WHERE namespace = $1"
    assert await connection.fetchval(query, namespace) == 0
    await connection.close()


@pytest.mark.parametrize(
    "name", ["x", "%ff", "%00", str(UUID(int=0)), "A" * 32, "01a217eb-bc52-7018-8dcb-12a61d98da1d"]
)
async def test_an_unknown_upload_is_404(api: Api, name: str) -> None:
    where = f"{UPLOADS}/{name}"
    for response in (
        await head(api, where),
        await patch(api, where, 0, b"x"),
        await api.http.get(where),
        await api.http.delete(where, headers=TUS),
    ):
        assert response.status_code in ({404} if name != "%ff" else {400})
        assert "upload-offset" not in response.headers


async def test_an_upload_is_not_seen_in_another_namespace(api: Api) -> None:
    where = await begun(api, 5)
    elsewhere = f"{UPLOADS}/{id_of(where)}?namespace=elsewhere"
    for response in (
        await head(api, elsewhere),
        await patch(api, elsewhere, 0, b"hello"),
        await api.http.get(elsewhere),
        await api.http.delete(elsewhere, headers=TUS),
    ):
        assert response.status_code == 404
    assert await offset(api, where) == 0


async def test_a_namespace_of_its_own_is_kept_in_the_location(api: Api) -> None:
    where = await begun(api, 5, params={"namespace": "team/a"})
    assert where.endswith("?namespace=team%2Fa")
    last = await patch(api, where, 0, b"hello")
    assert last.headers["content-location"].endswith("?namespace=team%2Fa")
    assert await content_of(api, last) == b"hello"


async def test_an_expired_upload_is_404(api: Api, shared_database: str) -> None:
    where = await begun(api, 5)
    connection = await asyncpg.connect(shared_database)
    await connection.execute(
        "UPDATE cas_upload SET expires_at = now() WHERE upload_id = $1", id_of(where)
    )
    await connection.close()
    assert (await head(api, where)).status_code == 404
    assert (await patch(api, where, 0, b"hello")).status_code == 404


async def test_a_full_disk_refuses_bytes_and_lets_uploads_be_ended(
    make_app: Callable[..., Edge], api: Api
) -> None:
    where = await begun(api, 5)
    async with Api.on(make_app(disk_free_bytes_min=2**60), TOKEN) as full:
        assert (await create(full, 5)).status_code == 507
        assert (await patch(full, where, 0, b"hello")).status_code == 507
        assert (await head(full, where)).status_code == 200
        assert (await full.http.delete(where, headers=TUS)).status_code == 204


async def test_a_creation_may_be_repeated_with_its_key(api: Api) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first, again = await create(api, 5, headers=key), await create(api, 5, headers=key)
    assert first.headers["location"] == again.headers["location"]
    assert (first.status_code, again.status_code) == (201, 201)
    assert (await create(api, 6, headers=key)).status_code == 422
