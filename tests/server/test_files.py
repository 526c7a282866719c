"""The lock of a data folder, and its token."""

import fcntl
import threading
import time
from pathlib import Path

import pytest

from orchestrator.server.error import ServeError
from orchestrator.server.files import admin_token_sha256, lock_folder


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


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"two words", b"t\xc3\xb6ken", b"\xff\xfe", b"token\xc2\xa0", b"a=b"]
)
def test_what_is_no_token_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin.token"
    path.write_bytes(content)
    with pytest.raises(ServeError, match=r"admin\.token (is empty|has no token): ") as refusal:
        admin_token_sha256(tmp_path)
    assert not content.strip() or content.decode("latin-1") not in str(refusal.value)
