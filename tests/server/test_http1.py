"""HTTP/1.1 as it is spoken on a socket, with applications of a few lines."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.handlers.http.unread import reason_unread
from orchestrator.server.acceptor import Application, ConnectionLimits
from orchestrator.server.connection import WAITING_MAX
from orchestrator.server.listener import Listener
from tests.server.certificates import CERTIFICATE, KEY

pytestmark = pytest.mark.anyio
LIMITS = ConnectionLimits(
    head_bytes_max=8_192,
    fields_max=20,
    head_seconds_max=0.4,
    idle_seconds_max=0.8,
    send_seconds_max=0.4,
    buffer_bytes_max=65_536,
    close_seconds_max=0.3,
    close_bytes_max=4_000_000,
)
GET = b"GET /x HTTP/1.1\r\nHost: here\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """As a worker has it."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """Of a server."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(CERTIFICATE)
    key.write_text(KEY)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Say what was read of the request, or why it was not."""
    if (reason := reason_unread(scope)) is not None:
        said = type(reason).__name__.encode()
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": said})
        return
    body = b""
    message: dict[str, Any] = {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    host = dict(scope["headers"]).get(b"host", b"")
    ended = b"cut" if message["type"] == "http.disconnect" else b"whole"
    line = b" ".join((scope["method"].encode(), host, scope["raw_path"], scope["query_string"]))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": line + b"|" + body + b"|" + ended})


def answering(*messages: dict[str, Any]) -> Application:
    """An application that sends these, whatever it is asked."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for each in messages:
            await send(each)

    return app


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Served(msgspec.Struct):
    """A listener that runs."""

    port: int
    listener: Listener
    ending: asyncio.Event
    running: "asyncio.Task[None]"

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, **options)

    async def say(self, *parts: bytes, pause: float = 0.01) -> bytes:
        """Send the parts, and read to the end of the connection."""
        reader, writer = await self.connect()
        for part in parts:
            with suppress(ConnectionError, RuntimeError):  # Closed, as uvloop says it.
                writer.write(part)
                await writer.drain()
            await asyncio.sleep(pause if len(parts) > 1 else 0)
        received = b""
        async with asyncio.timeout(8):
            with suppress(ConnectionError):
                while some := await reader.read(65_536):
                    received += some
        writer.close()
        return received


@asynccontextmanager
async def served(
    app: Application = echo,
    *,
    limits: ConnectionLimits = LIMITS,
    per_peer_max: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Served]:
    listener = Listener(app, limits, connections_max=50, per_peer_max=per_peer_max, tls=tls)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    ending = asyncio.Event()
    running = asyncio.create_task(listener.run(bound, until=ending, end_seconds_max=0.3))
    yield Served(bound.getsockname()[1], listener, ending, running)
    ending.set()
    async with asyncio.timeout(5):
        await running
    bound.close()


def bodies(received: bytes) -> list[bytes]:
    """Those of the answers, none of which has an empty line in it."""
    return [part.split(b"HTTP/1.1 ")[0] for part in received.split(b"\r\n\r\n")[1:]]


