"""The storage in a bucket, on a real S3 server that also goes away; the contract is elsewhere."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import pytest

from orchestrator.core.digest import CasId
from orchestrator.errors import StorageUnavailable
from orchestrator.storage import object_client
from orchestrator.storage.base import MissingObject, Writer
from orchestrator.storage.objects import ObjectStorage, open_objects
from tests.radosgw import BUCKET, Gateway

MIB = 1024 * 1024
PIECE = bytes(range(256)) * 4096


async def put(storage: ObjectStorage, size_mib: int) -> str:
    writer = await storage.create(None, "text/html")
    for _ in range(size_mib):
        await writer.write(PIECE)
    return await writer.commit(CasId.of(b""))


async def unavailable(storage: ObjectStorage) -> str:
    """Every call says that the storage is unavailable; returns one of the sentences."""
    writer = await storage.create(None, "text/html")
    await writer.write(b"small")
    key = f"unnamed/{'ab' * 16}"
    calls = [
        anext(storage.read(key, 0, [1])),
        anext(storage.read(key, 0, [0])),
        storage.size(key),
        storage.delete(key),
        storage.list_objects("", 1),
        storage.append("stage", 0, b"a"),
        anext(storage.read_stage("stage", 1)),
        storage.drop_stage("stage"),
        storage.list_stages("", 1),
        storage.identity(),
        storage.set_identity("a"),
        writer.commit(CasId.of(b"small")),
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in answers] == [StorageUnavailable] * len(calls)
    await writer.abort()
    return str(answers[-2])


@pytest.mark.parametrize("url", ["file:///tmp/x", "http://host/bucket", "bucket", "memory:///"])
def test_only_buckets_are_object_storages(url: str) -> None:
    with pytest.raises(ValueError, match="s3://"):
        open_objects(url)


async def test_a_large_object_is_one_upload_of_many_parts(radosgw: Gateway, s3_url: str) -> None:
    storage = open_objects(s3_url)
    key = await put(storage, 20)
    read = [piece async for piece in storage.read(key, 5, [20 * MIB - 5])]
    assert read == [(PIECE * 20)[5:]]
    assert len(radosgw.index(s3_url.rpartition("/")[2])) == 1


async def test_an_aborted_upload_leaves_no_parts(radosgw: Gateway, s3_url: str) -> None:
    prefix = s3_url.rpartition("/")[2]
    writer = await open_objects(s3_url).create(None, "text/html")
    for _ in range(12):
        await writer.write(PIECE)
    assert len(radosgw.index(prefix)) > 1
    await writer.abort()
    assert radosgw.index(prefix) == []


async def test_an_upload_cancelled_anywhere_leaves_nothing(radosgw: Gateway, s3_url: str) -> None:
    async def write() -> None:
        for _ in range(8):
            await writer.write(PIECE)
        await writer.commit(CasId.of(b""))

    committed = 0
    for delay in (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1):
        writer = await open_objects(s3_url).create(None, "text/html")
        task = asyncio.create_task(write())
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            await writer.abort()
        committed += not task.cancelled()
    assert len(radosgw.index(s3_url.rpartition("/")[2])) == committed


async def test_a_presigned_url_is_a_download_for_anybody(s3_url: str) -> None:
    storage = open_objects(s3_url)
    url = await storage.presigned_url(await put(storage, 1), 60)
    assert url
    async with httpx2.AsyncClient() as client:
        answer = await client.get(url, headers={"Range": "bytes=1-3"})
        assert (answer.status_code, answer.content) == (206, PIECE[1:4])
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.headers["Content-Disposition"] == "attachment"
        assert (await client.get(url.partition("?")[0])).status_code == 403


async def test_two_prefixes_of_a_bucket_do_not_see_each_other(s3_url: str) -> None:
    one, other = open_objects(f"{s3_url}/one"), open_objects(f"{s3_url}/one-more")
    key = await put(one, 1)
    await one.append("stage", 0, b"abc")
    assert await other.list_objects("", 10) == []
    assert await other.list_stages("", 10) == []
    with pytest.raises(MissingObject):
        await anext(other.read(key, 0, [1]))


Mortal = tuple[ObjectStorage, Callable[[], None]]


@pytest.fixture
def mortal(radosgw: Gateway, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mortal]:
    """A storage behind a gateway of its own, and what kills that one."""
    with radosgw.another() as (gateway, process):
        monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.endpoint)
        yield open_objects(s3_url), process.kill


async def test_a_server_that_dies_during_a_read_is_unavailable(mortal: Mortal) -> None:
    storage, kill = mortal
    key = await put(storage, 20)
    reading = storage.read(key, 0, [MIB] * 20)
    assert await anext(reading) == PIECE
    kill()
    begun = time.monotonic()
    with pytest.raises(StorageUnavailable):
        async for piece in reading:
            assert piece == PIECE
    assert time.monotonic() - begun < 15


@asynccontextmanager
async def cut_once(endpoint: str, after_bytes: int) -> AsyncIterator[str]:
    """A way to the endpoint on which the first long answer breaks off."""
    cuts = 0

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        nonlocal cuts
        passed = 0
        with suppress(OSError):
            while (data := await source.read(65536)) and (cuts or passed < after_bytes):
                passed += len(data)
                sink.write(data)
                await sink.drain()
        cuts += passed >= after_bytes
        sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(endpoint)
        there, back = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_read_goes_on_where_its_connection_broke(
    radosgw: Gateway, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await put(open_objects(s3_url), 20)
    async with cut_once(radosgw.endpoint, 5 * MIB) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        reading = open_objects(s3_url, retries_max=0).read(key, 1, [MIB] * 19)
        assert b"".join([piece async for piece in reading]) == (PIECE * 20)[1 : 1 + 19 * MIB]


async def orphaned_writer(mortal: Mortal) -> Writer:
    """Its server has received some pieces, and is dead."""
    storage, kill = mortal
    writer = await storage.create(None, "text/html")
    for _ in range(8):
        await writer.write(PIECE)
    kill()
    return writer


async def test_a_server_that_dies_during_a_write_is_unavailable(mortal: Mortal) -> None:
    writer = await orphaned_writer(mortal)
    with pytest.raises(StorageUnavailable):
        for _ in range(12):
            await writer.write(PIECE)
    await writer.abort()


async def test_a_server_that_dies_before_a_commit_is_unavailable(mortal: Mortal) -> None:
    writer = await orphaned_writer(mortal)
    with pytest.raises(StorageUnavailable):
        await writer.commit(CasId.of(b""))
    await writer.abort()


async def test_nobody_at_the_endpoint_is_known_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    with socket.socket() as unheard:  # Bound, not listening: nobody else gets the port.
        unheard.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unheard.getsockname()[1]}")
        begun = time.monotonic()
        await unavailable(open_objects(f"s3://{BUCKET}/prefix"))
    assert time.monotonic() - begun < 15


async def test_a_bucket_that_is_not_there_is_no_empty_one(s3_url: str) -> None:
    detail = await unavailable(open_objects(f"s3://no-such-bucket/{'a' * 8}"))
    assert detail == "The bucket of the object storage does not exist."


async def test_wrong_credentials_are_no_missing_objects(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a wrong one")
    detail = await unavailable(open_objects(s3_url))
    assert detail == "The object storage refuses the credentials of this server."


async def test_a_small_request_that_nobody_answers_ends_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: silent.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr(object_client, "SMALL_SECONDS_MAX", 0.2)
    storage = open_objects("s3://bucket/silent")
    for request in (storage.identity(), storage.set_identity("a"), storage.size("a/b")):
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await request
        assert time.monotonic() - began < 2
    server.close()
    for each in silent:
        each.close()
