"""The port of a server: taken for it alone, and waited for after a crash."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from orchestrator.server.address import reserve_port
from orchestrator.server.error import ServeError
from orchestrator.server.stop import Stop


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port that a worker listens on, as those of a crashed server do for a moment."""
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", 0))
        worker.listen()
        yield worker


def test_a_port_in_use_is_refused_at_once(taken: socket.socket) -> None:
    started = time.monotonic()
    with pytest.raises(ServeError, match="in use"):
        reserve_port("127.0.0.1", taken.getsockname()[1], Stop())
    assert time.monotonic() - started < 1


def test_after_a_crash_it_is_waited_for_and_that_is_said_once(
    taken: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    port = taken.getsockname()[1]
    threading.Timer(0.3, taken.close).start()
    with reserve_port("127.0.0.1", port, Stop(), wait_seconds=10) as reserved:
        assert reserved.getsockname()[1] == port
    assert capsys.readouterr().err == (
        "orchestrator: waiting for the end of a server that crashed.\n"
    )


def test_it_is_not_waited_for_longer_than_that(taken: socket.socket) -> None:
    with pytest.raises(ServeError, match="in use"):
        reserve_port("127.0.0.1", taken.getsockname()[1], Stop(), wait_seconds=0.1)


def test_a_reserved_port_is_no_second_server_s_but_a_worker_s() -> None:
    with reserve_port("127.0.0.1", 0, Stop()) as reserved:
        port = reserved.getsockname()[1]
        with pytest.raises(ServeError, match="in use"):
            reserve_port("127.0.0.1", port, Stop())
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.bind(("127.0.0.1", port))
