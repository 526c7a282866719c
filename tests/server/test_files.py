"""The lock of a data folder."""

import fcntl
import threading
import time
from pathlib import Path

import pytest

from orchestrator.server.error import ServeError
from orchestrator.server.files import lock_folder


def test_a_command_that_looks_for_a_server_keeps_none_from_starting(tmp_path: Path) -> None:
    looking = (tmp_path / "lock").open("w")
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.03, looking.close).start()
    lock_folder(tmp_path).close()


def test_a_second_server_is_refused_and_names_the_first(tmp_path: Path) -> None:
    first = lock_folder(tmp_path)
    started = time.monotonic()
    with pytest.raises(ServeError, match=r"Another server \(process \d+\) uses the data folder"):
        lock_folder(tmp_path)
    assert time.monotonic() - started < 5
    first.close()
    lock_folder(tmp_path).close()
