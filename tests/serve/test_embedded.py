"""The embedded PostgreSQL: private, durable, and gone when its parent is gone."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from orchestrator import embedded_binaries, embedded_log
from orchestrator.embedded import EmbeddedPostgres, EmbeddedPostgresError
from orchestrator.embedded_binaries import POSTGRESQL_MAJOR, account_for, binaries
from orchestrator.embedded_log import BoundedLog
from tests.serve.conftest import is_running, processes_below, wait_until

PARENT = """
import sys
from pathlib import Path
from orchestrator.embedded import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A running one, for the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("cluster") / "postgres"
    postgres = EmbeddedPostgres(folder)
    try:
        yield folder, postgres.start()
    finally:
        postgres.stop()


@pytest.fixture
def folder(cluster: tuple[Path, str], tmp_path: Path, made: Path) -> Path:
    """A cluster that was stopped, below a folder that only we may enter."""
    tmp_path.chmod(0o700)
    subprocess.run(["cp", "-a", made, tmp_path / "postgres"], check=True)
    return tmp_path / "postgres"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "postgres"
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    postgres.stop()
    return folder


def query(url: str, *statements: str) -> object:
    """The single value of the last statement."""

    async def run() -> object:
        conn = await asyncpg.connect(url)
        try:
            found: object = None
            for statement in statements:
                found = await conn.fetchval(statement)
            return found
        finally:
            await conn.close()

    return asyncio.run(run())


def postmaster(folder: Path) -> int:
    return int((folder / "data/postmaster.pid").read_text().split()[0])


def socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


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


def test_a_restart_keeps_the_data_and_sweeps_the_socket(folder: Path) -> None:
    first = EmbeddedPostgres(folder)
    url = first.start()
    query(url, "CREATE TABLE kept AS SELECT 1 AS value")
    first.stop()
    assert not socket_folder(url).exists()
    second = EmbeddedPostgres(folder)
    try:
        assert query(second.start(), "SELECT value FROM kept") == 1
    finally:
        second.stop()
    assert not (folder / "data/postmaster.pid").exists()


