"""A test run that is ended by a signal leaves no process and no database behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import FOLDER_VARIABLE
from tests.databases import URL_VARIABLE
from tests.guardian import RUN_VARIABLE, members
from tests.processes import command_line, is_running, processes_below, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
#: A server of its own PostgreSQL, and then a long wait.
RUN = """
import pathlib
import time

def test_that_lasts(launch, folder):
    assert launch(folder).url
    pathlib.Path({ready!r}).touch()
    time.sleep(60)
"""
START_SECONDS_MAX, LEFT_SECONDS_MAX = 90.0, 20.0


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        pytest.param(signal.SIGINT, 0, id="interrupted"),
        pytest.param(signal.SIGTERM, 0, id="ended"),
        pytest.param(signal.SIGKILL, 1, id="killed-with-a-worker"),
    ],
)
def test_nothing_is_left_of_a_run_that_a_signal_ended(
    number: signal.Signals, workers: int, tmp_path: Path
) -> None:
    process = start(tmp_path, workers)
    try:
        ready = tmp_path / "ready"
        assert wait_until(lambda: ready.exists() or process.poll() is not None, START_SECONDS_MAX)
        assert ready.exists(), (tmp_path / "output").read_text()
        family = processes_below(process.pid)
        (mark,) = {mark for pid in family[1:] if (mark := mark_of(pid))}
        assert sum(b"postgres" in command_line(pid) for pid in family) > 10, "not two clusters"
        assert mark.folder.exists()
    finally:
        process.send_signal(number)
        process.wait()
    assert wait_until(lambda: not any(map(is_running, family)), LEFT_SECONDS_MAX)
    assert wait_until(lambda: not mark.folder.exists(), LEFT_SECONDS_MAX)
    assert members(mark.run) == []


def start(folder: Path, workers: int) -> "subprocess.Popen[bytes]":
    """A run of its own, as if nobody ran this one."""
    module = folder / "test_run.py"
    module.write_text(RUN.format(ready=str(folder / "ready")))
    options = ["-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    plugins = ["-p", "tests.conftest", "-p", "tests.server.conftest"]
    folders = ["--rootdir", str(ROOT), "--basetemp", str(folder / "base")]
    ours = ("PYTEST_", "COV", RUN_VARIABLE, FOLDER_VARIABLE, URL_VARIABLE)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *plugins, *folders, "-n", str(workers), module],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
        stdout=(folder / "output").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


class Mark(NamedTuple):
    """What the processes of a run have in their environment."""

    run: str
    folder: Path


def mark_of(pid: int) -> Mark | None:
    """The run that a process belongs to, if it says so."""
    try:
        parts = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None  # Ended meanwhile.
    found = dict(part.decode().split("=", 1) for part in parts if part.startswith(b"TEST_"))
    if RUN_VARIABLE not in found:
        return None
    return Mark(found[RUN_VARIABLE], Path(found[FOLDER_VARIABLE]))
