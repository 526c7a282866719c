"""Resumable uploads by tus 1.0.0, on the real application, database and storage."""

import asyncio
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest
from blake3 import blake3

from orchestrator.app import create_app
from orchestrator.handlers.http.edge import Edge
from orchestrator.jobs.upload_pace import UploadPace
from orchestrator.models.transfer.upload import upload_of_stage
from orchestrator.wiring.jobs import build_jobs
from tests.api import Api
from tests.conftest import TOKEN, settings_for

UPLOADS = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
MIB = 1024 * 1024
#: Not inline, and not of one piece.
LARGE = random.Random(1).randbytes(5 * MIB + 321)


def cas_id(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


def encoded(**values: str) -> str:
    """The value of Upload-Metadata."""
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())


async def create(api: Api, size: int | None = None, **options: Any) -> httpx2.Response:
    length = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    headers = {**TUS, **length, **options.pop("headers", {})}
    return await api.http.post(UPLOADS, headers=headers, **options)


async def begun(api: Api, size: int | None, **options: Any) -> str:
    """The address of a new upload."""
    response = await create(api, size, **options)
    assert response.status_code == 201, response.text
    assert "upload-offset" not in response.headers
    where: str = response.headers["location"]
    return where


async def patch(
    api: Api, where: str, offset: int, content: Any = b"", **headers: str
) -> httpx2.Response:
    given = {**BYTES, "Upload-Offset": str(offset), **headers}
    return await api.http.patch(where, content=content, headers=given)


async def head(api: Api, where: str) -> httpx2.Response:
    return await api.http.head(where, headers=TUS)


async def offset(api: Api, where: str) -> int:
    return int((await head(api, where)).headers["upload-offset"])


async def content_of(api: Api, response: httpx2.Response) -> bytes:
    """The blob that the answer leads to."""
    return (await api.http.get(response.headers["content-location"])).content


def id_of(where: str) -> str:
    return urlsplit(where).path.rpartition("/")[2]


def stages_of(database: str, where: str) -> list[Path]:
    folder = Path(urlsplit(settings_for(database).blob_store).path) / "stages"
    upload = UUID(id_of(where))
    return [path for path in folder.iterdir() if upload_of_stage(path.name) == upload]


# --------------------------------------------------------------------------------- what there is


async def test_options_tell_what_of_the_protocol_there_is(api: Api) -> None:
    for path in (UPLOADS, f"{UPLOADS}/{uuid4()}"):
        response = await api.http.options(path, headers={"Tus-Resumable": "0.2.2"})
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["tus-resumable"] == "1.0.0"
        assert response.headers["tus-version"] == "1.0.0"
        assert response.headers["tus-max-size"] == str(16 * 1024**3)
        assert response.headers["tus-checksum-algorithm"] == "sha1,sha256"
        assert set(response.headers["tus-extension"].split(",")) == {
            "creation",
            "creation-with-upload",
            "creation-defer-length",
            "expiration",
            "termination",
            "checksum",
        }


async def test_an_upload_in_pieces_becomes_a_blob(api: Api, namespace: str) -> None:
    headers = {"Upload-Metadata": encoded(filename="a", filetype="image/x-test")}
    where = await begun(api, len(LARGE), headers=headers)
    assert where == f"{UPLOADS}/{id_of(where)}?namespace={namespace}"
    at, answers = 0, []
    for size in (1, 200_000, 4 * MIB, len(LARGE)):
        answers.append(await patch(api, where, at, LARGE[at : at + size]))
        at = min(at + size, len(LARGE))
        assert (answers[-1].status_code, answers[-1].content) == (204, b"")
        assert answers[-1].headers["upload-offset"] == str(at)
        assert answers[-1].headers["tus-resumable"] == "1.0.0"
        assert parsedate_to_datetime(answers[-1].headers["upload-expires"])
    assert all("content-location" not in each.headers for each in answers[:-1])
    last = answers[-1]
    assert last.headers["etag"] == f'"{cas_id(LARGE)}"'
    assert last.headers["content-location"] == f"/api/v1/cas/{cas_id(LARGE)}?namespace={namespace}"
    blob = await api.http.get(last.headers["content-location"])
    assert blob.content == LARGE
    assert blob.headers["content-type"] == "image/x-test"


