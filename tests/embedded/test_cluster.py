"""The embedded PostgreSQL in ordinary life: private, as promised, clear when it refuses."""

import asyncio
import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from orchestrator.embedded import log as embedded_log
from orchestrator.embedded.binaries import POSTGRESQL_MAJOR
from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.embedded.error import EmbeddedPostgresError
from orchestrator.embedded.log import BoundedLog
from tests.embedded.clusters import postmaster, query, socket_folder
from tests.processes import END_SECONDS_MAX, wait_until

KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))


def test_the_url_works_for_asyncpg_and_for_sqlalchemy(cluster: tuple[Path, str]) -> None:
    _, url = cluster
    assert str(query(url, "SHOW server_version")).startswith(f"{POSTGRESQL_MAJOR}.")

    async def run() -> object:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as conn:
            found = await conn.scalar(text("SELECT 1"))
        await engine.dispose()
        return found

    assert asyncio.run(run()) == 1


def test_a_wrong_password_is_refused(cluster: tuple[Path, str]) -> None:
    folder, url = cluster
    password = (folder / "password").read_text().strip()
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(url.replace(password, "wrong"), "SELECT 1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen_addresses", ""),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("autovacuum", "on"),
        ("data_checksums", "on"),
        ("password_encryption", "scram-sha-256"),
        ("jit", "off"),
        ("recovery_init_sync_method", "syncfs" if KERNEL >= (5, 8) else "fsync"),
    ],
)
def test_it_runs_as_promised(cluster: tuple[Path, str], name: str, value: str) -> None:
    assert query(cluster[1], f"SHOW {name}") == value


def test_it_sorts_by_code_point_whatever_the_system_does(cluster: tuple[Path, str]) -> None:
    provider = (
        "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres'"
    )
    assert query(cluster[1], provider) == "bC.UTF-8"


def test_nothing_of_it_is_open_to_others(cluster: tuple[Path, str]) -> None:
    folder, url = cluster
    for path in (folder, folder / "data", socket_folder(url)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for name in ("password", "postgresql.log"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_it_has_its_own_session_and_is_not_root(cluster: tuple[Path, str]) -> None:
    pid = postmaster(cluster[0])
    assert os.getsid(pid) != os.getsid(0)
    assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_a_restart_keeps_the_data_and_sweeps_the_socket(stopped: Path) -> None:
    first = EmbeddedPostgres(stopped)
    url = first.start()
    query(url, "CREATE TABLE kept AS SELECT 1 AS value")
    first.stop()
    assert not socket_folder(url).exists()
    second = EmbeddedPostgres(stopped)
    try:
        assert query(second.start(), "SELECT value FROM kept") == 1
    finally:
        second.stop()
    assert not (stopped / "data/postmaster.pid").exists()


def test_another_major_version_is_one_clear_line(stopped: Path) -> None:
    (stopped / "data/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 17, this is 18") as refused:
        EmbeddedPostgres(stopped).start()
    assert "\n" not in str(refused.value)


def test_a_lost_password_is_one_clear_line(stopped: Path) -> None:
    (stopped / "password").unlink()
    postgres = EmbeddedPostgres(stopped)
    with pytest.raises(EmbeddedPostgresError, match="password is missing"):
        postgres.start()
    postgres.stop()


def test_why_it_does_not_start_is_told_from_its_log(stopped: Path) -> None:
    with (stopped / "data/postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    postgres = EmbeddedPostgres(stopped)
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting") as refused:
        postgres.start()
    postgres.stop()
    assert "\n" not in str(refused.value)


def test_a_start_that_takes_too_long_is_given_up(stopped: Path) -> None:
    postgres = EmbeddedPostgres(stopped)
    with pytest.raises(EmbeddedPostgresError, match="not ready in time"):
        postgres.start(timeout_seconds=0)
    postgres.stop()
    assert not (stopped / "data/postmaster.pid").exists()


def starting(postgres: EmbeddedPostgres) -> tuple[list[Exception], threading.Thread]:
    """A start in a thread, and the list that gets the reason if it fails."""
    failed: list[Exception] = []

    def start() -> None:
        try:
            postgres.start()
        except EmbeddedPostgresError as error:
            failed.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    return failed, thread


def test_a_stop_ends_a_start_that_is_under_way(stopped: Path) -> None:
    postgres = EmbeddedPostgres(stopped)
    failed, thread = starting(postgres)
    postgres.stop()
    thread.join()
    assert "was stopped" in str(failed[0])


def test_a_stop_while_the_cluster_is_made_waits_for_nothing_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    folder = tmp_path / "postgres"
    postgres = EmbeddedPostgres(folder)
    failed, thread = starting(postgres)
    assert wait_until(lambda: list(folder.glob("initdb-*/data/global")))
    started = time.monotonic()
    postgres.stop()
    thread.join()
    assert time.monotonic() - started < END_SECONDS_MAX
    assert "was stopped" in str(failed[0])
    assert not (folder / "data").exists()
    assert not list(folder.glob("initdb-*"))
    again = EmbeddedPostgres(folder)
    try:
        assert query(again.start(), "SELECT 1") == 1
    finally:
        again.stop()


def test_a_session_that_works_on_does_not_delay_the_stop(stopped: Path) -> None:
    postgres = EmbeddedPostgres(stopped)
    url = postgres.start()

    def work() -> None:
        with suppress(asyncpg.PostgresError, OSError):
            query(url, "SELECT pg_sleep(60)")

    busy = threading.Thread(target=work)
    busy.start()
    postgres.stop(timeout_seconds=1)
    busy.join(5)
    assert not busy.is_alive()


def test_the_log_is_bounded_and_keeps_the_end(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "postgresql.log", bytes_max=1000)
    reading, writing = os.pipe()
    pump = threading.Thread(target=log.pump, args=(reading,))
    pump.start()
    for number in range(500):
        os.write(writing, f"line {number}\n".encode())
    os.close(writing)
    pump.join()
    assert log.tail()[-1] == "line 499"
    assert len(log.tail()) == embedded_log.TAIL_LINES
    kept = sorted(tmp_path.iterdir())
    assert len(kept) <= 2
    assert all(path.stat().st_size <= 1000 for path in kept)


def test_a_log_that_cannot_be_written_does_not_stop_postgresql(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "no such folder" / "postgresql.log")
    reading, writing = os.pipe()
    os.write(writing, b"said\n")
    os.close(writing)
    log.pump(reading)
    assert log.tail() == ["said"]


def test_a_new_cluster_and_the_folders_above_it_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    original = os.fsync

    def fsync(file: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        original(file)

    monkeypatch.setattr(os, "fsync", fsync)
    tmp_path.chmod(0o700)
    folder = tmp_path / "new/postgres"
    postgres = EmbeddedPostgres(folder)
    try:
        postgres.start()
    finally:
        postgres.stop()
    assert {str(folder), str(folder.parent), str(tmp_path)} <= set(synced)
