"""The SHA-256 of a stored blob is read for once, and no answer waits long for it."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from blake3 import blake3

from orchestrator.core.digest import CasId
from orchestrator.handlers.http.edge import Edge
from orchestrator.telemetry import metrics
from tests.api import API, Api
from tests.conftest import TOKEN, logged

CONTENT = blake3(b"large").digest(3 * 1024 * 1024 + 5)
NAME = str(CasId.of(CONTENT))
FIELD = f"sha-256=:{b64encode(sha256(CONTENT).digest()).decode()}:"
WANTED = {"Want-Repr-Digest": "sha-256=1"}
AT_ONCE, LATER = len(CONTENT), len(CONTENT) - 1
SECONDS_MAX = 30
Serve = Callable[[int], "AbstractAsyncContextManager[Api]"]


@pytest.fixture
def serve(fresh_database: str, tmp_path: Path, make_app: Callable[..., Edge]) -> Serve:
    """A server that lets answers wait for the names of blobs up to this size."""

    @asynccontextmanager
    async def serving(wait_bytes_max: int) -> AsyncIterator[Api]:
        app = make_app(
            database_url=fresh_database,
            blob_store=(tmp_path / "blobs").as_uri(),
            sha256_wait_bytes_max=wait_bytes_max,
        )
        async with Api.on(app, TOKEN) as api:
            stored = await api.http.post(f"{API}/cas", content=CONTENT)
            assert stored.json()["cas_id"] == NAME
            yield api

    return serving


def bytes_read() -> float:
    """Of storage, by all that has been sent or hashed."""
    return metrics.BLOB_BYTES_SENT.value


async def head_until(api: Api, done: Callable[[httpx2.Response], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not done(await api.http.head(f"{API}/cas/{NAME}")):  # noqa: ASYNC110 - over HTTP.
            await asyncio.sleep(0.01)


async def test_many_who_want_a_name_at_once_are_told_of_one_reading(serve: Serve) -> None:
    async with serve(AT_ONCE) as api:
        before = bytes_read()
        heads = await asyncio.gather(
            *(api.http.head(f"{API}/cas/{NAME}", headers=WANTED) for _ in range(16))
        )
        assert {head.headers["repr-digest"] for head in heads} == {FIELD}
        assert bytes_read() - before == len(CONTENT)
        again = await api.http.head(f"{API}/cas/{NAME}", headers=WANTED)
        assert again.headers["repr-digest"] == FIELD
        assert bytes_read() - before == len(CONTENT)


async def test_the_name_of_a_large_blob_comes_later_and_its_bytes_at_once(serve: Serve) -> None:
    async with serve(LATER) as api:
        before = bytes_read()
        answers = await asyncio.gather(*(api.get(f"/cas/{NAME}", headers=WANTED) for _ in range(4)))
        assert {answer.content for answer in answers} == {CONTENT}
        assert "repr-digest" not in answers[0].headers
        await head_until(api, lambda head: "repr-digest" in head.headers)
        second = await api.get(f"/cas/sha256:{sha256(CONTENT).hexdigest()}")
        assert (second.content, second.headers["repr-digest"]) == (CONTENT, FIELD)
        assert bytes_read() - before == (4 + 1 + 1) * len(CONTENT)


async def test_who_goes_away_does_not_end_what_others_wait_for(serve: Serve) -> None:
    async with serve(AT_ONCE) as api:
        first = asyncio.create_task(api.http.head(f"{API}/cas/{NAME}", headers=WANTED))
        second = asyncio.create_task(api.http.head(f"{API}/cas/{NAME}", headers=WANTED))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).headers["repr-digest"] == FIELD


@pytest.mark.parametrize("wait_bytes_max", [AT_ONCE, LATER])
async def test_damage_that_is_found_meanwhile_is_quarantined(
    serve: Serve, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], wait_bytes_max: int
) -> None:
    async with serve(wait_bytes_max) as api:
        (stored,) = [
            path
            for path in (tmp_path / "blobs").rglob("*")
            if path.is_file() and path.name != "identity"
        ]
        stored.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
        head = await api.http.head(f"{API}/cas/{NAME}", headers=WANTED)
        assert head.status_code == (500 if wait_bytes_max == AT_ONCE else 200)
        await head_until(api, lambda head: head.status_code == 500)
        assert b"second name not computed" in logged(capfdbinary)


async def test_a_server_that_ends_does_not_wait_for_names(serve: Serve) -> None:
    async with serve(LATER) as api:
        await api.http.head(f"{API}/cas/{NAME}", headers=WANTED)
    async with serve(AT_ONCE) as api:
        head = await api.http.head(f"{API}/cas/{NAME}", headers=WANTED)
        assert head.headers["repr-digest"] == FIELD
