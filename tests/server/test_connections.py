"""Connections that never become a request: what they can take, and who still gets through."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.processes import resident_mib, wait_until
from tests.seeds import seed
from tests.server.conftest import Launch, Server

pytestmark = pytest.mark.slow
CONNECTIONS = 60
PER_PEER = 20
BUFFER_BYTES = 32 * 1024
LIMITS = {
    "ORCHESTRATOR_CONNECTIONS_MAX": CONNECTIONS,
    "ORCHESTRATOR_CONNECTIONS_PER_PEER_MAX": PER_PEER,
    "ORCHESTRATOR_CONNECTION_BUFFER_BYTES_MAX": BUFFER_BYTES,
    "ORCHESTRATOR_HEAD_SECONDS_MAX": 3,
}
#: Linux answers all of 127.0.0.0/8, so one machine can be several peers.
HERE, FRIEND = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def server(launch: Launch, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = seed(tmp_path_factory.mktemp("connections") / "data", migrated)
    started = launch(folder, environ={name: str(value) for name, value in LIMITS.items()})
    assert started.url, started.stderr()
    return started


def connect(server: Server, source: str = HERE) -> socket.socket:
    place = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((place[0], int(place[2])), 10, source_address=(source, 0))


def ask(connection: socket.socket, server: Server) -> int:
    place = server.url.removeprefix("http://")
    connection.sendall(f"GET /health/live HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
    found = http.client.HTTPResponse(connection)
    found.begin()
    found.read()
    return found.status


@contextmanager
def many(server: Server, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        made = [stack.enter_context(connect(server)) for _ in range(count)]
        for each in made:
            with suppress(OSError):
                each.sendall(said)
        yield made


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def is_refused(head: bytes) -> Callable[[Server], bool]:
    def refused(server: Server) -> bool:
        with connect(server) as connection, suppress(OSError):
            connection.sendall(head)
            return connection.recv(100).startswith(b"HTTP/1.1 431 ")
        return False

    return refused


def test_a_head_that_does_not_fit_into_the_buffer_is_431(server: Server) -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (i, b"a" * 5_000) for i in range(7))
    assert is_refused(b"GET / HTTP/1.1\r\nHost: x\r\n" + fields)(server)


def test_an_unfinished_head_is_given_up(server: Server) -> None:
    started = time.monotonic()
    with connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert connection.recv(100) == b""
    assert time.monotonic() - started < 9


def test_a_peer_with_too_many_loses_those_that_ask_nothing_and_keeps_the_one_that_asks(
    server: Server,
) -> None:
    with many(server, 2 * PER_PEER, b"GET / HTTP/1.1\r\n") as idle:
        with connect(server) as asking:
            assert ask(asking, server) == 200
            # They end by themselves only after three seconds.
            assert wait_until(lambda: sum(map(is_open, idle)) < PER_PEER, 2.5)
            assert ask(asking, server) == 200
        with connect(server, FRIEND) as other:
            assert ask(other, server) == 200
    page = server.request("GET", "/metrics").text
    assert "orchestrator_connections_ended_total 0.0" not in page
    assert wait_until(lambda: '"ended connections"' in server.stderr())


def test_another_peer_gets_through_although_one_takes_all_it_can(server: Server) -> None:
    said = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (BUFFER_BYTES - 1_000)
    idle = resident_mib(server.pid)
    with many(server, 3 * CONNECTIONS, said):
        with connect(server, FRIEND) as other:
            assert ask(other, server) == 200
        assert resident_mib(server.pid) - idle < 30
