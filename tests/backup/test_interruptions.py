"""Each step of a backup and of a restore killed, before it and after it persisted."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from orchestrator.backup.error import BackupRefused
from orchestrator.backup.folder import opened
from orchestrator.backup.restore import RestoreRun
from orchestrator.backup.snapshot import BLOBS
from orchestrator.core.digest import CasId
from orchestrator.settings import Settings
from tests.backup.conftest import files_of, put_back, rows_of, take

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent

#: What a backup writes, in order.
BACKUP_STEPS = [
    "orchestrator.backup.folder:sync_folder",
    "orchestrator.backup.folder:BackupFolder.begin",
    "orchestrator.repository.upkeep.backup:BackupRepository.copy_out",
    "orchestrator.backup.snapshot:TableWriter.finished",
    "orchestrator.backup.inline:InlineContents.put",
    "orchestrator.backup.blobs:BlobFile.write",
    "orchestrator.backup.blobs:BlobFile.commit",
    "orchestrator.backup.maintenance_lock:MaintenanceLock.check",
    "orchestrator.backup.blobs:BlobFiles.sync",
    "orchestrator.backup.snapshot:write_durable",
    "orchestrator.backup.snapshot:Snapshot.finish",
    "orchestrator.backup.folder:BackupFolder.publish",
]
PUBLISHED = ("orchestrator.backup.folder:BackupFolder.publish", "after")
#: What a restore writes, in order.
RESTORE_STEPS = [
    "orchestrator.migration:upgrade",
    "orchestrator.repository.upkeep.storage_identity:StorageIdentityRepository.insert",
    "orchestrator.storage.filesystem:FilesystemStorage.set_identity",
    "orchestrator.storage.file_writing:FileWriter.write",
    "orchestrator.storage.file_writing:FileWriter.commit",
    "orchestrator.backup.inline:RestoredPlaces.put",
    "orchestrator.repository.upkeep.backup:BackupRepository.lock_rows",
    "orchestrator.repository.upkeep.backup:BackupRepository.put_blobs",
    "orchestrator.repository.upkeep.backup:BackupRepository.copy_in",
    "orchestrator.backup.restore:RestoreRun.put_rows",
    "orchestrator.repository.upkeep.backup:BackupRepository.analyze",
]
#: By then all rows are committed.
WHOLE = {
    ("orchestrator.backup.restore:RestoreRun.put_rows", "after"),
    ("orchestrator.repository.upkeep.backup:BackupRepository.analyze", "before"),
    ("orchestrator.repository.upkeep.backup:BackupRepository.analyze", "after"),
}
WHEN = ["before", "after"]


Kill = Callable[[str, Path, Settings, str, str], None]


@pytest.fixture(scope="module")
def kill() -> Iterator[Kill]:
    """Run a backup or a restore in a process that is killed at a step."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.backup.killed"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    ask, answers = process.stdin, process.stdout

    def run(what: str, folder: Path, settings: Settings, step: str, when: str) -> None:
        given = [what, str(folder), msgspec.json.encode(settings).decode(), step, when]
        ask.write(msgspec.json.encode(given) + b"\n")
        ask.flush()
        assert answers.readline() == b"-9\n", "the step was never taken"

    yield run
    ask.close()
    assert process.wait(10) == 0
    answers.close()


def unfinished(folder: Path) -> list[Path]:
    return [*folder.glob("snapshots/.*"), *folder.glob("incoming/*"), *folder.glob("*-journal")]


def check_snapshots(folder: Path) -> list[str]:
    """Each of them has all that it names, with the right bytes; returns their names."""
    with opened(folder, may_write=True) as one:
        for snapshot in one.snapshots():
            manifest = snapshot.manifest()
            snapshot.check_tables(manifest)
            for blob in snapshot.blobs(manifest.tables[BLOBS].columns):
                content = one.inline.get(blob.cas_id)
                if content is None:
                    content = one.blobs.path(blob.cas_id).read_bytes()
                assert CasId.of(content) == blob.cas_id
        return [snapshot.name for snapshot in one.snapshots()]


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", BACKUP_STEPS)
async def test_a_backup_that_is_killed_leaves_no_half_snapshot_and_the_next_goes_on(
    stored: tuple[Settings, Path], folder: Path, kill: Kill, step: str, when: str
) -> None:
    source, _ = stored
    kill("backup", folder, source, step, when)
    assert len(check_snapshots(folder)) == ((step, when) == PUBLISHED)
    there = files_of(folder)
    report = await take(folder, source)
    assert report.damaged == []
    assert report.blobs_copied <= report.rows[BLOBS] - len(there)
    assert report.snapshot in check_snapshots(folder)
    assert unfinished(folder) == []


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", RESTORE_STEPS)
async def test_a_restore_that_is_killed_leaves_an_empty_database_or_a_whole_one(
    stored: tuple[Settings, Path], target: Settings, kill: Kill, step: str, when: str
) -> None:
    source, folder = stored
    kill("restore", folder, target, step, when)
    if (step, when) in WHOLE:
        with pytest.raises(BackupRefused, match="not empty"):
            await put_back(folder, target)
    else:
        assert await count_rows(target) == 0
        assert (await put_back(folder, target, read_data=True)).problems == []
    assert await rows_of(target.database_url) == await rows_of(source.database_url)


async def count_rows(settings: Settings) -> int:
    try:
        return sum(len(rows) for rows in (await rows_of(settings.database_url)).values())
    except asyncpg.UndefinedTableError:
        return 0


async def test_a_connection_that_dies_before_the_commit_leaves_an_empty_database(
    stored: tuple[Settings, Path], target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = stored
    original = RestoreRun.records

    async def killed(self: RestoreRun, moment: Any) -> object:
        async for row in original(self, moment):
            yield row
        conn = await asyncpg.connect(target.database_url)
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE state = 'active' AND query LIKE 'COPY%' AND datname = current_database()"
        )
        await conn.close()

    with monkeypatch.context() as patched:
        patched.setattr(RestoreRun, "records", killed)
        with pytest.raises(BackupRefused, match="database cannot be used"):
            await put_back(folder, target)
    assert await count_rows(target) == 0
    assert (await put_back(folder, target)).problems == []
