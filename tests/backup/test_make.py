"""What a backup has: everything of one moment, once, and only what is whole."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from orchestrator.backup import make as module
from orchestrator.backup.copy_text import as_bytes, as_time, read_rows
from orchestrator.backup.error import BackupRefused
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import StorageUnavailable
from orchestrator.models.upkeep.maintenance import MAINTENANCE_LOCK
from orchestrator.repository.upkeep.backup import BLOB_PLACES, EXPORTS, TABLES_LEFT_OUT
from orchestrator.settings import Settings
from tests.backup.conftest import (
    check_readable,
    execute,
    files_of,
    noise,
    put_back,
    rows_of,
    serving,
    take,
    upload,
)


async def test_every_column_is_in_a_backup_or_left_out_by_name(conn: Connection) -> None:
    rows = await conn.fetch("""
    SELECT table_name, column_name FROM information_schema.columns
     WHERE table_schema = 'public' AND is_generated = 'NEVER'
    """)
    found = {tuple(row) for row in rows if row["table_name"] not in TABLES_LEFT_OUT}
    known = {(each.table, column) for each in EXPORTS for column in each.columns}
    known -= {("cas_blob", "inline")}  # Computed.
    assert found == known | {("cas_blob", column) for column in BLOB_PLACES}


async def test_values_of_any_kind_come_through_the_text_of_a_copy(
    conn: Connection, tmp_path: Path
) -> None:
    text = "tab\t line\n return\r back\\slash \\N \b\f\v é ☃ '\""
    moment = await conn.fetchval("SELECT clock_timestamp()")
    raw = bytes(range(256))
    await conn.execute("SET LOCAL timezone = 'UTC'")
    file = tmp_path / "rows"
    query = "SELECT $1::text, $2::bytea, $3::timestamptz, NULL, '', '\\N' UNION ALL SELECT 'x'"
    query += ", NULL, NULL, NULL, NULL, NULL"
    await conn.copy_from_query(query, text, raw, moment, output=file)
    one, two = read_rows(file, ("text", "bytes", "time", "null", "empty", "not_null"))
    assert (one["text"], as_bytes(one["bytes"]), as_time(one["time"])) == (text, raw, moment)
    assert (one["null"], one["empty"], one["not_null"]) == (None, "", "\\N")
    assert two["text"] == "x"


async def test_all_that_was_stored_comes_back(
    filled: Settings, target: Settings, folder: Path
) -> None:
    report = await take(folder, filled)
    assert (report.blobs.placed, report.damaged) == (3, [])
    restored = await put_back(folder, target, read_data=True)
    assert restored.problems == []
    assert restored.rows == report.rows
    assert all(report.rows.values())
    assert await rows_of(target.database_url) == await rows_of(filled.database_url)
    assert await check_readable(target) == await check_readable(filled) >= 12


async def test_a_restored_store_goes_on(filled: Settings, target: Settings, folder: Path) -> None:
    await take(folder, filled)
    await put_back(folder, target)
    async with serving(target) as api:
        assert (await api.post("/tags/main/redo")).status_code == 200
        await api.create("main", "more")
        await upload(api, noise(4_000, 9))
        ready = await api.http.get("/health/ready")
        assert ready.status_code == 200, ready.text


def modes_below(folder: Path) -> set[tuple[bool, int]]:
    """Of folders and of files."""
    paths = (folder, *folder.rglob("*"))
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in paths}


async def test_what_is_written_is_private_and_its_hashes_can_be_checked(
    filled: Settings, folder: Path
) -> None:
    report = await take(folder, filled)
    assert modes_below(folder) == {(True, 0o700), (False, 0o600)}
    snapshot = folder / "snapshots" / report.snapshot
    lines = (snapshot / "B3SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == {
        path.name for path in snapshot.iterdir() if path.name != "B3SUMS"
    }
    for line in lines:
        digest, name = line.split("  ")
        assert CasId.of((snapshot / name).read_bytes()).raw[1:].hex() == digest
    for path in (folder / "blobs").glob("*/*"):
        assert CasId.of(path.read_bytes()).raw[1:].hex() == path.name


async def test_a_second_backup_copies_only_what_is_new(filled: Settings, folder: Path) -> None:
    first = await take(folder, filled)
    assert first.blobs_copied == first.rows["cas_blob"]
    again = await take(folder, filled)
    assert (again.blobs_copied, again.bytes_copied) == (0, 0)
    async with serving(filled) as api:
        name = await upload(api, noise(7_000, 1))
        await upload(api, b"another short one")
    third = await take(folder, filled)
    assert (third.blobs_copied, third.bytes_copied) == (2, 7_017)
    assert name.removeprefix("blake3:") in files_of(folder)
    assert len(list((folder / "snapshots").iterdir())) == 3


async def test_each_snapshot_is_of_its_moment(
    filled: Settings, target: Settings, folder: Path
) -> None:
    first = await take(folder, filled)
    before = await rows_of(filled.database_url)
    async with serving(filled) as api:
        await api.create("main", "later")
    await take(folder, filled)
    await put_back(folder, target, snapshot=first.snapshot)
    assert await rows_of(target.database_url) == before


async def test_nothing_is_collected_while_a_backup_runs(
    filled: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_delete: list[bool] = []

    async def ask() -> None:
        conn = await asyncpg.connect(filled.database_url)
        query = "SELECT pg_try_advisory_xact_lock_shared($1)"
        may_delete.append(await conn.fetchval(query, MAINTENANCE_LOCK))
        await conn.close()

    def surround(step: str) -> None:
        original = getattr(module.BackupRun, step)

        async def asked(self: object, *given: object) -> object:
            await ask()
            done = await original(self, *given)
            await ask()
            return done

        monkeypatch.setattr(module.BackupRun, step, asked)

    surround("read_database")
    surround("copy_placed")
    await ask()
    await take(folder, filled)
    await ask()
    assert may_delete == [True, False, False, False, False, True]


async def test_a_backup_waits_for_those_that_delete(filled: Settings, folder: Path) -> None:
    conn = await asyncpg.connect(filled.database_url)
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock_shared($1)", MAINTENANCE_LOCK)
        running = asyncio.create_task(take(folder, filled))
        await asyncio.sleep(0.5)
        assert not running.done()
        assert list((folder / "snapshots").iterdir()) == []
    await running
    await conn.close()


async def test_a_backup_whose_lock_is_lost_does_not_count(
    filled: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.BackupRun.copy_placed

    async def killed(self: module.BackupRun, *given: Any) -> None:
        await original(self, *given)
        # Other tests take the same lock in databases of theirs.
        query = """
        SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
         WHERE l.objid = $1 AND d.datname = current_database()
        """
        conn = await asyncpg.connect(filled.database_url)
        await conn.execute(query, MAINTENANCE_LOCK)
        await conn.close()

    with monkeypatch.context() as patched:
        patched.setattr(module.BackupRun, "copy_placed", killed)
        with pytest.raises(BackupRefused):
            await take(folder, filled)
    assert (await take(folder, filled)).blobs_copied == 0
    assert len(list((folder / "snapshots").iterdir())) == 1


async def test_old_snapshots_are_removed_with_what_only_they_name(
    filled: Settings, target: Settings, folder: Path
) -> None:
    await take(folder, filled)
    gone = (CasId.of(noise(5_000)), CasId.of(b"short"))
    for each in gone:
        await execute(filled.database_url, "DELETE FROM cas_blob WHERE cas_id = $1", each.raw)
    second = await take(folder, filled, snapshots_max=2)
    assert (second.snapshots_removed, second.blobs_removed) == (0, 0)
    assert gone[0].raw[1:].hex() in files_of(folder)
    third = await take(folder, filled, snapshots_max=1)
    assert (third.snapshots_removed, third.blobs_removed) == (2, 2)
    assert gone[0].raw[1:].hex() not in files_of(folder)
    assert [each.name for each in (folder / "snapshots").iterdir()] == [third.snapshot]
    assert (await put_back(folder, target, read_data=True)).problems == []


async def test_a_folder_of_somebody_else_is_left_alone(source: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="has other files"):
        await take(folder_with(tmp_path / "one", "lost+found", "photo.jpg"), source)
    await take(folder_with(tmp_path / "two", "lost+found"), source)


def folder_with(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


async def test_a_folder_is_used_by_one_backup_at_a_time(filled: Settings, folder: Path) -> None:
    results = await asyncio.gather(
        *(take(folder, filled) for _ in range(4)), return_exceptions=True
    )
    refused = [each for each in results if isinstance(each, BackupRefused)]
    assert len(refused) == 3
    assert all("Another backup or restore works in" in str(each) for each in refused)


async def test_a_database_of_another_schema_is_refused(source: Settings, folder: Path) -> None:
    await execute(source.database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BackupRefused, match="newer than schema"):
        await take(folder, source)
    await execute(source.database_url, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(BackupRefused, match="migrate it first"):
        await take(folder, source)


async def test_a_database_without_tables_is_refused(target: Settings, folder: Path) -> None:
    with pytest.raises(BackupRefused, match="has schema none"):
        await take(folder, target)


async def test_the_wrong_storage_is_no_damage(
    filled: Settings, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    wrong = msgspec.structs.replace(filled, blob_store=elsewhere.as_uri())
    with pytest.raises(StorageUnavailable):
        await take(folder, wrong)
    assert not elsewhere.exists()
