"""The place that the server takes on the network: its address, its port, when it is ready."""

import errno
import http.client
import importlib
import ipaddress
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.server.error import ServeError, UsageError
from orchestrator.server.options import HTTPOptions
from orchestrator.server.stop import Stop

POLL_SECONDS = 0.02
SLOW_SECONDS = 15.0


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
    """Import what workers need before they are forked: they start faster and share memory."""
    importlib.import_module("orchestrator.server.worker")
    importlib.import_module(target.partition(":")[0])


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