@pytest.mark.parametrize("size", [0, 1, 100_000, len(LARGE)])
@pytest.mark.parametrize("media_type", ["image/x-test", "text/plain"])
async def test_blobs_of_every_way_through_are_whole(
    api: Api, size: int, media_type: str, namespace: str
) -> None:
    """Inline, compressed, and renamed."""
    content = (namespace.encode() + LARGE)[:size]
    metadata = {"Upload-Metadata": encoded(contentType=media_type)}
    response = await create(api, size, headers=metadata)
    if size:
        response = await patch(api, response.headers["location"], 0, content)
    assert response.headers["upload-offset"] == str(size)
    assert await content_of(api, response) == content


async def test_bytes_may_come_with_the_creation(api: Api) -> None:
    first = await create(api, len(LARGE), headers=BYTES, content=LARGE[:1_000])
    assert first.status_code == 201
    assert first.headers["upload-offset"] == "1000"
    assert "content-location" not in first.headers
    last = await patch(api, first.headers["location"], 1_000, LARGE[1_000:])
    assert await content_of(api, last) == LARGE
    whole = await create(api, len(LARGE), headers=BYTES, content=LARGE)
    assert (whole.status_code, whole.headers["upload-offset"]) == (201, str(len(LARGE)))
    assert await content_of(api, whole) == LARGE


async def test_the_length_may_be_told_later_and_not_be_changed(api: Api) -> None:
    where = await begun(api, None)
    assert (await patch(api, where, 0, b"one")).status_code == 204
    asked = await head(api, where)
    assert asked.headers["upload-defer-length"] == "1"
    assert "upload-length" not in asked.headers
    short = await patch(api, where, 3, b"", **{"Upload-Length": "2"})
    assert (short.status_code, short.json()["errors"][0]["pointer"]) == (400, "/Upload-Length")
    assert (await patch(api, where, 3, b"two", **{"Upload-Length": "9"})).status_code == 204
    asked = await head(api, where)
    assert asked.headers["upload-length"] == "9"
    assert "upload-defer-length" not in asked.headers
    assert (await patch(api, where, 6, b"six", **{"Upload-Length": "10"})).status_code == 400
    last = await patch(api, where, 6, b"six", **{"Upload-Length": "9"})
    assert await content_of(api, last) == b"onetwosix"


async def test_a_length_told_after_the_last_byte_completes(api: Api) -> None:
    where = await begun(api, None)
    await patch(api, where, 0, LARGE)
    last = await patch(api, where, len(LARGE), b"", **{"Upload-Length": str(len(LARGE))})
    assert await content_of(api, last) == LARGE


async def test_the_state_is_told_as_headers_and_as_json(api: Api, namespace: str) -> None:
    text = encoded(filename="ä b.txt", filetype="text/plain") + ",is_draft"
    where = await begun(api, 5, headers={"Upload-Metadata": text})
    await patch(api, where, 0, b"he")
    asked = await head(api, where)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == "0"
    assert asked.headers["upload-offset"] == "2"
    assert asked.headers["upload-length"] == "5"
    assert asked.headers["upload-metadata"] == text
    assert asked.headers["cache-control"] == "no-store"
    assert asked.headers["tus-resumable"] == "1.0.0"
    told = (await api.http.get(where)).json()
    expected = {
        "upload_id": id_of(where),
        "namespace": namespace,
        "media_type": "text/plain",
        "size_bytes": 5,
        "offset_bytes": 2,
        "complete": False,
        "cas_id": None,
        "created_by": "admin",
        "blob": None,
    }
    assert {name: told[name] for name in expected} == expected
    await patch(api, where, 2, b"llo")
    told = (await api.http.get(where)).json()
    assert (told["complete"], told["cas_id"]) == (True, cas_id(b"hello"))
    assert told["blob"]["cas_id"] == cas_id(b"hello")
    asked = await head(api, where)
    assert asked.headers["upload-offset"] == asked.headers["upload-length"] == "5"
    assert asked.headers["etag"] == f'"{cas_id(b"hello")}"'
    assert await content_of(api, asked) == b"hello"


async def test_a_completed_upload_takes_no_more_and_repeats_its_answer(api: Api) -> None:
    where = await begun(api, 5)
    first = await patch(api, where, 0, b"hello")
    again = await patch(api, where, 5)
    assert again.status_code == 204
    assert again.headers["content-location"] == first.headers["content-location"]
    assert (await patch(api, where, 5, b"!")).status_code == 413
    assert (await patch(api, where, 0, b"hello")).status_code == 409


