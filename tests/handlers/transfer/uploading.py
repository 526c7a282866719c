"""Resumable uploads over HTTP, for the tests of what comes of them."""

import random
from base64 import b64encode
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
from blake3 import blake3

from orchestrator.models.transfer.upload import upload_of_stage
from tests.api import Api
from tests.conftest import settings_for

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


# ------------------------------------------------------------------------------------ checksums


def checksum(algorithm: str, content: bytes) -> str:
    digest = {"sha1": sha1, "sha256": sha256}[algorithm](content).digest()
    return f"{algorithm} {b64encode(digest).decode()}"
