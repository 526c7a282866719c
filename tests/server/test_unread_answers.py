"""Clients that ask for large answers and take nothing of them: what they cost, and for how long."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.processes import resident_mib, wait_until
from tests.seeds import seed
from tests.server.conftest import Launch, Server

pytestmark = pytest.mark.slow
MIB = 1024 * 1024
READERS = 40
SEND_SECONDS = 2
#: About 7 MiB, which no cache takes.
LARGE = {"nodes": [{"id": f"n{i}", "type": "t", "config": {"x": "y" * 750}} for i in range(9_000)]}

AS_IT_IS = {"Accept-Encoding": "identity"}


@pytest.fixture(scope="module")
def server(launch: Launch, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = seed(tmp_path_factory.mktemp("unread") / "data", migrated)
    started = launch(folder, environ={"ORCHESTRATOR_SEND_SECONDS_MAX": str(SEND_SECONDS)})
    body = {"tag": "large", "workflow": LARGE}
    assert started.request("POST", "/api/v1/workflows", json=body).status_code == 201
    return started


@contextmanager
def readers(server: Server) -> Iterator[list[socket.socket]]:
    """Each has asked for the large workflow, and has room for a few kilobytes."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(READERS)]
        for each in made:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            each.connect((host, int(port)))
            each.sendall(
                f"GET /api/v1/workflows/large HTTP/1.1\r\nHost: {host}:{port}\r\n"
                f"Authorization: Bearer {server.token}\r\n\r\n".encode()
            )
        yield made


def connections(server: Server) -> int:
    """Those that the server has open."""
    port = int(server.url.rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_readers_that_take_nothing_share_what_they_wait_for_and_are_cut_off(
    server: Server,
) -> None:
    assert server.request("GET", "/api/v1/workflows/large").status_code == 200
    idle, most = resident_mib(server.pid), 0.0
    with readers(server) as waiting:
        for _ in range(20):
            most = max(most, resident_mib(server.pid))
            time.sleep(0.05)
        assert most - idle < 4 * READERS, "a copy for each would be 7 MiB a reader"
        assert server.request("GET", "/health/ready").status_code == 200
        assert wait_until(lambda: connections(server) == 0, SEND_SECONDS * 10)
        for each in waiting:
            received = 0
            with suppress(OSError):
                while piece := each.recv(MIB):
                    received += len(piece)
            assert received < MIB


@pytest.mark.parametrize("query", ["", "?version=1", "?namespace=default"])
def test_a_large_answer_is_whole(server: Server, query: str) -> None:
    answer = server.request("GET", f"/api/v1/workflows/large{query}", headers=AS_IT_IS)
    body: dict[str, Any] = answer.json()
    assert body["workflow"]["nodes"] == LARGE["nodes"]
    assert int(answer.headers["content-length"]) == len(answer.content) > 6 * MIB
    head = server.request("HEAD", f"/api/v1/workflows/large{query}", headers=AS_IT_IS)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("path", ["/schema/openapi.json", "/api/v1/workflows/large/versions/0"])
def test_other_large_answers_are_whole_too(server: Server, path: str) -> None:
    answer = server.request("GET", path, headers=AS_IT_IS)
    assert answer.json() == server.request("GET", path).json(), "compressed by default"
    assert int(answer.headers["content-length"]) == len(answer.content) > 100_000
