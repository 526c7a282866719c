"""What the client does when a server misbehaves: scripted answers on a real socket."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from orchestrator.cli.connection import ServerConnection, is_loopback
from orchestrator.cli.failure import CommandFailed, ServerUnusable
from orchestrator.cli.limits import Limits
from tests.cli.conftest import Run

LOST = None
Answer = tuple[int, dict[str, str], bytes]
EMPTY: Answer = (200, {}, b'{"items":[],"next":null}')
BUSY: Answer = (503, {"Retry-After": "0"}, b'{"detail":"Busy."}')


class Scripted(ThreadingHTTPServer):
    """Gives the answers in order and keeps what it was asked."""

    def __init__(self, answers: list[Answer | None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @property
    def connection(self) -> ServerConnection:
        return ServerConnection(f"http://127.0.0.1:{self.server_port}", "token", "here", "team/a")


class Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        answer = self.server.answers.pop(0)
        if answer is LOST:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - as the base class wants them.

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    started: list[Scripted] = []

    def start(*answers: Answer | None) -> Scripted:
        server = Scripted(list(answers))
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


Script = Callable[..., Scripted]


@pytest.mark.parametrize("first", [LOST, BUSY])
def test_reads_and_keyed_writes_are_repeated_once(scripted: Script, first: Answer | None) -> None:
    server = scripted(first, EMPTY, first, EMPTY)
    with server.connection as connection:
        assert connection.get("tags").status == 200
        assert connection.post("tags", "a/b", "undo").status == 200
    keys = [headers.get("idempotency-key") for _, _, headers in server.asked]
    assert keys[:2] == [None, None]
    assert keys[2] is not None
    assert keys[2] == keys[3]
    assert server.asked[2][1] == "/api/v1/tags/a%2Fb/undo?namespace=team%2Fa"


def test_two_posts_have_two_keys(scripted: Script) -> None:
    server = scripted(EMPTY, EMPTY)
    with server.connection as connection:
        connection.post("tags", "a", "undo")
        connection.post("tags", "a", "undo")
    assert len({headers["idempotency-key"] for _, _, headers in server.asked}) == 2


def test_a_second_failure_is_final(scripted: Script) -> None:
    server = scripted(LOST, LOST, BUSY, BUSY)
    with server.connection as connection:
        with pytest.raises(ServerUnusable, match="cannot be reached"):
            connection.get("tags")
        with pytest.raises(CommandFailed, match="Busy"):
            connection.get("tags")


@pytest.mark.parametrize("answer", [LOST, BUSY])
def test_what_carries_no_key_is_not_repeated(scripted: Script, answer: Answer | None) -> None:
    server = scripted(answer, answer)
    with server.connection as connection:
        with pytest.raises(CommandFailed):
            connection.put("tags", "a", artifact_id="x")
        with pytest.raises(CommandFailed):
            connection.delete("tags", "a", expected_version=3)
    assert server.asked[1][1].endswith("&expected_version=3")
    assert len(server.asked) == 2


@pytest.mark.parametrize("retry", ["0", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_busy_server_is_asked_again_when_it_says(
    scripted: Script, retry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    with scripted((503, {"Retry-After": retry}, b"{}"), EMPTY).connection as connection:
        connection.get("tags")
    assert waited == [0.0 if retry == "0" else 1.0]


def test_a_page_of_something_else_is_no_answer(scripted: Script, run: Run) -> None:
    url = scripted((200, {}, b"<html>")).connection.url
    done = run("tag", "list", "--url", url, "--token", "t")
    assert done.code == 1
    assert done.err.startswith("error: The answer is not that of an orchestrator server: ")


def test_what_is_no_orchestrator_is_said_to_be_none(scripted: Script) -> None:
    page: Answer = (404, {}, b"<html>")
    server = scripted(page, page, (302, {"Location": "http://host.example"}, b""))
    with server.connection as connection:
        with pytest.raises(CommandFailed, match="answered 404, and not as an orchestrator"):
            connection.get("tags")
        with pytest.raises(CommandFailed, match="answered 404, and not as an orchestrator"):
            connection.get("tags")
        with pytest.raises(CommandFailed, match="answered 302"):
            connection.get("tags")


def test_an_error_of_the_server_has_its_correlation_id(scripted: Script) -> None:
    server = scripted((500, {"X-Correlation-Id": "abc"}, b'{"detail":"Something failed."}'))
    with server.connection as connection, pytest.raises(CommandFailed) as failure:
        connection.get("tags")
    assert failure.value.lines == ("Correlation id: abc",)


def test_public_routes_get_no_token(scripted: Script) -> None:
    server = scripted((503, {"Retry-After": "9"}, b"{}"))
    with server.connection as connection:
        assert connection.probe("/health/ready").status == 503
    _, path, headers = server.asked[0]
    assert path == "/health/ready"
    assert "authorization" not in headers


def test_a_body_has_a_deadline(scripted: Script) -> None:
    url = scripted(EMPTY).connection.url
    hasty = ServerConnection(url, "token", "here", limits=Limits(body_seconds_max=-1.0))
    late = pytest.raises(ServerUnusable, match="did not answer in time")
    with hasty as connection, late:
        connection.get("tags")


def test_a_local_server_is_asked_directly(
    scripted: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with scripted(EMPTY).connection as connection:
        assert connection.get("tags").status == 200


def test_an_unknown_certificate_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")

    monkeypatch.setattr(httpx2.Client, "send", refuse)
    connection = ServerConnection("https://host.example", None, "nowhere")
    with connection, pytest.raises(ServerUnusable) as failure:
        connection.get("tags")
    assert "SSL_CERT_FILE" in failure.value.lines[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1", True),
        ("http://127.1.2.3", True),
        ("https://[::1]:80", True),
        ("http://host.example", False),
        ("http://192.0.2.1", False),
    ],
)
def test_a_loopback_url_leads_to_this_machine(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
