"""Large work on real sockets: it ends with its connection, and with its server in any case."""

import http.client
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes import command_line, cpu_seconds, is_running, processes_below, wait_until
from tests.server.conftest import Launch, Server

pytestmark = pytest.mark.slow

#: To read this takes more than ten seconds, in one call of C code.
NUMBERS = b"[" + b"1e300," * 900_000 + b"1e300]"
BODY = b'{"tag":"x","workflow":{"nodes":[{"id":"a","type":"t"}],"z":' + NUMBERS + b"}}"
ENVIRON = {"ORCHESTRATOR_COMPUTE_SECONDS_MAX": "60"}


def computing(server: Server) -> list[int]:
    return [pid for pid in processes_below(server.pid) if b"compute_child" in command_line(pid)]


def begin(server: Server) -> tuple[http.client.HTTPConnection, int]:
    """Send what takes long; the process that computes it."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/workflows", BODY, headers)
    assert wait_until(lambda: computing(server), 30)
    (pid,) = computing(server)
    assert wait_until(lambda: cpu_seconds(pid) > 0.5, 30)  # More than its start takes.
    return connection, pid


def test_work_ends_with_its_connection(launch: Launch, seeded: Path) -> None:
    server = launch(seeded, environ=ENVIRON)
    connection, pid = begin(server)
    assert server.request("GET", "/health").status_code == 200
    connection.close()
    assert wait_until(lambda: not is_running(pid))
    assert wait_until(lambda: "499" in server.stderr())
    # The next one is served, and ends with the server, which ends in time.
    connection, pid = begin(server)
    assert server.end() == 0
    connection.close()


def test_work_ends_with_a_server_that_is_killed(launch: Launch, seeded: Path) -> None:
    server = launch(seeded, environ=ENVIRON)
    connection, _ = begin(server)
    server.end(signal.SIGKILL)
    connection.close()
