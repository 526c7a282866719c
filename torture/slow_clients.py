"""The torture `slow-clients`: heads and bodies that never end, answers and a log that nobody reads.

Beside each of them a normal client asks on. It must be answered, the memory of the server must stay
within what its limits allow, and when the deadlines are over nothing of it may be left.
"""

import http.client
import json
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from bench.server import Server
from torture.run import Run
from torture.serving import open_connections, serving_mib

MIB = 1024 * 1024
CONNECTIONS, CONNECTIONS_SHORT = 1_000, 60
#: Of all deadlines.
SECONDS, SECONDS_SHORT = 5.0, 1.0
#: What one connection may take: what is read ahead of it, and what waits to be sent on it.
CONNECTION_MIB = 1.0
#: What the normal client's own requests, and the allocator, may take besides.
SPARE_MIB = 64.0
#: The normal client's turn comes after those that were there first.
SLOWEST_SECONDS, SLOWEST_SECONDS_EACH = 5.0, 0.02
PATIENCE = 5
#: About 7 MiB, which no cache takes.
LARGE = {"nodes": [{"id": f"n{i}", "type": "t", "config": {"x": "y" * 750}} for i in range(9_000)]}
#: About 400 KiB of fields.
FIELDS = b"".join(b"X-%d: %s\r\n" % (i, b"a" * 8_000) for i in range(50))
QUEUE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Attack:
    """What each connection says, and how it reads."""

    name: str
    said: bytes
    #: So that the kernel takes little of the answer.
    receives_bytes: int | None = None


class Client:
    """The normal client: it asks all the time, and notes how long it waits."""

    def __init__(self, server: Server) -> None:
        self.worst, self.count, self.failed = 0.0, 0, 0
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def end(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.02):
            began = time.monotonic()
            connection = http.client.HTTPConnection(self._server.address, timeout=30)
            try:
                connection.request("GET", "/api/v1/workflows/small", headers=self._server.headers)
                self.failed += connection.getresponse().status != http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                self.failed += 1
            finally:
                connection.close()
            self.count += 1
            self.worst = max(self.worst, time.monotonic() - began)


def slow_clients(run: Run) -> None:
    """One attack after the other on one server; the log has a server of its own."""
    count = CONNECTIONS_SHORT if run.short else CONNECTIONS
    _raise_file_limit(count)
    seconds = SECONDS_SHORT if run.short else SECONDS
    names = ("body", "head", "refused_body", "send")
    deadlines: dict[str, Any] = {f"{name}_seconds_max": seconds for name in names}
    server = run.server(connections_max=2 * count, disk_free_bytes_min=0, **deadlines)
    for tag, workflow in (("small", {"nodes": [{"id": "a", "type": "t"}]}), ("large", LARGE)):
        _create(server, tag, workflow)
    host = f"Host: {server.address}\r\n".encode()
    token = b"Authorization: %s\r\n" % server.headers["Authorization"].encode()
    post = b"POST /api/v1/cas HTTP/1.1\r\n" + host + token
    large = b"GET /api/v1/workflows/large HTTP/1.1\r\n" + host + token + b"\r\n"
    for attack in (
        Attack("heads without an end", b"GET / HTTP/1.1\r\n" + host + FIELDS),
        Attack("bodies without an end", post + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000),
        Attack("chunks without an end", post + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
        Attack("answers of 7 MiB that nobody reads", large, receives_bytes=4_096),
    ):
        _attack(run, server, attack, count, seconds)
    _unread_log(run)


def _attack(run: Run, server: Server, attack: Attack, count: int, seconds: float) -> None:
    idle = serving_mib(server.process.pid)
    client = Client(server)
    with _connected(server, attack, count):
        most, until = idle, time.monotonic() + seconds * 0.8
        while time.monotonic() < until:
            most = max(most, serving_mib(server.process.pid))
            time.sleep(0.1)
        # Each deadline once, and much longer for a busy machine.
        until = time.monotonic() + PATIENCE * seconds
        while (left := open_connections(server)) > 1 and time.monotonic() < until:
            time.sleep(0.1)
    client.end()
    kept = serving_mib(server.process.pid) - idle
    run.say(
        f"{count} x {attack.name}: +{most - idle:.0f} MiB, {kept:+.0f} MiB after; "
        f"{client.count} other requests, the slowest {client.worst * 1_000:.0f} ms"
    )
    if most - idle > count * CONNECTION_MIB + SPARE_MIB:
        run.fail(f"{attack.name} took {most - idle:.0f} MiB")
    if left > 1:  # The normal client may just have one.
        run.fail(f"{attack.name}: {left} connections are left after {PATIENCE * seconds:.0f} s")
    if client.failed or client.worst > SLOWEST_SECONDS + count * SLOWEST_SECONDS_EACH:
        run.fail(
            f"{attack.name}: of {client.count} other requests {client.failed} failed, "
            f"and the slowest took {client.worst:.1f} s"
        )


def _unread_log(run: Run) -> None:
    """Standard error is a pipe that nobody reads."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as unread:
        server = run.server(
            stderr=unread,
            log_level="info",
            log_queue_bytes_max=QUEUE_BYTES,
            disk_free_bytes_min=0,
        )
    idle, count = serving_mib(server.process.pid), 1_500 if run.short else 50_000
    connection = http.client.HTTPConnection(server.address, timeout=30)
    worst = 0.0
    try:
        for _ in range(count):
            began = time.monotonic()
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            worst = max(worst, time.monotonic() - began)
        connection.request("GET", "/metrics", headers=server.headers)
        page = connection.getresponse().read().decode()
    except OSError as error:
        run.fail(f"a log that nobody reads: {error!r}")
        page = ""
    connection.close()
    grown = serving_mib(server.process.pid) - idle
    dropped = [line for line in page.splitlines() if line.startswith("orchestrator_log_lines_d")]
    run.say(f"{count} requests, a log that nobody reads: +{grown:.0f} MiB, {dropped}")
    run.say(f"the slowest took {worst * 1_000:.0f} ms")
    if grown > SPARE_MIB:
        run.fail(f"a log that nobody reads took {grown:.0f} MiB")
    if page and not any(float(line.split()[1]) for line in dropped):
        run.fail("no line was counted as dropped")
    server.end()
    os.close(reader)


@contextmanager
def _connected(server: Server, attack: Attack, count: int) -> Iterator[None]:
    host, _, port = server.address.partition(":")
    with ExitStack() as stack:
        for _ in range(count):
            made = stack.enter_context(socket.socket())
            if attack.receives_bytes:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, attack.receives_bytes)
            made.settimeout(30)
            with suppress(OSError):  # It may be refused before we have said all.
                made.connect((host, int(port)))
                made.sendall(attack.said)
        yield


def _create(server: Server, tag: str, workflow: object) -> None:
    connection = server.connect()
    headers = {**server.headers, "Content-Type": "application/json"}
    body = json.dumps({"tag": tag, "workflow": workflow})
    connection.request("POST", "/api/v1/workflows", body, headers)
    answer = connection.getresponse()
    assert answer.status == http.HTTPStatus.CREATED, answer.read()
    connection.close()


def _raise_file_limit(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * count)), hard))
