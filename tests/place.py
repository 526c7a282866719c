"""A server on a database and a folder of its own, for tests that damage what is in them."""

import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.storage.segments import SEGMENT_BYTES
from tests.api import Api
from tests.conftest import TOKEN, settings_for

DAY = 86_400.0
PLAIN, PACKED = "application/octet-stream", "text/plain"


@dataclass
class Place:
    """A server on a database and a folder of its own, and a hand in both."""

    api: Api
    folder: Path
    database: Connection

    async def upload(self, content: bytes, media_type: str = PLAIN) -> str:
        headers = {"Content-Type": media_type}
        response = await self.api.http.post("/api/v1/cas", content=content, headers=headers)
        assert response.status_code in {200, 201}, response.text
        return str(response.json()["cas_id"])

    async def fetch(self, cas_id: str, method: str = "GET", **headers: str) -> httpx2.Response:
        return await self.api.http.request(method, f"/api/v1/cas/{cas_id}", headers=headers)

    async def missing(self, *cas_ids: str) -> list[str]:
        response = await self.api.post("/cas/missing", {"cas_ids": list(cas_ids)})
        found: list[str] = response.json()["missing"]
        return found

    async def quarantined(self) -> set[str]:
        rows = await self.database.fetch(
            "SELECT cas_id FROM cas_blob WHERE quarantined_at IS NOT NULL"
        )
        return {str(CasId(row["cas_id"])) for row in rows}

    async def verify(self, **wanted: Any) -> list[dict[str, Any]]:
        """All problems of all pages."""
        return [each for page in await self.pages(**wanted) for each in page["problems"]]

    async def pages(self, **wanted: Any) -> list[dict[str, Any]]:
        pages: list[dict[str, Any]] = []
        while not pages or pages[-1]["next"]:
            cursor = pages[-1]["next"] if pages else None
            response = await self.api.post("/verify", {**wanted, "cursor": cursor})
            assert response.status_code == 200, response.text
            pages.append(response.json())
        return pages

    def files(self, part: str = "objects") -> list[Path]:
        return sorted(path for path in (self.folder / part).rglob("*") if path.is_file())

    def put(self, name: str, content: bytes = b"left behind", *, age: float = 2 * DAY) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return aged(path, age)

    def put_object(self, *, age: float = 2 * DAY) -> Path:
        name = uuid4().hex * 2
        return self.put(f"objects/{name[:2]}/{name}.{uuid4().hex}", age=age)


def aged(path: Path, seconds: float) -> Path:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))
    return path


@asynccontextmanager
async def place_on(url: str, **changed: object) -> AsyncIterator[Place]:
    settings = settings_for(url, blob_inline_bytes_max=1_024, **changed)
    database = await asyncpg.connect(url, connection_class=Connection)
    try:
        async with Api.on(create_app(settings), TOKEN) as api:
            await api.http.get("/health/ready")  # Makes the folder.
            yield Place(api, Path(unquote(urlsplit(settings.blob_store).path)), database)
    finally:
        await database.close()


def noise(seed: object, segments: float = 2.5) -> bytes:
    return random.Random(str(seed)).randbytes(int(segments * SEGMENT_BYTES))


def words(seed: object) -> bytes:
    """As noise, but worth compressing."""
    return noise(seed, 1.3).hex().encode()


def flip(path: Path) -> None:
    """The first byte, so that no byte of the blob can be had."""
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def truncate(path: Path) -> None:
    os.truncate(path, 1_000)


DAMAGES = [
    pytest.param(flip, "damaged", id="a-flipped-byte"),
    pytest.param(truncate, "size", id="truncated"),
    pytest.param(Path.unlink, "missing", id="deleted"),
]
CONTENTS = [pytest.param(noise, PLAIN, id="plain"), pytest.param(words, PACKED, id="packed")]


def kinds(problems: list[dict[str, Any]]) -> list[str]:
    return [each["problem"] for each in problems]


async def session(place: Place, upload_id: UUID, stage: str | None, expires_in: str) -> None:
    parts = f'[{{"stage": "{stage}", "start": 0}}]' if stage else "[]"
    cas_id = None if stage else CasId.of(b"whole").raw
    await place.database.execute(
        "INSERT INTO cas_upload (upload_id, namespace, media_type, parts, cas_id, created_by,"
        " expires_at) VALUES ($1, 'n', 't', $2, $3, 'ann', now() + $4::text::interval)",
        upload_id,
        parts,
        cas_id,
        expires_in,
    )
