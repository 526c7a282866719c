"""Answers that come before the body has been read: their sender sees them, and what becomes of the
connection.
"""

import contextlib
import http.client
import socket
import time
from pathlib import Path

import pytest

from tests.seeds import seed
from tests.server.conftest import Launch, Server

pytestmark = pytest.mark.slow
MIB = 1024 * 1024
LARGE = 20 * MIB
ALIVE = "GET /health/live HTTP/1.1"
#: What is refused before its body is read, and how.
REFUSALS = {
    "no token": (401, "POST /api/v1/workflows", "Authorization: Bearer wrong"),
    "another host": (403, "POST /api/v1/workflows", "Origin: http://evil.example"),
    "no such path": (404, "POST /api/v1/nowhere", "X: y"),
    "no such method": (405, "PUT /api/v1/transactions", "X: y"),
    "no JSON": (415, "POST /api/v1/workflows", "Content-Type: text/plain"),
    "an encoded body": (415, "POST /api/v1/cas", "Content-Encoding: gzip"),
    "a bad parameter": (400, "POST /api/v1/cas?namesspace=x", "X: y"),
}


@pytest.fixture(scope="module")
def server(launch: Launch, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = seed(tmp_path_factory.mktemp("refused") / "data", migrated)
    limits = {
        "ORCHESTRATOR_BLOB_BYTES_MAX": str(8 * MIB),
        "ORCHESTRATOR_REFUSED_BODY_SECONDS_MAX": "2",
    }
    started = launch(folder, environ=limits)
    assert started.url, started.stderr()
    return started


def connect(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def head(server: Server, line: str, *lines: str) -> bytes:
    said = [line, f"Host: {server.url.removeprefix('http://')}", *lines]
    if not any(each.startswith("Authorization") for each in lines):
        said.append(f"Authorization: Bearer {server.token}")
    return ("\r\n".join(said) + "\r\n\r\n").encode()


def answer(connection: socket.socket) -> tuple[int, str | None]:
    """The status, and what is said of the connection."""
    found = http.client.HTTPResponse(connection)
    found.begin()
    found.read()
    return found.status, found.headers["connection"]


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_connection_is_usable_after_a_refusal_or_says_that_it_closes(
    server: Server, kind: str, *, chunked: bool
) -> None:
    """The body comes a moment after the head, as a client sends it that makes it first."""
    status, line, field = REFUSALS[kind]
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 12"
    body = b"c\r\n" + b"x" * 12 + b"\r\n0\r\n\r\n" if chunked else b"x" * 12
    for _ in range(2):
        with connect(server) as connection:
            for _ in range(3):
                connection.sendall(head(server, f"{line} HTTP/1.1", field, length))
                time.sleep(0.01)
                connection.sendall(body)
                assert answer(connection) == (status, None)
                connection.sendall(head(server, ALIVE))
                assert answer(connection) == (200, None), "a small body costs no connection"


@pytest.mark.parametrize("kind", [*REFUSALS, "too large"])
def test_the_sender_of_a_large_body_sees_the_refusal(server: Server, kind: str) -> None:
    """It sends all of it before it reads anything, as most clients do."""
    refusal = (413, "POST /api/v1/cas", "X: y")
    status, line, field = REFUSALS.get(kind, refusal)
    for length in (f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"):
        with connect(server) as connection:
            connection.sendall(head(server, f"{line} HTTP/1.1", field, length))
            piece = bytes(MIB)
            if length.startswith("Transfer"):
                piece = b"%x\r\n" % MIB + piece + b"\r\n"
            for _ in range(LARGE // MIB):
                connection.sendall(piece)
            if length.startswith("Transfer"):
                connection.sendall(b"0\r\n\r\n")
            assert answer(connection) == (status, "close")
            assert connection.recv(1) == b""


def test_a_body_that_never_comes_is_not_waited_for(server: Server) -> None:
    for length in (12, LARGE):
        with connect(server) as connection:
            started = time.monotonic()
            line, field = "POST /api/v1/workflows HTTP/1.1", "Authorization: Bearer wrong"
            connection.sendall(head(server, line, field, f"Content-Length: {length}"))
            assert answer(connection) == (401, "close")
            assert time.monotonic() - started < 5
            assert connection.recv(1) == b"", "and the connection ends"
            assert time.monotonic() - started < 15


def test_a_body_without_end_is_cut_off(server: Server) -> None:
    sent = 0
    with connect(server) as connection, contextlib.suppress(OSError):
        line, field = "POST /api/v1/workflows HTTP/1.1", "Authorization: Bearer wrong"
        connection.sendall(head(server, line, field, f"Content-Length: {10_000 * MIB}"))
        for _ in range(1_000):
            connection.sendall(bytes(MIB))
            sent += 1
    assert sent < 1_000


@pytest.mark.parametrize("body", [b"x\r\nab\r\n0\r\n\r\n", b"2\r\nabc\r\n0\r\n\r\n"])
@pytest.mark.parametrize("line", ["POST /api/v1/cas", "POST /api/v1/nowhere"])
def test_after_a_body_that_cannot_be_read_the_connection_is_said_to_close(
    server: Server, line: str, body: bytes
) -> None:
    with connect(server) as connection:
        connection.sendall(head(server, f"{line} HTTP/1.1", "Transfer-Encoding: chunked") + body)
        status, said = answer(connection)
        assert (status in {400, 404}, said) == (True, "close")
        assert connection.recv(1) == b""
