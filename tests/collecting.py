"""What tests of collections have in common: all is old at once, and large bytes are in storage."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from orchestrator.settings import Settings
from tests.api import Api
from tests.conftest import TOKEN, settings_for

UNLOCK = "SELECT pg_advisory_unlock_all()"
#: More than is stored in the database.
LARGE = 5_000
SHARED: dict[str, object] = {"gc_grace_seconds": 0, "blob_inline_bytes_max": 1_000}


@pytest.fixture
def server_settings(fresh_database: str) -> Callable[..., Settings]:
    """Settings of a server on the test's own database, with some changed."""
    return lambda **changed: settings_for(fresh_database, **{**SHARED, **changed})


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Api]:
    async with Api.on(create_app(settings), TOKEN) as api:
        yield api


async def upload(api: Api, database: Connection, *contents: bytes) -> list[str]:
    """Blobs whose leases are over."""
    names = []
    for content in contents:
        answer = await api.http.post("/api/v1/cas", content=content)
        assert answer.status_code == 201, answer.text
        names.append(answer.json()["cas_id"])
    await database.execute("UPDATE cas_lease SET expires_at = now()")
    return names


def objects(settings: Settings) -> list[Path]:
    folder = Path(urlsplit(settings.blob_store).path) / "objects"
    return [path for path in folder.rglob("*") if path.is_file()]
