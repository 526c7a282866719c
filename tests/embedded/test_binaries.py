"""What the embedded PostgreSQL makes of its host: binaries, accounts, owners."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from orchestrator.embedded.binaries import (
    POSTGRESQL_MAJOR,
    Wheel,
    account_for,
    binaries,
    installed_wheel,
)
from orchestrator.embedded.cluster import EmbeddedPostgres, EmbeddedPostgresError
from tests.embedded.clusters import query


def test_without_the_wheel_the_two_ways_out_are_named(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres", partial(installed_wheel, "no_such_wheel"))
    with pytest.raises(EmbeddedPostgresError, match=r"orchestrator\[embedded\].*DATABASE_URL"):
        postgres.start()


def test_root_uses_the_owner_of_the_data_or_a_system_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account_for(None) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    others = os.stat_result((0o700, 0, 0, 1, 1234, 4321, 0, 0, 0, 0))
    assert account_for(others) == (1234, 4321)
    nobody = pwd.getpwnam("nobody")
    accounts = ("no such user", "nobody")
    assert account_for(None, accounts) == (nobody.pw_uid, nobody.pw_gid)
    with pytest.raises(EmbeddedPostgresError, match="as an ordinary user"):
        account_for(None, ())


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root changes who owns files.")


@needs_root
def test_data_that_root_restored_is_given_to_the_account(stopped: Path) -> None:
    for path in (stopped / "data", *(stopped / "data").rglob("*")):
        os.chown(path, 0, 0)
    postgres = EmbeddedPostgres(stopped)
    try:
        assert query(postgres.start(), "SELECT 1") == 1
    finally:
        postgres.stop()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@needs_root
def test_binaries_below_a_private_folder_are_copied_once(public_folder: Path) -> None:
    package, digest = installed_wheel()
    private = public_folder / "private"
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, private / name, symlinks=True)
    private.chmod(0o700)
    place = public_folder / "cache"
    wheel = Wheel(private / package.name, f"{digest}-test")
    account = account_for(None)
    copied = binaries(account, wheel, [place])
    made = copied.stat().st_ino
    assert copied.is_relative_to(place)
    assert binaries(account, wheel, [place]).stat().st_ino == made
    said = subprocess.run(
        [copied / "initdb", "--version"], capture_output=True, check=True, text=True
    )
    assert f" {POSTGRESQL_MAJOR}." in said.stdout
    place.chmod(0o777)
    (place / f"postgresql-{digest}-test").chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="cannot be read by the user"):
        binaries(account, wheel, [place])
