"""What a backup makes of bytes that are not those of their name: it names them, and copies none."""

from pathlib import Path

import pytest

from orchestrator.core.digest import CasId
from orchestrator.settings import Settings
from tests.backup.conftest import (
    execute,
    files_of,
    noise,
    put_back,
    serving,
    take,
    upload,
)
from tests.bad_sector import unreadable


def damage(settings: Settings) -> Path:
    """Change one byte of the largest object."""
    objects = Path(settings.blob_store.removeprefix("file://")) / "objects"
    path = max(objects.glob("*/*"), key=lambda each: each.stat().st_size)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return path


async def test_a_damaged_blob_is_named_and_all_others_are_there(
    filled: Settings, folder: Path
) -> None:
    hexadecimal = damage(filled).name.partition(".")[0]
    report = await take(folder, filled)
    assert [each.cas_id for each in report.damaged] == [f"blake3:{hexadecimal}"]
    assert hexadecimal not in files_of(folder)
    assert len(files_of(folder)) == 2
    assert list((folder / "incoming").iterdir()) == []


async def test_a_blob_that_the_disk_cannot_read_is_named_and_all_others_are_there(
    filled: Settings, target: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = Path(filled.blob_store.removeprefix("file://")) / "objects"
    lost = max(objects.glob("*/*"), key=lambda each: each.stat().st_size)
    unreadable(lost, monkeypatch)
    report = await take(folder, filled)
    hexadecimal = lost.name.partition(".")[0]
    assert [each.cas_id for each in report.damaged] == [f"blake3:{hexadecimal}"]
    assert len(files_of(folder)) == 2
    restored = await put_back(folder, target, allow_damaged=True, read_data=True)
    assert (len(restored.damaged), restored.problems) == (1, [])


async def test_a_damaged_blob_that_an_earlier_backup_has_is_not_missed(
    filled: Settings, target: Settings, folder: Path
) -> None:
    await take(folder, filled)
    damage(filled)
    assert (await take(folder, filled)).damaged == []
    assert (await put_back(folder, target, read_data=True)).problems == []


async def test_whole_segments_of_another_blob_are_damage(source: Settings, folder: Path) -> None:
    async with serving(source) as api:
        name = await upload(api, noise(5_000, 1))
        await upload(api, noise(5_000, 2))
    await execute(
        source.database_url,
        """
        WITH other AS (DELETE FROM cas_blob WHERE cas_id <> $1 RETURNING *)
        UPDATE cas_blob b SET storage_key = o.storage_key, segments = o.segments
          FROM other o WHERE b.cas_id = $1
        """,
        CasId.parse(name).raw,
    )
    report = await take(folder, source)
    assert [each.cas_id for each in report.damaged] == [name]
    assert files_of(folder) == set()


async def test_damaged_bytes_inside_the_database_are_not_copied(
    filled: Settings, folder: Path
) -> None:
    name = CasId.of(b"short")
    await execute(
        filled.database_url, "UPDATE cas_blob SET content = 'shirt' WHERE cas_id = $1", name.raw
    )
    report = await take(folder, filled)
    assert [each.cas_id for each in report.damaged] == [str(name)]


async def test_a_blob_in_quarantine_is_named_with_its_reason(
    filled: Settings, folder: Path
) -> None:
    await execute(
        filled.database_url,
        "UPDATE cas_blob SET quarantined_at = now(), quarantine_reason = 'read' WHERE cas_id = $1",
        CasId.of(noise(5_000)).raw,
    )
    (damaged,) = (await take(folder, filled)).damaged
    assert damaged.cas_id == str(CasId.of(noise(5_000)))
    assert damaged.reason == "in quarantine: read"


async def test_what_is_damaged_in_the_folder_is_found_and_replaced(
    filled: Settings, target: Settings, folder: Path
) -> None:
    await take(folder, filled)
    path = max((folder / "blobs").glob("*/*"), key=lambda each: each.stat().st_size)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    assert (await take(folder, filled)).blobs_copied == 0
    report = await take(folder, filled, verify_existing=True)
    assert (report.damaged_here, report.blobs_copied) == (1, 1)
    assert (await put_back(folder, target, read_data=True)).problems == []
