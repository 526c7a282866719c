"""The PostgreSQL of a server that ran and ended, to be copied: to make one takes seconds."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.warm.client import Warm, environ

READY = "Ctrl-C"


@pytest.fixture(scope="session")
def migrated(warm: Warm) -> Path:
    """The folder of its cluster. The first who needs it makes it for all workers of a run."""
    folder = Path(os.environ["TEST_FOLDER"]) / "migrated"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(warm, folder)
    return folder / "postgres"


def _make(warm: Warm, folder: Path) -> None:
    making, log = folder.with_suffix(".making"), folder.with_suffix(".log")
    shutil.rmtree(making, ignore_errors=True)
    with log.open("w") as errors:
        words = ("serve", "--port", "0", "--data-dir", making)
        process = warm.start(words, env=environ(), stderr=errors.fileno())
    with process:
        assert process.stdout is not None
        assert any(line.startswith(READY) for line in process.stdout), log.read_text()
        process.terminate()
    assert process.returncode == 0, log.read_text()
    making.rename(folder)


def seed(folder: Path, migrated: Path) -> Path:
    """Make a data folder with this PostgreSQL in it."""
    folder.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", migrated, folder], check=True)
    return folder