REQUESTS: dict[str, tuple[bytes, bytes]] = {
    "a path and a query": (b"GET /a%2Fb?c=d HTTP/1.1\r\nHost: h\r\n", b"GET h /a%2Fb c=d||whole"),
    "an absolute form": (b"GET http://other/a?b HTTP/1.1\r\nHost: h\r\n", b"GET other /a b||whole"),
    "one without a path": (b"GET HTTPS://o:1?b HTTP/1.1\r\nHost: h\r\n", b"GET o:1 / b||whole"),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n", b"OPTIONS h * ||whole"),
    "another protocol wished": (
        b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n",
        b"GET h /a ||whole",
    ),
    "spaces around a value": (b"GET / HTTP/1.1\r\nHost:  h \t \r\n", b"GET h / ||whole"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", b"GET b / ||whole"),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_what_a_head_says(name: str) -> None:
    head, line = REQUESTS[name]
    async with served() as server:
        received = await server.say(head + b"Connection: close\r\n\r\n")
    assert bodies(received) == [line]
    assert b"\r\nconnection: close\r\n" in received
    assert b" GMT\r\n" in received


REFUSED: dict[str, tuple[bytes, str]] = {
    "no request": (b"hello\r\n\r\n", "InvalidInput"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00", "InvalidInput"),
    "a method that nobody knows": (b"BREW / HTTP/1.1\r\n\r\n", "UnsupportedMethod"),
    "a tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "UnsupportedMethod"),
    "an old version": (b"GET /\r\n\r\n", "UnsupportedVersion"),
    "a new version": (b"GET / HTTP/2.0\r\n\r\n", "UnsupportedVersion"),
    "another scheme": (b"GET ftp://a/ HTTP/1.1\r\n\r\n", "InvalidInput"),
    "line feeds alone": (b"GET / HTTP/1.1\nHost: a\n\n", "InvalidInput"),
    "a folded field": (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", "InvalidInput"),
    "a NUL": (b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", "InvalidInput"),
    "a space before a colon": (b"GET / HTTP/1.1\r\nX : a\r\n\r\n", "InvalidInput"),
    "two lengths": (
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "InvalidInput",
    ),
    "a length and chunks": (CHUNKED + b"Content-Length: 1\r\n\r\n", "InvalidInput"),
    "chunks of old": (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "InvalidInput"),
    "many fields": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 21 + b"\r\n", "HeadTooLarge"),
    "a long field": (b"GET / HTTP/1.1\r\nX: " + b"y" * 9_000 + b"\r\n\r\n", "HeadTooLarge"),
    "a field without end": (b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000, "HeadTooLarge"),
    "a long target": (b"GET /" + b"y" * 9_000 + b" HTTP/1.1\r\n\r\n", "TargetTooLong"),
    "a target without end": (b"GET /" + b"y" * 20_000, "TargetTooLong"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_request_is_refused_and_the_connection_ends(name: str) -> None:
    sent, reason = REFUSED[name]
    async with served() as server:
        whole, slowly = await asyncio.gather(
            server.say(GET, sent), server.say(sent[:9], sent[9:], GET)
        )
    assert bodies(whole) == [b"GET here /x ||whole", reason.encode()]
    assert bodies(slowly) == [reason.encode()]
    assert slowly.count(b"\r\nconnection: close\r\n") == 1


BODIES: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    "a length": ((b"POST /x HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc", b"def" + LAST), b"abcdef"),
    "chunks": (
        (CHUNKED + b"\r\n3\r\nabc\r\n", b"3;x=y\r\ndef\r\n0\r\nA: b\r\n\r\n" + LAST),
        b"abcdef",
    ),
    "an expectation": (
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", b"abc" + LAST),
        b"abc",
    ),
    "another protocol and a length": (
        (
            b"POST / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 4\r\n\r\nab",
            b"cd" + LAST,
        ),
        b"abcd",
    ),
    "another protocol and chunks": (
        (CHUNKED + b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n2\r\nab\r\n", b"0\r\n\r\n" + LAST),
        b"ab",
    ),
    "a large one": (
        (b"POST /x HTTP/1.1\r\nContent-Length: 300000\r\n\r\n", b"a" * 300_000 + LAST),
        b"a" * 300_000,
    ),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_ends_where_the_next_request_begins(name: str) -> None:
    parts, body = BODIES[name]
    async with served() as server:
        received = await server.say(*parts)
        bytewise = b"".join(parts)
        if len(bytewise) < 1_000:
            pieces = [bytewise[at : at + 1] for at in range(len(bytewise))]
            assert bodies(await server.say(*pieces, pause=0))[-2:] == bodies(received)[-2:]
    assert (b"100 Continue" in received) == (name == "an expectation")
    first, last = bodies(received)[-2:]
    assert (first.split(b"|")[1:], last) == ([body, b"whole"], b"GET here /last ||whole")


@pytest.mark.parametrize(
    "body", [b"x\r\nabc", b"3\r\nabcd", b"3\nabc", b"F" * 17 + b"\r\n", b"0\r\nX: " + b"y" * 90_000]
)
async def test_a_body_that_cannot_be_read_is_cut_and_nothing_after_it_is_a_request(
    body: bytes,
) -> None:
    async with served() as server:
        received = await server.say(
            CHUNKED + b"\r\n" + body[:20_000], body[20_000:] + b"\r\n" + LAST
        )
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.endswith(b"|cut")


async def test_who_sends_on_after_a_refusal_sees_it_and_then_nothing_is_read_any_more() -> None:
    async with served() as server:
        seen = await server.say(CHUNKED + b"\r\nx", bytes(3_000_000))
        endless = await server.say(CHUNKED + b"\r\nx", *[bytes(1_000_000)] * 60)
    assert seen.endswith(b"|cut")
    assert len(endless) <= len(seen)


async def test_the_end_of_a_connection_waits_for_a_client_that_takes_its_answer_slowly() -> None:
    body = bytes(64_000)

    async with served(answering(start(), piece(body))) as server:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", server.port))
        await loop.sock_sendall(slow, LAST)
        received = b""
        while some := await loop.sock_recv(slow, 4_096):
            received += some
            await asyncio.sleep(0.005)
        assert received.endswith(b"\r\n\r\n" + body)
        slow.close()


async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.01 if scope["raw_path"] == b"/slow" else 0)
        await echo(scope, receive, send)

    async with served(app) as server:
        slow = GET.replace(b"/x", b"/slow")
        received = await server.say(slow + GET + slow + LAST)
        paths = [body.split()[2] for body in bodies(received)]
        assert paths == [b"/slow", b"/x", b"/slow", b"/last"]
        many = await server.say(GET * (3 * WAITING_MAX))
        assert many.count(b"HTTP/1.1 200") == WAITING_MAX + 1
        assert many.count(b"connection: close") == 1


async def test_an_old_client_keeps_its_connection_only_if_it_says_so() -> None:
    async with served() as server:
        once = await server.say(b"GET /a HTTP/1.0\r\n\r\n" + b"GET /b HTTP/1.0\r\n\r\n")
        kept = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        twice = await server.say(kept + b"GET /b HTTP/1.0\r\n\r\n")
    assert (once.count(b"HTTP/1.1 200"), twice.count(b"HTTP/1.1 200")) == (1, 2)
    assert b"connection: keep-alive" in twice


async def test_a_body_of_unknown_length_is_sent_in_chunks_or_ends_with_the_connection() -> None:
    app = answering(start(), piece(b"abc", more=True), piece(b"", more=True), piece(b"de"))
    async with served(app) as server:
        chunked, old, head = await asyncio.gather(
            server.say(LAST), server.say(b"GET / HTTP/1.0\r\n\r\n"), server.say(b"HEAD" + LAST[3:])
        )
    assert chunked.endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert old.endswith(b"\r\n\r\nabcde")
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("messages", "ending"),
    [
        (
            (),
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ),
        (
            (start(200, (b"a", b"b\r\nc: d")), piece(b"")),
            b"content-length: 0\r\nconnection: close\r\n\r\n",
        ),
        ((start(200, (b"content-length", b"5")), piece(b"abc", more=True)), b"abc"),
        ((start(200, (b"content-length", b"5")), piece(b"abc")), b""),
        ((start(204), piece(b"abc")), b"\r\n\r\n"),
    ],
)
async def test_a_wrong_answer_is_never_taken_for_a_whole_one(
    messages: tuple[dict[str, Any], ...], ending: bytes
) -> None:
    async with served(answering(*messages)) as server:
        received = await server.say(LAST + GET)
    assert received.endswith(ending)
    assert b"c: d" not in received
    assert received.count(b"HTTP/1.1") <= 1


async def test_a_client_that_is_gone_is_known_and_no_error() -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        told.append(message["type"])
        await echo(scope, receive, send)

    async with served(app) as server:
        _, writer = await server.connect()
        writer.write(GET)
        await asyncio.sleep(0.05)
        writer.close()
        await until(lambda: told == ["http.disconnect"])


async def test_a_body_that_nobody_asks_for_is_left_with_its_sender() -> None:
    asked = asyncio.Event()
    size = 20_000_000  # More than the kernel takes.

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await asked.wait()
        read = 0
        while read < size:
            read += len((await receive())["body"])
        await send(start(201))
        await send(piece(b""))

    async with served(app) as server:
        reader, writer = await server.connect()
        writer.write(b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await asyncio.sleep(0.2)
        assert writer.transport.get_write_buffer_size() > size // 4
        asked.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201")
        writer.close()


@pytest.mark.parametrize(
    ("sent", "seconds"), [(b"", 0.4), (b"GET / HT", 0.4), (GET, 0.8), (GET + b"GET /", 0.4)]
)
async def test_a_client_that_says_nothing_more_loses_its_connection(
    sent: bytes, seconds: float
) -> None:
    began = asyncio.get_running_loop().time()
    async with served() as server:
        received = await server.say(sent)
    assert seconds - 0.1 <= asyncio.get_running_loop().time() - began < seconds + 1
    assert received.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")


async def test_a_client_that_drips_a_head_has_no_more_time_for_it() -> None:
    async with served() as server:
        began = asyncio.get_running_loop().time()
        await server.say(*([b"G", b"ET / HTTP/1.1\r\n"] + [b"X: y\r\n"] * 60), pause=0.03)
    assert asyncio.get_running_loop().time() - began < 3


async def test_of_answers_that_nobody_takes_only_a_few_are_made() -> None:
    made = 0

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal made
        made += 1
        await send(start())
        await send(piece(bytes(60_000)))

    async with served(app) as server:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(("127.0.0.1", server.port))
        slow.setblocking(False)
        for _ in range(400):
            with suppress(BlockingIOError, ConnectionError):
                slow.send(GET * 10)
            await asyncio.sleep(0.002)
        assert made < 400
        await until(lambda: not server.listener.count)
        slow.close()


async def test_too_many_connections_end_the_one_that_has_waited_longest() -> None:
    async with served(per_peer_max=3) as server:
        made = [await server.connect() for _ in range(3)]
        made[0][1].write(GET)  # The first has just been served when the fourth comes.
        await made[0][0].readuntil(b"|whole")
        made.append(await server.connect())
        assert await made[1][0].read() == b""
        for reader, writer in (made[0], made[2], made[3]):
            writer.write(GET)
            assert (await reader.readuntil(b"|whole")).startswith(b"HTTP/1.1 200")
    for _, writer in made:
        writer.close()


async def test_connections_count_while_they_are_not_encrypted_yet(tls: ssl.SSLContext) -> None:
    patient = msgspec.structs.replace(LIMITS, head_seconds_max=8)
    trusting = ssl.create_default_context(cadata=CERTIFICATE)
    async with served(limits=patient, per_peer_max=3, tls=tls) as server:
        silent = [await server.connect() for _ in range(4)]
        assert await silent[0][0].read() == b""
        assert server.listener.count == 3
        reader, writer = await server.connect(ssl=trusting, server_hostname="localhost")
        assert await silent[1][0].read() == b""
        writer.write(GET)
        assert (await reader.readuntil(b"|whole")).startswith(b"HTTP/1.1 200")
    for _, each in (*silent, (reader, writer)):
        each.close()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", GET])
async def test_what_does_not_become_encrypted_ends(tls: ssl.SSLContext, sent: bytes) -> None:
    async with served(tls=tls) as server:
        assert b"HTTP" not in await server.say(sent)
        await until(lambda: not server.listener.count)


async def test_the_end_waits_for_answers_but_not_for_ever() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1 if scope["raw_path"] == b"/x" else 60)
        await echo(scope, receive, send)

    async with served(app) as server:
        (idle, _), (reader, writer), (stuck, stuck_writer) = [
            await server.connect() for _ in range(3)
        ]
        writer.write(GET)
        stuck_writer.write(LAST)
        await asyncio.sleep(0.05)
        server.ending.set()
        assert await idle.read() == b""
        received = await reader.read()
        assert received.endswith(b"|whole")
        assert b"connection: close" in received
        with suppress(ConnectionError):
            assert await stuck.read() == b""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - nothing tells of it.
            await asyncio.sleep(0.01)
