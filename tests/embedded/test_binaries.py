"""Where the embedded PostgreSQL finds its binaries, and who can read them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from orchestrator.embedded.account import Account
from orchestrator.embedded.binaries import (
    POSTGRESQL_MAJOR,
    Wheel,
    binaries,
    installed_wheel,
)
from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.embedded.error import EmbeddedPostgresError


def test_without_the_wheel_the_two_ways_out_are_named(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres", partial(installed_wheel, "no_such_wheel"))
    with pytest.raises(EmbeddedPostgresError, match=r"orchestrator\[embedded\].*DATABASE_URL"):
        postgres.start()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root changes who owns files.")


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
    account = Account(60_706, 60_706)
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
