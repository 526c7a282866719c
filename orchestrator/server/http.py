"""The HTTP server: its address, its workers, when it is ready. The application is elsewhere."""

import errno
import gc
import http.client
import importlib
import ipaddress
import multiprocessing
import os
import resource
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.server.error import ServeError, UsageError
from orchestrator.server.stop import Stop, end_by_signals
from orchestrator.settings import Settings

OPEN_FILES_MAX = 65_536
#: How long workers may finish their requests; a client that stalls does not delay the end.
WORKERS_END_SECONDS_MAX = 2
POLL_SECONDS = 0.02
SLOW_SECONDS = 15.0
LOG_TO_STDERR: dict[str, Any] = {
    "handlers": {
        name: {"formatter": "generic", "class": "orchestrator.telemetry.logs.PlainLines"}
        for name in ("console", "access")
    }
}


@dataclass(frozen=True, kw_only=True)
class HTTPOptions:
    """Where and how to serve. The values have been checked."""

    target: str
    address: str
    port: int
    workers: int
    tls_certificate: Path | None
    tls_key: Path | None


def resolve_host(host: str) -> str:
    """The numeric address of a host name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ServeError(f"The host {host!r} is not known: {error.strerror}.") from error
    except ValueError:  # It cannot be sent to a name server.
        raise UsageError(f"The host {host!r} is neither a name nor an address.") from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])


def check_tls(certificate: Path, key: Path) -> None:
    """Refuse files that are no certificate and its key, before anything starts."""
    for path in (certificate, key):
        if not os.access(path, os.R_OK):
            raise ServeError(f"The file {path} cannot be read.")

    def no_passphrase() -> str:
        raise ServeError(f"The TLS key {key} needs a passphrase: give one that needs none.")

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, password=no_passphrase)
    except (OSError, ValueError) as error:
        raise ServeError(f"The TLS files cannot be used: {error}") from error


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    return ipaddress.ip_address(address).is_loopback


def reserve_port(address: str, port: int, stop: Stop, *, wait_seconds: float = 0) -> socket.socket:
    """Reserve the port until the socket is closed. It does not listen: the workers do.

    Each worker binds the port again with SO_REUSEPORT, which would let a second server join in
    unnoticed. So ours is bound without it first, and only then opened to others like it.
    """
    deadline = time.monotonic() + wait_seconds
    is_waiting = False
    while True:
        stop.check()
        try:
            return _bound(address, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
                raise ServeError(f"{place} cannot be used: {error.strerror}.") from error
        if not is_waiting:
            is_waiting = True
            print("orchestrator: waiting for the end of a server that crashed.", file=sys.stderr)
        time.sleep(POLL_SECONDS)


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((address, port))
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        reserved.close()
        raise
    return reserved


def load_application(target: str) -> None:
    """Import the application before the workers are forked: they start faster and share memory."""
    importlib.import_module("granian")
    importlib.import_module(target.partition(":")[0])


def run_workers(options: HTTPOptions, settings: Settings, stop: Stop) -> None:
    """Serve until a signal comes. Returns when every worker has ended."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    _raise_file_limit()
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork", force=True)
        os.register_at_fork(after_in_child=end_by_signals)
        gc.collect()
        gc.freeze()  # Else each collection would copy the pages that the workers share.
    server = Granian(
        options.target,
        address=options.address,
        port=options.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        loop=Loops.uvloop,
        factory=True,
        workers=options.workers,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.head_seconds_max * 1000),
            max_buffer_size=settings.connection_buffer_bytes_max,
        ),
        backlog=2048,
        backpressure=settings.connections_max,
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=LOG_TO_STDERR,
        ssl_cert=options.tls_certificate,
        ssl_key=options.tls_key,
        respawn_failed_workers=True,
        workers_kill_timeout=WORKERS_END_SECONDS_MAX,
    )

    def on_startup() -> None:
        # Granian would restart its workers. Here SIGHUP means that the terminal has closed.
        signal.signal(signal.SIGHUP, server.signal_handler_interrupt)
        # From here on its handlers note a signal. This is for one that came before them.
        stop.check()

    server.on_startup(on_startup)
    try:
        server.serve()
    except SystemExit as error:
        if error.code:
            raise ServeError("The workers end again and again; see above.") from error


def call_when_ready(options: HTTPOptions, host: str, ready: Callable[[], None]) -> None:
    """In a thread: call `ready` once /health/ready answers 200."""

    def poll() -> None:
        waited = 0.0
        pause = threading.Event()
        while not _answers_ready(options, host):
            pause.wait(POLL_SECONDS)
            waited += POLL_SECONDS
            if SLOW_SECONDS <= waited < SLOW_SECONDS + POLL_SECONDS:
                print("orchestrator: still not ready; waiting.", file=sys.stderr, flush=True)
        ready()

    threading.Thread(target=poll, name="ready", daemon=True).start()


def _answers_ready(options: HTTPOptions, host: str) -> bool:
    everywhere = ipaddress.ip_address(options.address).is_unspecified
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    loopback = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    address = loopback if everywhere else options.address
    connection = http.client.HTTPConnection(address, options.port)
    try:
        # By number: looking up a name takes locks that a worker forked meanwhile would find held.
        connection.sock = socket.socket(family, socket.SOCK_STREAM)
        connection.sock.settimeout(5)
        connection.sock.connect((address, options.port))
        if options.tls_certificate:
            unchecked = ssl.create_default_context()
            unchecked.check_hostname = False
            unchecked.verify_mode = ssl.CERT_NONE  # It is us, and no secret is sent.
            connection.sock = unchecked.wrap_socket(connection.sock)
        connection.request("GET", "/health/ready", headers={"Host": host})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _raise_file_limit() -> None:
    """Each connection is an open file, and the usual soft limit of 1,024 is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
