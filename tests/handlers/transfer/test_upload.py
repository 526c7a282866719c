"""Resumable uploads by tus 1.0.0, on the real application, database and storage."""

from email.utils import parsedate_to_datetime
from hashlib import sha256
from uuid import uuid4

import asyncpg
import pytest
from blake3 import blake3

from tests.api import Api
from tests.handlers.transfer.uploading import (
    BYTES,
    LARGE,
    MIB,
    TUS,
    UPLOADS,
    begun,
    cas_id,
    content_of,
    create,
    encoded,
    head,
    id_of,
    patch,
    stages_of,
)

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
