"""A blob storage that takes requests and never answers: it delays nobody but those who need it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.app import create_app
from orchestrator.storage.filesystem import FilesystemStorage
from tests.api import API, Api
from tests.conftest import TOKEN, settings_for

INLINE_BYTES = 1024
LARGE = b"x" * (INLINE_BYTES + 1)


class Hanging:
    """The identity is not told until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.released = asyncio.Event()
        original = FilesystemStorage.identity

        async def identity(storage: FilesystemStorage) -> str | None:
            self.asked += 1
            await self.released.wait()
            return await original(storage)

        monkeypatch.setattr(FilesystemStorage, "identity", identity)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Hanging:
    return Hanging(monkeypatch)


@pytest.fixture
async def narrow_api(fresh_database: str, hanging: Hanging) -> AsyncIterator[Api]:
    """Two connections, and a storage that hangs."""
    settings = settings_for(
        fresh_database,
        database_connections_max=2,
        database_acquire_seconds_max=1.0,
        blob_inline_bytes_max=INLINE_BYTES,
    )
    async with Api.on(create_app(settings), TOKEN) as api:
        yield api
        hanging.released.set()


async def upload(api: Api, content: bytes) -> Any:
    return await api.http.post(f"{API}/cas", content=content)


async def test_who_waits_for_the_storage_holds_no_connection(
    narrow_api: Api, hanging: Hanging
) -> None:
    await narrow_api.create("main", "a")
    large = [
        asyncio.create_task(upload(narrow_api, LARGE + bytes([number]))) for number in range(12)
    ]
    await asyncio.sleep(0.1)
    began = time.monotonic()
    found = await asyncio.gather(
        narrow_api.get("/workflows/main"), narrow_api.get("/tags"), narrow_api.get("/artifacts")
    )
    small = await upload(narrow_api, b"small")
    assert time.monotonic() - began < 0.9
    assert [each.status_code for each in found] == [200] * 3
    assert small.status_code == 201, "what goes to the database needs no other storage"
    assert not any(each.done() for each in large)
    assert hanging.asked == 1, "one question for all who wait"
    hanging.released.set()
    assert [each.status_code for each in await asyncio.gather(*large)] == [201] * 12


async def test_a_caller_that_leaves_takes_the_answer_from_nobody(
    narrow_api: Api, hanging: Hanging
) -> None:
    first, second = (
        asyncio.create_task(upload(narrow_api, LARGE + bytes([number]))) for number in range(2)
    )
    await asyncio.sleep(0.1)
    first.cancel()
    await asyncio.sleep(0)
    hanging.released.set()
    assert (await second).status_code == 201


async def test_readiness_says_in_time_that_the_storage_does_not_answer(
    narrow_api: Api,
) -> None:
    began = time.monotonic()
    ready = await narrow_api.http.get("/health/ready")
    assert time.monotonic() - began < 2.5
    assert ready.status_code == 503
    checks = {"database": "ok", "schema": "ok", "storage": "does not answer"}
    assert ready.json()["checks"] == checks
