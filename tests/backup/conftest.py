"""A store with some of everything, an empty database to restore into, and how they are compared."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from orchestrator.app import create_app
from orchestrator.backup.make import BackupOptions, back_up
from orchestrator.backup.restore import RestoreOptions, restore
from orchestrator.core.digest import CasId
from orchestrator.models.upkeep.backup import BackupReport, RestoreReport
from orchestrator.repository.upkeep.backup import EXPORTS
from orchestrator.settings import Settings
from tests.api import Api
from tests.conftest import TOKEN, settings_for
from tests.databases import run, url_of

#: Larger uploads go to storage.
INLINE_BYTES_MAX = 1_000


@pytest.fixture
def source(fresh_database: str, tmp_path: Path) -> Settings:
    """A store that is to be backed up."""
    return settings_for(
        fresh_database,
        blob_store=(tmp_path / "source").as_uri(),
        blob_inline_bytes_max=INLINE_BYTES_MAX,
    )


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Settings]:
    """A database without any table, and a storage without anything."""
    name = f"empty_{uuid4().hex[:12]}"
    run(f"CREATE DATABASE {name}")
    yield settings_for(
        url_of(name),
        blob_store=(tmp_path / "target").as_uri(),
        blob_inline_bytes_max=INLINE_BYTES_MAX,
    )
    run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the backup is to be."""
    return tmp_path / "backup"


@pytest.fixture
async def filled(source: Settings) -> Settings:
    """The source with some of everything."""
    async with serving(source) as api:
        await fill(api)
    return source


@pytest.fixture(scope="module")
def stored(
    template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, Path]]:
    """The same and a backup of it, for tests that leave both as they are."""
    name = f"stored_{uuid4().hex[:12]}"
    run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    place = tmp_path_factory.mktemp("stored")
    settings = settings_for(
        url_of(name),
        blob_store=(place / "source").as_uri(),
        blob_inline_bytes_max=INLINE_BYTES_MAX,
    )

    async def make() -> None:
        async with serving(settings) as api:
            await fill(api)
        await take(place / "backup", settings)

    asyncio.run(make())
    yield settings, place / "backup"
    run(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Api]:
    """A client of a server on this database."""
    async with Api.on(create_app(settings), TOKEN) as api:
        yield api


def unwatched(stage: str, done: int, total: int) -> None:
    """Nobody looks."""


async def take(folder: Path, settings: Settings, **options: Any) -> BackupReport:
    """One backup."""
    return await back_up(folder, settings, BackupOptions(**options), unwatched)


async def put_back(folder: Path, settings: Settings, **options: Any) -> RestoreReport:
    """One restore, in a thread of its own because it has its own event loops."""
    return await asyncio.to_thread(restore, folder, settings, RestoreOptions(**options), unwatched)


async def upload(api: Api, content: bytes, media_type: str = "application/pdf") -> str:
    """Returns the name."""
    response = await api.http.post(
        "/api/v1/cas", content=content, headers={"Content-Type": media_type}
    )
    assert response.status_code in (200, 201), response.text
    return str(response.json()["cas_id"])


@cache
def noise(size_bytes: int, seed: int = 0) -> bytes:
    """Bytes that cannot be packed, others for each seed."""
    words = (CasId.of(b"%d %d" % (seed, i)).raw for i in range(size_bytes // 33 + 1))
    return b"".join(words)[:size_bytes]


async def fill(api: Api) -> None:
    """Workflows, patches, moves of all kinds, texts that need care, blobs in all places."""
    await api.create("main", "a", message="tab\there, line\nbreak, back\\slash, \\N and ünïcode ☃")
    await api.create("main", "a", "b")
    headers = {"Content-Type": "application/merge-patch+json"}
    for number in range(3):
        patch = {"name": f"name {number}"}
        done = await api.http.patch("/api/v1/workflows/main", json=patch, headers=headers)
        assert done.status_code == 200, done.text
    assert (await api.post("/tags/main/undo")).status_code == 200
    await api.create("release/v1", "r")
    assert (await api.delete("/tags/release%2Fv1")).status_code in (200, 204)
    created = {"op": "create", "tag": "next", "from": "main"}
    made = await api.post("/transactions", {"operations": [created], "message": "next\tone"})
    back = await api.post(f"/transactions/{made.json()['transaction_id']}/revert")
    assert back.status_code == 200, back.text
    other = {"tag": "main", "workflow": {"nodes": [{"id": "o", "type": "task"}], "edges": []}}
    assert (await api.post("/workflows", other, params={"namespace": "other"})).status_code == 201
    await upload(api, b"short")
    weights = await upload(api, b"weights")
    model = {"kind": "model", "blobs": [{"cas_id": weights, "name": "a"}], "meta": {"n": 1e21}}
    model["parents"] = [{"tag": "main"}]
    assert (await api.post("/artifacts", {**model, "retain": True})).status_code == 201
    await upload(api, b"")
    await upload(api, noise(5_000))
    await upload(api, noise(3_000_000))
    await upload(api, b"the same again and again " * 100_000, "text/plain")


async def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that a backup has, table by table, in a fixed order."""
    conn = await asyncpg.connect(url)
    try:
        return {
            each.table: [tuple(row) for row in await conn.fetch(_without_places(each.select))]
            for each in EXPORTS
        }
    finally:
        await conn.close()


def _without_places(select: str) -> str:
    return select.replace(", content IS NOT NULL AS inline", "")


async def check_readable(settings: Settings) -> int:
    """Every blob that somebody may see is served, with the bytes of its name; how many they are."""
    conn = await asyncpg.connect(settings.database_url)
    held = await conn.fetch("""
    SELECT DISTINCT namespace, cas_id FROM (
        SELECT namespace, cas_id FROM artifact
        UNION ALL SELECT namespace, version_hash FROM artifact WHERE version_hash IS NOT NULL
        UNION ALL SELECT namespace, cas_id FROM cas_lease) held
    """)
    await conn.close()
    async with serving(settings) as api:
        for namespace, raw in held:
            cas_id = CasId(raw)
            got = await api.get(f"/cas/{cas_id}", params={"namespace": namespace})
            assert got.status_code == 200, got.text
            assert CasId.of(got.content) == cas_id
    return len(held)


def files_of(folder: Path) -> set[str]:
    """The names of the blobs that are files."""
    return {path.name for path in (folder / "blobs").glob("*/*")}


async def execute(url: str, statement: str, *values: object) -> None:
    """Change the database in ways that the product does not."""
    conn = await asyncpg.connect(url)
    await conn.execute(statement, *values)
    await conn.close()
