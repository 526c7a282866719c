"""Who runs the embedded PostgreSQL when we are root: ids that nobody else has."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.embedded import account
from orchestrator.embedded.account import (
    PRIVATE_IDS,
    account_for,
    account_with_a_name,
    check_name,
    give_data,
)
from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.embedded.error import EmbeddedPostgresError
from tests.embedded.clusters import postmaster, query
from tests.processes import processes_below

NOBODY = pwd.getpwnam("nobody").pw_uid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Only root chooses who runs what.")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    postgres = EmbeddedPostgres(folder)
    try:
        yield postgres.start()
    finally:
        postgres.stop()


def own(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


@contextmanager
def process_of(uid: int) -> Iterator[None]:
    process = subprocess.Popen(["/bin/sleep", "60"], user=uid, group=uid, extra_groups=[])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def intrusion(uid: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Read a file of the cluster by way of the working folder of its process."""
    return subprocess.run(
        ["/bin/cat", f"/proc/{postmaster(folder)}/cwd/PG_VERSION"],
        env={"LC_ALL": "C"},
        cwd="/",
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_processes_of_other_accounts_do_not_reach_the_cluster(cluster: tuple[Path, str]) -> None:
    folder, _ = cluster
    family = processes_below(postmaster(folder))
    uids = {Path(f"/proc/{pid}").stat().st_uid for pid in family}
    (uid,) = uids
    assert uid in PRIVATE_IDS
    assert owners(folder / "data") == {uid}
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    # The intrusion itself works: it is the uid that keeps others out.
    intruder = intrusion(uid, folder)
    assert intruder.stdout.strip() == "18", intruder.stderr
    assert "Permission denied" in intrusion(NOBODY, folder).stderr


@pytest.mark.parametrize("former", [0, NOBODY], ids=["restored by root", "of an earlier version"])
def test_data_of_others_moves_over(stopped: Path, former: int) -> None:
    own(stopped / "data", former)
    with running(stopped) as url:
        assert query(url, "SELECT 1") == 1
        assert owners(stopped / "data") <= set(PRIVATE_IDS)


def test_the_ids_stay_the_same_until_somebody_else_has_them(stopped: Path) -> None:
    def uid() -> int:
        with running(stopped):
            return (stopped / "data").stat().st_uid

    # The cluster is a copy, and tests that run beside this one have copies with the same owner.
    own(stopped / "data", 0)
    first = uid()
    assert uid() == first
    with process_of(first):
        second = uid()
        assert second != first
        assert second in PRIVATE_IDS
    assert uid() == second


def test_a_move_that_a_crash_ended_is_gone_on_with(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(stopped / "data", NOBODY)
    calls = iter(range(100))
    original = os.chown

    def chown(*args: Any, **options: Any) -> None:
        if next(calls) == 50:
            raise KeyboardInterrupt
        original(*args, **options)

    monkeypatch.setattr(os, "chown", chown)
    with pytest.raises(KeyboardInterrupt):
        EmbeddedPostgres(stopped).start()
    monkeypatch.undo()
    assert len(owners(stopped / "data")) == 2
    with running(stopped) as url:
        assert query(url, "SELECT 1") == 1


def test_a_folder_that_was_put_elsewhere_moves_with_the_data(stopped: Path) -> None:
    own(stopped / "data", NOBODY)
    elsewhere = stopped.parent.parent / f"wal-of-{stopped.parent.name}"
    shutil.move(stopped / "data/pg_wal", elsewhere)
    elsewhere.parent.chmod(0o711)
    (stopped / "data/pg_wal").symlink_to(elsewhere)
    account_of_data = account_for(stopped)
    assert account_of_data is not None
    give_data(stopped / "data", account_of_data)
    assert owners(elsewhere) == {account_of_data.uid}


def test_a_link_to_what_the_cluster_never_had_is_not_followed(
    stopped: Path, tmp_path: Path
) -> None:
    own(stopped / "data", NOBODY)
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    (stopped / "data/pg_tblspc/1").symlink_to(other)
    (stopped / "data/base/link").symlink_to(other / "file")
    account_of_data = account_for(stopped)
    assert account_of_data is not None
    give_data(stopped / "data", account_of_data)
    assert owners(other) == {0}
    assert owners(stopped / "data") == {account_of_data.uid}


def test_an_ordinary_user_keeps_their_folder(stopped: Path) -> None:
    own(stopped, 4_321)
    assert account_for(stopped) == (4_321, 4_321)


def test_who_is_not_root_runs_it_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account_for(tmp_path) is None
    assert account_with_a_name() is None


def test_a_cluster_is_made_by_an_account_that_runs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_by = account_with_a_name()
    assert made_by is not None
    with process_of(made_by.uid):
        other = account_with_a_name()
        assert other is not None
        assert other.uid != made_by.uid
        pwd.getpwuid(other.uid)
    monkeypatch.setattr(account, "_accounts_with_names", lambda: iter(()))
    with pytest.raises(EmbeddedPostgresError, match="as an ordinary user"):
        account_with_a_name()


def test_when_all_ids_are_used_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "_running_uids", lambda: set(PRIVATE_IDS))
    with pytest.raises(EmbeddedPostgresError, match="as an ordinary user"):
        account_for(tmp_path)


def test_an_id_without_a_name_is_refused_with_what_to_do() -> None:
    check_name(NOBODY)
    with pytest.raises(EmbeddedPostgresError, match=r"id 54321 has no name here.*/etc/passwd"):
        check_name(54321)
