"""A worker: a process that serves the application on the port of the server."""

import asyncio
import importlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

import uvloop

from orchestrator.server.acceptor import Application, ConnectionLimits
from orchestrator.server.listener import Listener
from orchestrator.server.options import REQUESTS_SECONDS_MAX, SHUTDOWN_SECONDS_MAX, HTTPOptions
from orchestrator.server.stop import SIGNALS
from orchestrator.server.worker_exit import exit_with_parent
from orchestrator.settings import Settings

#: Clients that are there end a connection at once when its server does.
CLOSE_SECONDS_MAX = 2.0


class ApplicationError(Exception):
    """The application has not started."""


def run_worker(options: HTTPOptions, settings: Settings) -> None:
    """Serve until a signal comes; exits with 1 if the application cannot start."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(options, settings))
    except ApplicationError as error:
        sys.exit(f"orchestrator: the application has not started: {error}")


async def _work(options: HTTPOptions, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    wanted_end = asyncio.Event()
    exit_with_parent(loop)
    tls = _tls(options)
    app = application(options.target)
    async with _lifespan(app):
        # Until here a signal has ended the process: there was nothing to put in order.
        for number in SIGNALS:
            loop.add_signal_handler(number, wanted_end.set)
        listener = Listener(
            app,
            limits_of(settings),
            connections_max=settings.connections_max,
            per_peer_max=settings.connections_per_peer_max,
            tls=tls,
        )
        with _bound(options.address, options.port) as bound:
            await listener.run(bound, until=wanted_end, end_seconds_max=REQUESTS_SECONDS_MAX)


def application(target: str) -> Application:
    """What `module:function` makes."""
    module, _, factory = target.partition(":")
    made: Application = getattr(importlib.import_module(module), factory)()
    return made


def limits_of(settings: Settings) -> ConnectionLimits:
    """What the settings say of each connection."""
    return ConnectionLimits(
        head_bytes_max=settings.head_bytes_max,
        fields_max=settings.head_fields_max,
        head_seconds_max=settings.head_seconds_max,
        idle_seconds_max=settings.idle_seconds_max,
        send_seconds_max=settings.send_seconds_max,
        buffer_bytes_max=settings.connection_buffer_bytes_max,
        close_seconds_max=min(CLOSE_SECONDS_MAX, settings.refused_body_seconds_max),
        close_bytes_max=settings.refused_body_bytes_max,
    )


def _bound(address: str, port: int) -> socket.socket:
    """Each worker has a queue of its own; the kernel chooses one for each client."""
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    with ExitStack() as stack:
        stack.enter_context(bound)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((address, port))
        stack.pop_all()
    return bound


def _tls(options: HTTPOptions) -> ssl.SSLContext | None:
    if options.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.tls_certificate, options.tls_key)
    context.set_alpn_protocols(["http/1.1"])
    return context


@asynccontextmanager
async def _lifespan(app: Application) -> AsyncIterator[None]:
    """The application starts and ends as ASGI describes it (the lifespan protocol, 2.0)."""
    asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    running = asyncio.ensure_future(app(scope, asked.get, told.put))

    async def step(name: str) -> None:
        asked.put_nowait({"type": f"lifespan.{name}"})
        answer = asyncio.ensure_future(told.get())
        await asyncio.wait([answer, running], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise ApplicationError(repr(running.exception() or "it has ended"))
        message = answer.result()
        if message["type"] != f"lifespan.{name}.complete":
            raise ApplicationError(message.get("message") or message["type"])

    await step("startup")
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_SECONDS_MAX):
                await step("shutdown")
