"""A large blob with a bucket behind the server: a real S3 server, real signed addresses."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from blake3 import blake3

from orchestrator.handlers.http.edge import Edge
from orchestrator.storage.segments import SEGMENT_BYTES
from tests.api import Api
from tests.conftest import TOKEN
from tests.radosgw import BUCKET, Gateway

pytestmark = pytest.mark.slow

LARGE = blake3(b"large").digest(12 * 1024 * 1024 + 17)
TEXT = b"".join(b"line %d of a text\n" % number for number in range(100_000))
MakeApp = Callable[..., Edge]


def name(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


@pytest.fixture
async def api(fresh_database: str, s3_url: str, make_app: MakeApp) -> AsyncIterator[Api]:
    async with Api.on(make_app(database_url=fresh_database, blob_store=s3_url), TOKEN) as api:
        yield api


async def upload(api: Api, content: bytes, **headers: str) -> Any:
    response = await api.http.post("/api/v1/cas", content=content, headers=headers)
    assert response.status_code < 300, response.text
    return response.json()


def keys(radosgw: Gateway, s3_url: str) -> list[str]:
    prefix = s3_url.removeprefix(f"s3://{BUCKET}/")
    return [key for key in radosgw.index(prefix) if not key.endswith("/identity")]


async def test_a_blob_in_a_bucket_is_as_one_in_a_folder(
    api: Api, radosgw: Gateway, s3_url: str
) -> None:
    body = await upload(api, LARGE, **{"Want-Repr-Digest": "sha-256=1"})
    assert body["cas_id"] == name(LARGE)
    assert (await api.get(f"/cas/{name(LARGE)}")).content == LARGE
    assert (await api.get(f"/cas/{body['sha256']}")).content == LARGE
    first = SEGMENT_BYTES * 3 - 5
    part = await api.get(
        f"/cas/{name(LARGE)}", headers={"Range": f"bytes={first}-{len(LARGE) - 2}"}
    )
    assert part.content == LARGE[first:-1]
    assert len(keys(radosgw, s3_url)) == 1
    assert (await upload(api, LARGE))["cas_id"] == name(LARGE)
    assert len(keys(radosgw, s3_url)) == 1, "the second object is gone"
    wrong = await api.http.put(f"/api/v1/cas/{name(b'other')}", content=LARGE)
    assert wrong.status_code == 400
    assert len(keys(radosgw, s3_url)) == 1, "nothing is left of what was refused"


async def test_a_packed_blob_in_a_bucket_comes_back_plain_and_packed(api: Api) -> None:
    await upload(api, TEXT, **{"Content-Type": "text/plain"})
    plain = await api.get(f"/cas/{name(TEXT)}", headers={"Accept-Encoding": "identity"})
    packed = await api.get(f"/cas/{name(TEXT)}", headers={"Accept-Encoding": "zstd"})
    assert packed.headers["content-encoding"] == "zstd"
    assert int(packed.headers["content-length"]) < len(TEXT) / 3
    assert plain.content == TEXT


async def test_a_large_blob_may_be_fetched_from_the_bucket_itself(
    fresh_database: str, s3_url: str, make_app: MakeApp
) -> None:
    app = make_app(
        database_url=fresh_database, blob_store=s3_url, blob_redirect_bytes_min=1024 * 1024
    )
    async with Api.on(app, TOKEN) as api:
        await upload(api, LARGE, **{"Content-Type": "text/html"})
        await upload(api, TEXT[:200_000])
        await upload(api, TEXT, **{"Content-Type": "text/plain"})
        answer = await api.get(f"/cas/{name(LARGE)}")
        assert answer.status_code == 307
        assert "immutable" not in answer.headers["cache-control"]
        for path in (name(TEXT[:200_000]), name(TEXT)):  # Too small, and packed.
            assert (await api.get(f"/cas/{path}")).status_code == 200
        elsewhere = await api.get(f"/cas/{name(LARGE)}", params={"namespace": "elsewhere"})
        assert elsewhere.status_code == 404
    async with httpx2.AsyncClient() as anybody:
        found = await anybody.get(answer.headers["location"], headers={"Range": "bytes=1-9"})
        assert (found.status_code, found.content) == (206, LARGE[1:10])
        whole = await anybody.get(answer.headers["location"])
        assert whole.content == LARGE
        assert whole.headers["content-type"] == "text/html"
        assert whole.headers["content-disposition"] == "attachment"


async def test_a_bucket_that_is_away_stops_only_what_needs_it(
    fresh_database: str,
    radosgw: Gateway,
    s3_url: str,
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with radosgw.another() as (gateway, process):
        monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.endpoint)
        async with Api.on(make_app(database_url=fresh_database, blob_store=s3_url), TOKEN) as api:
            await upload(api, LARGE)
            created = await api.create("main", "a", "b")
            process.kill()
            process.wait()
            assert (await api.get(f"/cas/{name(LARGE)}")).status_code == 503
            stored = await api.http.post("/api/v1/cas", content=LARGE + b"!")
            assert stored.status_code == 503
            assert (await api.http.get("/health/ready")).status_code == 503
            assert (await api.get("/workflows/main")).json()["cas_id"] == created["cas_id"]
            assert (await api.get(f"/cas/{created['cas_id']}")).status_code == 200
            await api.create("main", "a", "c")
    monkeypatch.setenv("AWS_ENDPOINT_URL", radosgw.endpoint)
    async with Api.on(make_app(database_url=fresh_database, blob_store=s3_url), TOKEN) as api:
        assert (await api.get(f"/cas/{name(LARGE)}")).content == LARGE, "not put into quarantine"
