"""Blobs outside the database, over HTTP: names, digests, encodings, ranges, damage, room."""

import asyncio
import os
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import zstandard
from blake3 import blake3

from orchestrator.core.disk import ROOM_SECONDS
from orchestrator.handlers.http.edge import Edge
from orchestrator.storage.segments import SEGMENT_BYTES, Segment, SegmentTable
from tests.api import Api
from tests.conftest import TOKEN

INLINE = 1_000
#: Two and a half segments that no compressor makes shorter.
LARGE = blake3(b"large").digest(SEGMENT_BYTES * 5 // 2)
TEXT = b"".join(b"line %d of a text\n" % number for number in range(100_000))
TEXT_TYPE = {"Content-Type": "text/plain"}


def name(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


def second_name(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def field(content: bytes) -> str:
    return f"sha-256=:{b64encode(sha256(content).digest()).decode()}:"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
async def api(
    fresh_database: str, folder: Path, make_app: Callable[..., Edge]
) -> AsyncIterator[Api]:
    app = make_app(
        database_url=fresh_database,
        blob_store=folder.as_uri(),
        blob_inline_bytes_max=INLINE,
        disk_free_bytes_min=1,
        blob_cache_bytes_max=0,  # Every read shall meet what the tests do to the stored bytes.
    )
    async with Api.on(app, TOKEN) as api:
        yield api


async def upload(api: Api, content: bytes | AsyncIterator[bytes], **options: Any) -> Any:
    response = await api.http.post("/api/v1/cas", content=content, **options)
    assert response.status_code < 300, response.text
    return response.json()


def objects(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "identity"]


def replace_by_nothing(folder: Path) -> None:
    """As if its disk were not mounted."""
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()


def put_back(folder: Path) -> None:
    folder.rmdir()
    folder.with_name("elsewhere").rename(folder)


async def rows(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


@pytest.mark.parametrize(("size", "files"), [(0, 0), (INLINE, 0), (INLINE + 1, 1)])
async def test_the_inline_limit_decides_where_a_blob_is(
    api: Api, folder: Path, size: int, files: int
) -> None:
    body = await upload(api, b"x" * size)
    assert len(objects(folder)) == files
    assert (await api.get(f"/cas/{body['cas_id']}")).content == b"x" * size


@pytest.mark.parametrize("size", [SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1])
async def test_a_blob_around_the_size_of_a_segment_is_whole(api: Api, size: int) -> None:
    content = blake3(b"s").digest(size)
    await upload(api, content)
    assert (await api.get(f"/cas/{name(content)}")).content == content


@pytest.mark.parametrize(
    "cuts",
    [
        [],
        [INLINE + 1, INLINE + 2],
        [1_000_000],
        [10, 4 * SEGMENT_BYTES - 1, 4 * SEGMENT_BYTES + 1, 9 * SEGMENT_BYTES],
        list(range(0, 9 * SEGMENT_BYTES, 50_000)),
    ],
    ids=["whole", "soon", "late", "beside", "small"],
)
async def test_however_a_blob_was_sent_it_is_cut_into_the_same_segments(
    api: Api, fresh_database: str, cuts: list[int]
) -> None:
    sent = blake3(b"cuts").digest(SEGMENT_BYTES * 37 // 4)

    async def pieces() -> AsyncIterator[bytes]:
        for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            yield sent[start:stop]

    await upload(api, pieces())
    starts = range(0, len(sent), SEGMENT_BYTES)
    expected = SegmentTable(Segment.of(sent[start : start + SEGMENT_BYTES]) for start in starts)
    (found,) = await rows(fresh_database, "SELECT segments FROM cas_blob WHERE storage_key <> ''")
    assert found["segments"] == expected.encode()
    assert (await api.get(f"/cas/{name(sent)}")).content == sent


@pytest.mark.parametrize("at", [0, SEGMENT_BYTES - 1, SEGMENT_BYTES, 2 * SEGMENT_BYTES - 1])
async def test_damage_anywhere_in_the_first_piece_is_an_error_and_not_served(
    api: Api, folder: Path, at: int
) -> None:
    await upload(api, LARGE)
    (path,) = objects(folder)
    damaged = bytearray(LARGE)
    damaged[at] ^= 1
    path.write_bytes(damaged)
    response = await api.get(f"/cas/{name(LARGE)}")
    assert (response.status_code, response.json()["error"]) == (500, "corrupt blob")


@pytest.mark.parametrize("media_type", ["application/octet-stream", "text/plain"])
@pytest.mark.parametrize(
    "part",
    [
        (0, 0),
        (SEGMENT_BYTES - 1, SEGMENT_BYTES),
        (SEGMENT_BYTES, 2 * SEGMENT_BYTES - 1),
        (10, len(TEXT) - 10),
        (len(TEXT) - 1, len(TEXT) - 1),
    ],
)
async def test_a_range_is_cut_out_of_the_segments_that_hold_it(
    api: Api, part: tuple[int, int], media_type: str
) -> None:
    await upload(api, TEXT, headers={"Content-Type": media_type})
    first, last = part
    headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "zstd"}
    response = await api.get(f"/cas/{name(TEXT)}", headers=headers)
    assert response.status_code == 206
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(TEXT)}"
    assert response.content == TEXT[first : last + 1]
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("accepted", ["identity", "zstd"])
@pytest.mark.parametrize("content", [LARGE, TEXT], ids=["large", "text"])
async def test_a_head_of_a_large_blob_tells_what_the_get_would(
    api: Api, content: bytes, accepted: str
) -> None:
    await upload(api, content, headers={**TEXT_TYPE, "Want-Repr-Digest": "sha-256=1"})
    asked = {"Accept-Encoding": accepted}
    head = await api.http.head(f"/api/v1/cas/{name(content)}", headers=asked)
    get = await api.get(f"/cas/{name(content)}", headers=asked)
    ignored = {"date", "x-correlation-id"}
    told = [
        {k: v for k, v in response.headers.items() if k not in ignored} for response in (head, get)
    ]
    assert told[0] == told[1]
    assert get.headers["content-disposition"] == "attachment"
    known = {"If-None-Match": f'"{name(content)}"'}
    unchanged = await api.get(f"/cas/{name(content)}", headers=known)
    assert (unchanged.status_code, unchanged.content) == (304, b"")


# ------------------------------------------------------------------------------- the second name


@pytest.mark.parametrize("content", [b"short", LARGE], ids=["inline", "stored"])
async def test_a_second_name_that_was_asked_for_leads_to_the_blob(api: Api, content: bytes) -> None:
    body = await upload(api, content, headers={"Want-Repr-Digest": "sha-256=10"})
    assert body["sha256"] == second_name(content)
    for each in (name(content), second_name(content)):
        for method in ("GET", "HEAD"):
            response = await api.http.request(method, f"/api/v1/cas/{each}")
            assert response.status_code == 200
            assert response.headers["repr-digest"] == field(content)
            assert response.headers["etag"] == f'"{name(content)}"'
    missing = await api.post("/cas/missing", {"cas_ids": [second_name(content), name(content)]})
    assert missing.json() == {"missing": []}


@pytest.mark.parametrize("content", [b"short", LARGE], ids=["inline", "stored"])
async def test_a_second_name_is_computed_when_it_is_first_wanted(api: Api, content: bytes) -> None:
    assert (await upload(api, content))["sha256"] is None
    assert (await api.get(f"/cas/{second_name(content)}")).status_code == 404
    plain = await api.get(f"/cas/{name(content)}")
    assert "repr-digest" not in plain.headers
    unwanted = {"Want-Repr-Digest": "sha-256=0, sha-512=3"}
    assert "repr-digest" not in (await api.get(f"/cas/{name(content)}", headers=unwanted)).headers
    wanted = {"Want-Repr-Digest": "sha-512=3, sha-256=1"}
    head = await api.http.head(f"/api/v1/cas/{name(content)}", headers=wanted)
    assert head.headers["repr-digest"] == field(content)
    assert (await api.get(f"/cas/{second_name(content)}")).content == content


@pytest.mark.parametrize("content", [b"short", LARGE], ids=["inline", "stored"])
async def test_a_put_under_the_second_name_checks_that_name(
    api: Api, folder: Path, content: bytes
) -> None:
    path = f"/api/v1/cas/{second_name(content)}"
    wrong = await api.http.put(path, content=content + b"!")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "digest mismatch")
    assert objects(folder) == []
    right = await api.http.put(path, content=content)
    assert (right.status_code, right.json()["sha256"]) == (201, second_name(content))


@pytest.mark.parametrize("header", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("content", [b"short", LARGE], ids=["inline", "stored"])
async def test_a_digest_that_came_with_the_body_is_checked(
    api: Api, folder: Path, content: bytes, header: str
) -> None:
    wrong = await api.http.post(
        "/api/v1/cas", content=content, headers={header: field(b"something else")}
    )
    assert (wrong.status_code, wrong.json()["error"]) == (400, "digest mismatch")
    assert objects(folder) == []
    assert (await upload(api, content, headers={header: field(content)}))["sha256"]


async def test_a_digest_that_is_none_is_refused(api: Api) -> None:
    headers = {"Repr-Digest": "sha-256=:AAAA:"}
    response = await api.http.post("/api/v1/cas", content=b"x", headers=headers)
    assert (response.status_code, response.json()["errors"][0]["rule"]) == (400, "digest")


async def test_a_second_name_shows_nothing_to_other_namespaces(api: Api) -> None:
    await upload(api, LARGE, headers={"Want-Repr-Digest": "sha-256=1"})
    elsewhere = {"namespace": "elsewhere"}
    found = await api.get(f"/cas/{second_name(LARGE)}", params=elsewhere)
    assert found.status_code == 404
    missing = await api.post("/cas/missing", {"cas_ids": [second_name(LARGE)]}, params=elsewhere)
    assert missing.json() == {"missing": [second_name(LARGE)]}


# ----------------------------------------------------------------------------------- compression


async def test_what_compresses_well_takes_less_room_and_keeps_its_name(
    api: Api, folder: Path
) -> None:
    body = await upload(api, TEXT, headers=TEXT_TYPE)
    assert (body["cas_id"], body["size_bytes"]) == (name(TEXT), len(TEXT))
    (path,) = objects(folder)
    assert path.stat().st_size < len(TEXT) / 3
    plain = await api.get(f"/cas/{name(TEXT)}", headers={"Accept-Encoding": "identity"})
    assert plain.content == TEXT
    assert plain.headers["content-length"] == str(len(TEXT))
    assert plain.headers["vary"] == "Accept-Encoding"


async def test_a_caller_that_reads_zstd_gets_the_frames_as_they_are_stored(
    api: Api, folder: Path
) -> None:
    await upload(api, TEXT, headers={**TEXT_TYPE, "Want-Repr-Digest": "sha-256=1"})
    asked = api.http.stream(
        "GET", f"/api/v1/cas/{name(TEXT)}", headers={"Accept-Encoding": "gzip, zstd;q=0.8"}
    )
    async with asked as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    (path,) = objects(folder)
    assert raw == path.read_bytes()
    assert response.headers["content-encoding"] == "zstd"
    assert response.headers["content-length"] == str(len(raw))
    assert response.headers["etag"] == f'"{name(TEXT)};zstd"'
    assert "repr-digest" not in response.headers, "it would be of other bytes"
    reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    assert reader.read() == TEXT
    again = {"If-None-Match": response.headers["etag"]}
    assert (await api.get(f"/cas/{name(TEXT)}", headers=again)).status_code == 304


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("accepted", "given", "answered"),
    [
        ("zstd", '"ID;zstd"', '"ID;zstd"'),
        ("zstd", '"ID", "ID;zstd"', '"ID;zstd"'),
        ("zstd", "*", '"ID;zstd"'),
        ("zstd", '"ID"', '"ID"'),
        ("identity", '"ID"', '"ID"'),
        ("identity", '"ID", "ID;zstd"', '"ID"'),
        ("identity", '"ID;zstd"', '"ID;zstd"'),
        ("identity", "*", '"ID"'),
    ],
)
async def test_304_is_about_the_encoding_that_the_caller_has(
    api: Api, method: str, accepted: str, given: str, answered: str
) -> None:
    await upload(api, TEXT, headers={**TEXT_TYPE, "Want-Repr-Digest": "sha-256=1"})
    headers = {"Accept-Encoding": accepted, "If-None-Match": given.replace("ID", name(TEXT))}
    path = f"/api/v1/cas/{name(TEXT)}"
    response = await api.http.request(method, path, headers=headers)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == answered.replace("ID", name(TEXT))
    assert response.headers["vary"] == "Accept-Encoding"
    assert ("repr-digest" in response.headers) == (";" not in answered)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_demanded_encoding_is_the_one_that_would_be_sent(api: Api, method: str) -> None:
    await upload(api, TEXT, headers=TEXT_TYPE)

    async def status(given: str, **headers: str) -> int:
        headers = {"If-Match": f'"{name(TEXT)}{given}"', **headers}
        asked = api.http.stream(method, f"/api/v1/cas/{name(TEXT)}", headers=headers)
        async with asked as response:
            return response.status_code

    for packed, accepted in ((";zstd", "zstd"), ("", "identity")):
        encoding = {"Accept-Encoding": accepted}
        assert await status(packed, **encoding) == 200
        assert await status("" if packed else ";zstd", **encoding) == 412
    if method == "GET":
        assert await status("", **{"Accept-Encoding": "zstd", "Range": "bytes=1-2"}) == 206


async def test_the_304_of_a_blob_of_one_form_does_not_vary(api: Api) -> None:
    for content in (b"short", LARGE):
        await upload(api, content)
        headers = {"If-None-Match": f'"{name(content)}"'}
        response = await api.get(f"/cas/{name(content)}", headers=headers)
        assert (response.status_code, "vary" in response.headers) == (304, False)


@pytest.mark.parametrize("accepted", ["identity", "zstd;q=0", "gzip", "*"])
async def test_who_does_not_ask_for_zstd_gets_the_bytes(api: Api, accepted: str) -> None:
    await upload(api, TEXT, headers=TEXT_TYPE)
    response = await api.get(f"/cas/{name(TEXT)}", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in response.headers
    assert response.content == TEXT


@pytest.mark.parametrize("media_type", ["application/json", "application/x+json; a=b", "text/x"])
async def test_what_does_not_compress_is_stored_as_it_is(
    api: Api, folder: Path, media_type: str
) -> None:
    await upload(api, LARGE, headers={"Content-Type": media_type})
    (path,) = objects(folder)
    assert path.read_bytes() == LARGE


# ------------------------------------------------------------------------ several rows, one blob


async def test_a_document_that_was_uploaded_before_is_found_by_its_tag(
    api: Api, fresh_database: str
) -> None:
    created = await api.create("first", *[f"n{number}" for number in range(100)])
    document = (await api.get(f"/cas/{created['cas_id']}")).content
    await rows(fresh_database, "TRUNCATE tag, tag_move, artifact, cas_blob CASCADE")
    assert len(document) > INLINE
    await upload(api, document)
    again = await api.create("second", *[f"n{number}" for number in range(100)])
    assert again["cas_id"] == created["cas_id"]
    found = await api.get("/workflows/second")
    assert found.status_code == 200, found.text
    assert (await api.get(f"/cas/{created['cas_id']}")).content == document


async def test_the_upload_of_a_document_leaves_no_file(api: Api, folder: Path) -> None:
    created = await api.create("first", *[f"n{number}" for number in range(100)])
    document = (await api.get(f"/cas/{created['cas_id']}")).content
    await upload(api, document)
    assert objects(folder) == []


async def test_a_damaged_document_is_healed_by_its_upload(
    api: Api, fresh_database: str, folder: Path
) -> None:
    created = await api.create("first", *[f"n{number}" for number in range(100)])
    document = (await api.get(f"/cas/{created['cas_id']}")).content
    await rows(fresh_database, "UPDATE cas_blob SET content = overlay(content PLACING 'x' FROM 9)")
    for _ in range(2):
        response = await api.get(f"/cas/{created['cas_id']}")
        assert (response.status_code, response.json()["error"]) == (500, "corrupt blob")
    await upload(api, document)
    assert (await api.get(f"/cas/{created['cas_id']}")).content == document
    assert (await api.get("/workflows/first")).status_code == 200
    assert objects(folder) == []


@pytest.mark.parametrize("content", [b"short", LARGE], ids=["inline", "stored"])
async def test_a_repeated_request_is_given_its_first_answer_and_leaves_no_file(
    api: Api, folder: Path, content: bytes
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await api.http.post("/api/v1/cas", content=content, headers=headers)
    again = await api.http.post("/api/v1/cas", content=content, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert len(objects(folder)) == (content is LARGE)
    other = await api.http.post("/api/v1/cas", content=content + b"!", headers=headers)
    assert other.status_code == 422


# ------------------------------------------------------------------- room, and the wrong place


async def test_writes_are_refused_before_the_disk_is_full_and_served_again_after(
    fresh_database: str, folder: Path, make_app: Callable[..., Edge]
) -> None:
    free = shutil.disk_usage(folder.parent).free
    base = {"database_url": fresh_database, "blob_store": folder.as_uri()}
    async with Api.on(make_app(**base, disk_free_bytes_min=1), TOKEN) as api:
        created = await api.create("main", "a")
        await upload(api, LARGE)
    async with Api.on(make_app(**base, disk_free_bytes_min=free * 2), TOKEN) as api:
        for response in (
            await api.http.post("/api/v1/cas", content=b"x"),
            await api.http.post("/api/v1/cas", content=LARGE),
            await api.post("/workflows", {"tag": "t", "workflow": {"nodes": []}}),
            await api.post("/tags/main/undo"),
            await api.delete("/tags/main"),
        ):
            assert (response.status_code, response.json()["error"]) == (507, "storage full")
        assert (await api.get("/workflows/main")).json()["cas_id"] == created["cas_id"]
        assert (await api.get(f"/cas/{name(LARGE)}")).content == LARGE


async def test_the_next_write_is_served_once_there_is_room(
    api: Api, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(api, LARGE)
    await asyncio.sleep(2 * ROOM_SECONDS)  # So long it may believe that there is room.
    with monkeypatch.context() as full:
        found = os.statvfs(folder.parent)
        nothing = os.statvfs_result((*found[:4], 0, *found[5:]))
        full.setattr(os, "statvfs", lambda _: nothing)
        assert (await api.http.post("/api/v1/cas", content=LARGE + b"!")).status_code == 507
        assert (await api.get(f"/cas/{name(LARGE)}")).content == LARGE
        assert (await api.post("/gc", {"dry_run": True})).status_code == 200
    assert (await api.http.post("/api/v1/cas", content=LARGE + b"!")).status_code == 201


async def test_an_upload_that_would_fill_the_disk_is_refused_by_its_length(
    fresh_database: str, folder: Path, make_app: Callable[..., Edge]
) -> None:
    free = shutil.disk_usage(folder.parent).free
    app = make_app(
        database_url=fresh_database,
        blob_store=folder.as_uri(),
        disk_free_bytes_min=1,
        blob_bytes_max=free * 4,
    )
    async with Api.on(app, TOKEN) as api:
        headers = {"Content-Length": str(free * 2)}
        response = await api.http.post("/api/v1/cas", content=b"x", headers=headers)
        assert response.status_code == 507


async def test_a_storage_that_is_not_mounted_loses_nothing(
    api: Api, folder: Path, fresh_database: str
) -> None:
    await upload(api, LARGE)
    replace_by_nothing(folder)
    read = await api.get(f"/cas/{name(LARGE)}")
    written = await api.http.post("/api/v1/cas", content=LARGE + b"!")
    ready = await api.http.get("/health/ready")
    assert [read.status_code, written.status_code, ready.status_code] == [503, 503, 503]
    assert "mounted" in ready.json()["checks"]["storage"]
    assert await rows(fresh_database, "SELECT FROM cas_blob WHERE quarantined_at IS NOT NULL") == []
    put_back(folder)
    assert (await api.get(f"/cas/{name(LARGE)}")).content == LARGE
    assert (await api.http.get("/health/ready")).status_code == 200


async def test_a_storage_of_another_database_is_not_used(
    api: Api, folder: Path, shared_database: str, make_app: Callable[..., Edge]
) -> None:
    await upload(api, LARGE)
    other = make_app(database_url=shared_database, blob_store=folder.as_uri())
    async with Api.on(other, TOKEN) as stranger:
        response = await stranger.http.post("/api/v1/cas", content=LARGE)
        assert response.status_code == 503
        assert "another database" in response.json()["detail"] or "mounted" in response.text
