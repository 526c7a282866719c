"""A backup while everything changes is of one moment; what it restores to is whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import asyncpg
import msgspec
import pytest

from orchestrator.backup.make import BackupRun
from orchestrator.backup.snapshot import Snapshot
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.repository.upkeep.backup import BackupRepository, Export, Sink
from orchestrator.settings import Settings
from tests.api import Api
from tests.backup.conftest import check_readable, fill, noise, put_back, serving, take, upload
from tests.test_failures import DANGLING

pytestmark = pytest.mark.slow

numbers = count()


async def create(api: Api) -> None:
    number = next(numbers)
    await api.create(f"tag{number % 5}", f"n{number}", f"m{number}")


async def patch(api: Api) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    document = {"name": f"name {next(numbers)}"}
    done = await api.http.patch("/api/v1/workflows/main", json=document, headers=headers)
    assert done.status_code in (200, 409, 412), done.text


async def move(api: Api) -> None:
    number = next(numbers)
    await (api.post if number % 3 else api.delete)(
        f"/tags/tag{number % 5}{'/undo' * (number % 3 > 0)}"
    )


async def send(api: Api) -> None:
    number = next(numbers)
    await upload(api, noise(100 if number % 2 else 5_000, number))


@asynccontextmanager
async def changing(api: Api) -> AsyncIterator[list[int]]:
    """Several clients write all the time; yields how often."""
    done = [0]
    ending = asyncio.Event()

    async def repeat(act) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        while not ending.is_set():
            await act(api)
            done[0] += 1

    tasks = [asyncio.create_task(repeat(act)) for act in (create, create, patch, move, send, send)]
    try:
        yield done
    finally:
        ending.set()
        await asyncio.gather(*tasks)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for many writes between two tables."""
    original = BackupRepository.copy_out

    async def slowly(self: BackupRepository, conn: Connection, export: Export, sink: Sink) -> int:
        found = await original(self, conn, export, sink)
        await asyncio.sleep(0.15)
        return found

    monkeypatch.setattr(BackupRepository, "copy_out", slowly)


async def test_a_backup_while_everything_changes_is_of_one_moment(
    source: Settings, target: Settings, folder: Path, slow: None
) -> None:
    async with serving(source) as api:
        await fill(api)
        async with changing(api) as done:
            await asyncio.sleep(0.3)
            before = done[0]
            report = await take(folder, source)
            assert done[0] - before > 20, "writes go on while a backup runs"
            second = await take(folder, source)
    assert report.damaged == second.damaged == []
    assert second.rows["cas_blob"] > report.rows["cas_blob"]
    restored = await put_back(folder, target, snapshot=report.snapshot, read_data=True)
    assert restored.problems == []
    assert restored.rows == report.rows
    conn = await asyncpg.connect(target.database_url, connection_class=Connection)
    assert await conn.fetch(DANGLING) == []
    await conn.close()
    histories, original = await moves(target), await moves(source)
    assert len(histories) > 5
    for tag, history in histories.items():
        assert original[tag][: len(history)] == history
    assert await check_readable(target) > 10


async def test_garbage_of_that_moment_is_collected_after_it_is_copied(
    source: Settings, target: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing holds the blobs any more; the snapshot names them, so their bytes stay till then."""
    source = msgspec.structs.replace(source, gc_grace_seconds=0)
    statuses: list[int] = []
    original = BackupRun.copy_placed

    async def collected(self: BackupRun, conn: Connection, snapshot: Snapshot) -> None:
        statuses.append((await api.post("/gc", {})).status_code)
        await original(self, conn, snapshot)

    monkeypatch.setattr(BackupRun, "copy_placed", collected)
    async with serving(source) as api:
        for number in range(3):
            await upload(api, noise(5_000, number))
        conn = await asyncpg.connect(source.database_url, connection_class=Connection)
        await conn.execute("UPDATE cas_lease SET expires_at = now() - interval '1 day'")
        report = await take(folder, source)
        assert (statuses, report.damaged, report.blobs_copied) == ([409], [], 3)
        cursor: str | None = ""
        while cursor is not None:
            page = (await api.post("/gc", {"cursor": cursor} if cursor else {})).json()
            cursor = page["next"]
        assert await conn.fetchval("SELECT count(*) FROM cas_blob") == 0
        await conn.close()
    assert (await put_back(folder, target, read_data=True)).rows["cas_blob"] == 3


async def moves(settings: Settings) -> dict[str, list[object]]:
    """Of each tag, in order."""
    conn = await asyncpg.connect(settings.database_url, connection_class=Connection)
    rows = await conn.fetch("SELECT * FROM tag_move ORDER BY seq")
    await conn.close()
    found: dict[str, list[object]] = {}
    for row in rows:
        found.setdefault(f"{row['namespace']}/{row['name']}", []).append(tuple(row))
    return found


async def test_blobs_that_are_healed_meanwhile_are_not_missed(
    source: Settings, target: Settings, folder: Path
) -> None:
    async with serving(source) as api:
        content = noise(6_000)
        await upload(api, content)
        conn = await asyncpg.connect(source.database_url, connection_class=Connection)
        await conn.execute("UPDATE cas_blob SET quarantined_at = now(), quarantine_reason = 'test'")
        assert len((await take(folder, source)).damaged) == 1
        await upload(api, content)
        await conn.close()
        assert (await take(folder, source)).damaged == []
    await put_back(folder, target)
    async with serving(target) as api:
        assert (await api.get(f"/cas/{CasId.of(content)}")).content == content