async def test_each_patch_prolongs_the_upload(api: Api, shared_database: str) -> None:
    where = await begun(api, 5)
    connection = await asyncpg.connect(shared_database)
    soon = "UPDATE cas_upload SET expires_at = now() + interval '1 minute' WHERE upload_id = $1"
    await connection.execute(soon, id_of(where))
    await connection.close()
    before = parsedate_to_datetime((await head(api, where)).headers["upload-expires"])
    after = parsedate_to_datetime((await patch(api, where, 0, b"h")).headers["upload-expires"])
    assert (after - before).total_seconds() > 80_000


async def test_an_upload_that_was_ended_is_gone_with_its_bytes(
    api: Api, shared_database: str
) -> None:
    where = await begun(api, len(LARGE))
    await patch(api, where, 0, LARGE[:100])
    assert len(stages_of(shared_database, where)) == 1
    ended = await api.http.delete(where, headers=TUS)
    assert (ended.status_code, ended.headers["tus-resumable"]) == (204, "1.0.0")
    assert stages_of(shared_database, where) == []
    for response in (
        await head(api, where),
        await patch(api, where, 100, b"x"),
        await api.http.get(where),
        await api.http.delete(where, headers=TUS),
    ):
        assert response.status_code == 404
        assert response.headers["tus-resumable"] == "1.0.0"


async def test_a_blob_stays_when_its_upload_is_ended(api: Api) -> None:
    where = await begun(api, len(LARGE))
    last = await patch(api, where, 0, LARGE)
    await api.http.delete(where, headers=TUS)
    assert await content_of(api, last) == LARGE


async def test_a_complete_upload_has_no_stage(api: Api, shared_database: str) -> None:
    for media_type in ("image/x-test", "text/plain"):
        metadata = {"Upload-Metadata": encoded(filetype=media_type)}
        where = await begun(api, len(LARGE), headers=metadata)
        await patch(api, where, 0, LARGE)
        assert stages_of(shared_database, where) == []


@pytest.mark.parametrize("method", ["PATCH", "patch", "DELETE"])
async def test_a_method_may_be_said_in_a_header(api: Api, method: str) -> None:
    where = await begun(api, 5)
    headers = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": method}
    response = await api.http.post(where, content=b"hello", headers=headers)
    assert response.status_code == 204
    assert (await head(api, where)).status_code == (404 if method == "DELETE" else 200)
    refused = await api.http.post(where, headers=TUS)
    assert (refused.status_code, "PATCH" in refused.headers["allow"]) == (405, True)


async def test_the_second_name_is_computed_for_who_wants_it(api: Api) -> None:
    where = await begun(api, len(LARGE), headers={"Want-Repr-Digest": "sha-256=1"})
    await patch(api, where, 0, LARGE)
    second = f"sha256:{sha256(LARGE).hexdigest()}"
    assert (await api.http.get(where)).json()["blob"]["sha256"] == second
    assert (await api.get(f"/cas/{second}")).content == LARGE


# ------------------------------------------------------------------------------- promised names


@pytest.mark.parametrize("size", [5, len(LARGE)])
@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
async def test_a_promised_name_must_be_the_name(
    api: Api, shared_database: str, size: int, algorithm: str
) -> None:
    content, other = LARGE[:size], LARGE[-size:]
    hashed = blake3 if algorithm == "blake3" else sha256
    name = f"{algorithm}:{hashed(content).hexdigest()}"
    metadata = {"Upload-Metadata": encoded(cas_id=name)}
    where = await begun(api, size, headers=metadata)
    last = await patch(api, where, 0, content)
    assert last.status_code == 204
    assert (await api.get(f"/cas/{name}")).content == content
    if size == len(LARGE):
        other = b"x" + LARGE[1:]
    where = await begun(api, size, headers=metadata)
    wrong = await patch(api, where, 0, other)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "digest mismatch")
    assert (await head(api, where)).status_code == 404, "it can never succeed"
    assert stages_of(shared_database, where) == []
    if cas_id(other) != cas_id(content):
        assert (await api.get(f"/cas/{cas_id(other)}")).status_code == 404


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


# ------------------------------------------------------------------------------------ checksums