def test_after_an_unexpected_end_it_starts_again_at_the_same_url(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    try:
        url = postgres.start()
        query(url, "CREATE TABLE kept AS SELECT 1 AS value")
        os.kill(postmaster(folder), signal.SIGKILL)
        postgres.wait()
        assert postgres.start() == url
        assert query(url, "SELECT value FROM kept") == 1
    finally:
        postgres.stop()


def test_it_is_gone_soon_after_its_parent_was_killed_and_nothing_is_lost(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        query(url, "CREATE TABLE kept AS SELECT 1 AS value")
        family = processes_below(parent.pid)
        assert len(family) > 5
        parent.kill()
        assert wait_until(lambda: not any(map(is_running, family)))
    postgres = EmbeddedPostgres(folder)
    try:
        assert query(postgres.start(), "SELECT value FROM kept") == 1
        assert not socket_folder(url).exists()
    finally:
        postgres.stop()


def test_what_is_left_of_a_dead_supervisor_is_ended_first(folder: Path) -> None:
    lost = EmbeddedPostgres(folder)
    lost.start()
    stale = postmaster(folder)
    found = EmbeddedPostgres(folder)
    try:
        found.start()
        assert not is_running(stale)
        assert postmaster(folder) != stale
    finally:
        found.stop()
        lost.stop()


def test_the_pid_of_a_dead_postmaster_may_have_been_used_again(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    other = subprocess.Popen(["sleep", "60"])
    owner = (folder / "data").stat()
    file = folder / "data/postmaster.pid"
    file.write_text(f"{other.pid}\n{folder}/data\n1\n5432\n/tmp\n\n\nready   \n")
    os.chown(file, owner.st_uid, owner.st_gid)
    try:
        assert query(postgres.start(), "SELECT 1") == 1
        assert other.poll() is None
    finally:
        postgres.stop()
        other.kill()
        other.wait()


def test_a_crash_while_the_cluster_is_made_does_not_block_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert wait_until(lambda: any(folder.glob("initdb-*/data/base")))
        family = processes_below(parent.pid)
        parent.kill()
    assert not (folder / "data").exists()
    for _ in range(2):
        postgres = EmbeddedPostgres(folder)
        try:
            assert query(postgres.start(), "SELECT 1") == 1
        finally:
            postgres.stop()
        assert wait_until(lambda: not any(map(is_running, family)))
    assert not list(folder.glob("initdb-*"))


def test_another_major_version_is_one_clear_line(folder: Path) -> None:
    (folder / "data/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 17, this is 18") as refused:
        EmbeddedPostgres(folder).start()
    assert "\n" not in str(refused.value)


def test_a_lost_password_is_one_clear_line(folder: Path) -> None:
    (folder / "password").unlink()
    postgres = EmbeddedPostgres(folder)
    with pytest.raises(EmbeddedPostgresError, match="password is missing"):
        postgres.start()
    postgres.stop()


def test_why_it_does_not_start_is_told_from_its_log(folder: Path) -> None:
    with (folder / "data/postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    postgres = EmbeddedPostgres(folder)
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting") as refused:
        postgres.start()
    postgres.stop()
    assert "\n" not in str(refused.value)


def test_a_start_that_takes_too_long_is_given_up(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    with pytest.raises(EmbeddedPostgresError, match="not ready in time"):
        postgres.start(timeout_seconds=0)
    postgres.stop()
    assert not (folder / "data/postmaster.pid").exists()


def test_a_stop_ends_a_start_that_is_under_way(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    failed: list[Exception] = []

    def start() -> None:
        try:
            postgres.start()
        except EmbeddedPostgresError as error:
            failed.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    postgres.stop()
    thread.join()
    assert "was stopped" in str(failed[0])


def test_a_session_that_works_on_does_not_delay_the_stop(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    url = postgres.start()
    busy = threading.Thread(
        target=lambda: pytest.raises(Exception, query, url, "SELECT pg_sleep(60)")
    )
    busy.start()
    postgres.stop(timeout_seconds=1)
    busy.join(5)
    assert not busy.is_alive()


def test_without_the_wheel_the_two_ways_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_binaries, "PACKAGE", "no_such_wheel")
    with pytest.raises(EmbeddedPostgresError, match=r"orchestrator\[embedded\].*DATABASE_URL"):
        EmbeddedPostgres(tmp_path / "postgres").start()


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


def test_root_uses_the_owner_of_the_data_or_a_system_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account_for(None) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    others = os.stat_result((0o700, 0, 0, 1, 1234, 4321, 0, 0, 0, 0))
    assert account_for(others) == (1234, 4321)
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(embedded_binaries, "ACCOUNTS", ("no such user", "nobody"))
    assert account_for(None) == (nobody.pw_uid, nobody.pw_gid)
    monkeypatch.setattr(embedded_binaries, "ACCOUNTS", ())
    with pytest.raises(EmbeddedPostgresError, match="as an ordinary user"):
        account_for(None)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root changes who owns files.")


@needs_root
def test_data_that_root_restored_is_given_to_the_account(folder: Path) -> None:
    for path in (folder / "data", *(folder / "data").rglob("*")):
        os.chown(path, 0, 0)
    postgres = EmbeddedPostgres(folder)
    try:
        assert query(postgres.start(), "SELECT 1") == 1
    finally:
        postgres.stop()


@needs_root
def test_binaries_below_a_private_folder_are_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, digest = embedded_binaries._package()
    private = tmp_path / "private"
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, private / name, symlinks=True)
    private.chmod(0o700)
    place = tmp_path / "cache"
    tmp_path.chmod(0o755)
    monkeypatch.setattr(embedded_binaries, "CACHES", (place,))
    monkeypatch.setattr(
        embedded_binaries, "is_traversable", lambda path: private not in path.parents
    )
    monkeypatch.setattr(
        embedded_binaries, "_package", lambda: (private / package.name, f"{digest}-test")
    )
    account = account_for(None)
    copied = binaries(account)
    made = copied.stat().st_ino
    assert copied.is_relative_to(place)
    assert binaries(account).stat().st_ino == made
    said = subprocess.run([copied / "initdb", "--version"], capture_output=True, text=True)
    assert f" {POSTGRESQL_MAJOR}." in said.stdout
    place.chmod(0o777)
    (place / f"postgresql-{digest}-test").chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="cannot be read by the user"):
        binaries(account)
