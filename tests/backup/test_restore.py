"""What a restore refuses before it writes, and what it makes of a backup that lacks something."""

import json
from collections.abc import Callable
from pathlib import Path

import asyncpg
import msgspec
import pytest
from blake3 import blake3

from orchestrator import migration
from orchestrator.backup.error import BackupRefused
from orchestrator.backup.restore import RestoreRun
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import StorageUnavailable
from orchestrator.models.cas import Placement
from orchestrator.settings import Settings
from tests.backup.conftest import (
    check_readable,
    noise,
    put_back,
    rows_of,
    serving,
    take,
    upload,
)


def newest(folder: Path) -> Path:
    return max((folder / "snapshots").iterdir())


def flip(path: Path) -> None:
    """One bit, so that the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_table(folder: Path) -> None:
    flip(newest(folder) / "tag_move.copy")


def remove_table(folder: Path) -> None:
    (newest(folder) / "lineage.copy").unlink()


def flip_manifest(folder: Path) -> None:
    path = newest(folder) / "manifest.json"
    path.write_text(path.read_text().replace('"postgresql": "1', '"postgresql": "2'))


def remove_sums(folder: Path) -> None:
    (newest(folder) / "B3SUMS").unlink()


def flip_blob(folder: Path) -> None:
    flip(max((folder / "blobs").glob("*/*"), key=lambda each: each.stat().st_size))


def cut_blob(folder: Path) -> None:
    path = max((folder / "blobs").glob("*/*"))
    path.write_bytes(path.read_bytes()[:-1])


def remove_blob(folder: Path) -> None:
    max((folder / "blobs").glob("*/*")).unlink()


def flip_inline(folder: Path) -> None:
    path = folder / "inline.sqlite"
    path.write_bytes(path.read_bytes().replace(b"short", b"shirt"))


def cut_inline(folder: Path) -> None:
    path = folder / "inline.sqlite"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite_manifest(**changed: object) -> Callable[[Path], None]:
    """As another program would have written it, with its right hash."""

    def rewrite(folder: Path) -> None:
        path = newest(folder) / "manifest.json"
        content = path.read_bytes()
        written = json.dumps({**json.loads(content), **changed}).encode()
        sums = newest(folder) / "B3SUMS"
        one, other = (blake3(each).hexdigest() for each in (content, written))
        sums.write_text(sums.read_text().replace(one, other))
        path.write_bytes(written)

    return rewrite


def newer_folder(folder: Path) -> None:
    (folder / "orchestrator-backup.json").write_text('{"format": 2}')


DAMAGES = [
    (flip_table, "its BLAKE3 is not that of the manifest"),
    (remove_table, "lineage.copy is missing"),
    (flip_manifest, "its BLAKE3 is not the one in B3SUMS"),
    (remove_sums, "its BLAKE3 is not the one in B3SUMS"),
    (flip_blob, "does not have the bytes of blake3:"),
    (cut_blob, "does not have the bytes of blake3:"),
    (remove_blob, "does not have the bytes of blake3:"),
    (flip_inline, f"does not have the bytes of {CasId.of(b'short')}"),
    (cut_inline, "inline.sqlite cannot be used"),
    (rewrite_manifest(format=2), "newer than format 1"),
    (rewrite_manifest(schema="9999"), "newer than schema"),
    (rewrite_manifest(tables={}), "has no rows of cas_blob, "),
    (newer_folder, "newer than format 1"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
async def test_a_damaged_backup_is_refused_and_nothing_is_restored(
    filled: Settings,
    target: Settings,
    folder: Path,
    damage: Callable[[Path], None],
    reason: str,
) -> None:
    await take(folder, filled)
    damage(folder)
    with pytest.raises(BackupRefused, match=reason):
        await put_back(folder, target)
    assert not await has_rows(target)


async def has_rows(settings: Settings) -> bool:
    try:
        return any((await rows_of(settings.database_url)).values())
    except asyncpg.UndefinedTableError:
        return False


@pytest.mark.parametrize("damage", [flip_blob, cut_blob, remove_blob, flip_inline])
async def test_what_a_backup_lacks_waits_in_quarantine_if_that_is_allowed(
    filled: Settings, target: Settings, folder: Path, damage: Callable[[Path], None]
) -> None:
    await take(folder, filled)
    damage(folder)
    report = await put_back(folder, target, allow_damaged=True)
    (lost,) = report.damaged
    assert report.problems == [], "what is known to be lost is told once"
    contents = (b"short", noise(5_000), noise(3_000_000), b"the same again and again " * 100_000)
    (content,) = (each for each in contents if str(CasId.of(each)) == lost.cas_id)
    async with serving(target) as api:
        assert (await api.get(f"/cas/{lost.cas_id}")).status_code == 500
        assert await upload(api, content) == lost.cas_id
        assert (await api.get(f"/cas/{lost.cas_id}")).content == content
    restored, original = await rows_of(target.database_url), await rows_of(filled.database_url)
    del restored["cas_lease"], original["cas_lease"]  # The upload made one longer.
    assert restored == original
    await check_readable(target)


async def test_a_database_with_rows_is_refused(
    filled: Settings, target: Settings, folder: Path
) -> None:
    await take(folder, filled)
    with pytest.raises(BackupRefused, match="not empty"):
        await put_back(folder, filled)
    await put_back(folder, target)
    with pytest.raises(BackupRefused, match="not empty"):
        await put_back(folder, target)


async def test_a_server_that_ran_on_the_empty_database_is_no_hindrance(
    filled: Settings, fresh_target: Settings, folder: Path
) -> None:
    await take(folder, filled)
    async with serving(fresh_target) as api:
        assert (await api.http.get("/health/ready")).status_code == 200
        await put_back(folder, fresh_target)
        assert (await api.get("/workflows/main")).status_code == 200


@pytest.fixture
def fresh_target(target: Settings) -> Settings:
    """Migrated already."""
    migration.upgrade(target.database_url)
    return target


async def test_a_write_that_comes_first_wins(
    filled: Settings, fresh_target: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(folder, filled)
    original = RestoreRun.put_rows

    async def late(self: RestoreRun, conn: Connection) -> dict[str, int]:
        await conn.execute(
            "INSERT INTO cas_blob (cas_id, size_bytes, media_type, content) "
            "VALUES ($1, 1, 'text/plain', 'x')",
            CasId.of(b"x").raw,
        )
        return await original(self, conn)

    monkeypatch.setattr(RestoreRun, "put_rows", late)
    with pytest.raises(BackupRefused, match="not empty"):
        await put_back(folder, fresh_target)
    rows = await rows_of(fresh_target.database_url)
    assert [len(found) for found in rows.values() if found] == [1]


async def test_a_storage_of_another_database_is_refused(
    filled: Settings, target: Settings, folder: Path
) -> None:
    await take(folder, filled)
    shared = msgspec.structs.replace(target, blob_store=filled.blob_store)
    with pytest.raises(StorageUnavailable, match="belongs to another database"):
        await put_back(folder, shared)
    assert not await has_rows(target)
    await check_readable(filled)


async def test_a_folder_that_is_no_backup_is_refused(target: Settings, tmp_path: Path) -> None:
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(BackupRefused, match="is not the folder of a backup"):
            await put_back(folder, target)


async def test_a_snapshot_that_is_not_there_is_refused_with_those_that_are(
    filled: Settings, target: Settings, folder: Path
) -> None:
    report = await take(folder, filled)
    with pytest.raises(BackupRefused, match=f"there is {report.snapshot}"):
        await put_back(folder, target, snapshot="yesterday")
    newest(folder).joinpath("manifest.json").unlink()
    with pytest.raises(BackupRefused, match="There is no snapshot"):
        await put_back(folder, target)


async def test_settings_of_the_new_storage_count(
    filled: Settings, target: Settings, folder: Path
) -> None:
    await take(folder, filled)
    other = msgspec.structs.replace(
        target,
        blob_inline_bytes_max=100_000,
        blob_compressed_media_types=("application/pdf",),
        blob_bytes_max=2_000_000,
        workflow_bytes_max=1_000_000,
    )
    report = await put_back(folder, other, read_data=True)
    assert report.problems == []
    assert report.blobs_placed == 2, "one is small enough for this database"
    assert await rows_of(target.database_url) == await rows_of(filled.database_url)
    await check_readable(other)


async def test_keys_are_new(filled: Settings, target: Settings, folder: Path) -> None:
    await take(folder, filled)
    await put_back(folder, target)
    old, new = await placements(filled), await placements(target)
    assert old.keys() == new.keys()
    assert not {each.storage_key for each in old.values()} & {
        each.storage_key for each in new.values()
    }


async def placements(settings: Settings) -> dict[bytes, Placement]:
    conn = await asyncpg.connect(settings.database_url)
    rows = await conn.fetch("SELECT * FROM cas_blob WHERE storage_key IS NOT NULL")
    await conn.close()
    return {
        row["cas_id"]: Placement(
            storage_key=row["storage_key"],
            segments=row["segments"],
            stored_bytes=row["stored_bytes"],
        )
        for row in rows
    }


async def test_a_store_goes_from_files_to_s3_and_back(
    filled: Settings, target: Settings, folder: Path, tmp_path: Path, s3_url: str
) -> None:
    await take(folder, filled)
    in_s3 = msgspec.structs.replace(target, blob_store=s3_url)
    await put_back(folder, in_s3, read_data=True)
    await check_readable(in_s3)
    second = tmp_path / "second"
    assert (await take(second, in_s3)).damaged == []
    for path in (folder / "blobs").glob("*/*"):
        copied = second / path.relative_to(folder)
        assert copied.read_bytes() == path.read_bytes()