def checksum(algorithm: str, content: bytes) -> str:
    digest = {"sha1": sha1, "sha256": sha256}[algorithm](content).digest()
    return f"{algorithm} {b64encode(digest).decode()}"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_body_of_another_checksum_is_thrown_away(api: Api, algorithm: str) -> None:
    where = await begun(api, len(LARGE))
    half = len(LARGE) - 7
    right = {"Upload-Checksum": checksum(algorithm, LARGE[:half])}
    wrong = await patch(api, where, 0, b"x" + LARGE[1:half], **right)
    assert (wrong.status_code, wrong.json()["error"]) == (460, "checksum mismatch")
    assert await offset(api, where) == 0
    assert (await patch(api, where, 0, LARGE[:half], **right)).status_code == 204
    rest = {"Upload-Checksum": checksum(algorithm, LARGE[half:])}
    last = await patch(api, where, half, LARGE[half:], **rest)
    assert await content_of(api, last) == LARGE


async def test_a_body_that_breaks_off_counts_only_without_a_checksum(api: Api) -> None:
    where = await begun(api, len(LARGE))
    headers = {"Content-Length": str(len(LARGE))}
    whole = {**headers, "Upload-Checksum": checksum("sha1", LARGE)}
    assert (await patch(api, where, 0, breaking(LARGE[:-1]), **whole)).status_code == 400
    assert await offset(api, where) == 0
    assert (await patch(api, where, 0, breaking(LARGE[:-1]), **headers)).status_code == 400
    assert await offset(api, where) == len(LARGE) - 1
    last = await patch(api, where, len(LARGE) - 1, LARGE[-1:])
    assert await content_of(api, last) == LARGE


async def breaking(content: bytes) -> AsyncIterator[bytes]:
    """A body that is shorter than its Content-Length."""
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


# ---------------------------------------------------------------------------------------- races


@pytest.fixture
async def brisk_api(shared_database: str, namespace: str) -> AsyncIterator[Api]:
    """It counts every small piece at once."""
    pace = UploadPace(piece_bytes=64 * 1024, advance_bytes=64 * 1024)
    settings = settings_for(shared_database, namespace_default=namespace)
    app = create_app(settings, jobs_on=partial(build_jobs, pace=pace))
    async with Api.on(app, TOKEN) as api:
        yield api


async def test_of_requests_at_one_offset_one_wins_and_the_bytes_are_its(brisk_api: Api) -> None:
    """Each sends other bytes, slowly: the content is that of one, not a mixture."""
    size = 2 * MIB
    for _ in range(3):
        where = await begun(brisk_api, size)
        answers = await asyncio.gather(
            *(patch(brisk_api, where, 0, slowly(bytes([number]) * size)) for number in range(8))
        )
        won = [at for at, answer in enumerate(answers) if answer.status_code == 204]
        assert {answer.status_code for answer in answers} == {204, 409}
        assert len(won) == 1
        assert await content_of(brisk_api, answers[won[0]]) == bytes(won) * size


async def slowly(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65_536):
        await asyncio.sleep(0)
        yield content[start : start + 65_536]


async def test_an_old_request_that_wakes_up_late_damages_nothing(
    brisk_api: Api, shared_database: str
) -> None:
    """Its bytes reach the storage after those of the new one were acknowledged."""
    where = await begun(brisk_api, len(LARGE))
    waiting, woken = asyncio.Event(), asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield LARGE[:100_000]
        yield LARGE[100_000:200_000]
        waiting.set()
        await woken.wait()
        yield b"?" * 100_000

    old = asyncio.create_task(patch(brisk_api, where, 0, stalling()))
    await waiting.wait()
    at = await offset(brisk_api, where)
    assert at == 100_000, "the second piece is not yet counted"
    assert (await patch(brisk_api, where, at, LARGE[at : at + 1_000_000])).status_code == 204
    woken.set()
    assert (await old).status_code == 409
    at = await offset(brisk_api, where)
    assert at == 1_100_000
    last = await patch(brisk_api, where, at, LARGE[at:])
    assert await content_of(brisk_api, last) == LARGE
    assert stages_of(shared_database, where) == []


async def test_of_concurrent_completions_all_tell_the_same(api: Api, namespace: str) -> None:
    for content in (namespace.encode() + LARGE, b"small" + namespace.encode()):
        where = await begun(api, None)
        await patch(api, where, 0, content)
        size = len(content)
        answers = await asyncio.gather(
            *(patch(api, where, size, b"", **{"Upload-Length": str(size)}) for _ in range(8))
        )
        # Those that took it over from each other before it was whole may be told to look again.
        assert {answer.status_code for answer in answers} <= {204, 409}
        done = [answer for answer in answers if answer.status_code == 204]
        assert done
        assert {answer.headers["etag"] for answer in done} == {f'"{cas_id(content)}"'}
        assert await content_of(api, await head(api, where)) == content
