"""All connections of a worker: how many there may be, and when each ends."""

import asyncio
import math
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from orchestrator.server.acceptor import Accepted, Application, ConnectionLimits
from orchestrator.server.connection import Connection
from orchestrator.server.framing import date_line
from orchestrator.server.handshake import Handshake
from orchestrator.telemetry import metrics

log = structlog.get_logger()

BACKLOG = 2048
#: How often deadlines are looked at, at most; a shorter one is looked at more often.
LOOK_SECONDS_MAX = 1.0
#: A deadline of nothing at all must not keep the processor busy.
LOOK_SECONDS_MIN = 0.01
LOOKS_PER_DEADLINE = 4
#: Before the next try to accept, when there were too many files.
ACCEPT_SECONDS = 0.1


class Listener:
    """Accepts connections until it is told to end.

    One clock is moved by one timer for all of them, so that no request sets a timer of its own.
    """

    def __init__(
        self,
        app: Application,
        limits: ConnectionLimits,
        *,
        connections_max: int,
        per_peer_max: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """In the event loop. Of one client there may be `per_peer_max` connections; 0: all."""
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "https" if tls else "http",
            "root_path": "",
        }
        self.is_ending = False
        self.now = time.monotonic()
        self.date_line = date_line(time.time())
        self._connections_max = connections_max
        self._per_peer_max = per_peer_max or connections_max
        self._tls = tls
        self._connections: dict[str, set[Accepted]] = {}
        self._handshakes: set[asyncio.Task[None]] = set()
        #: Connections that are open.
        self.count = 0
        self._turns = 0
        self._ended: Counter[str] = Counter()
        self._has_none: asyncio.Event = asyncio.Event()

    def next_turn(self) -> int:
        """Numbers that grow."""
        self._turns += 1
        return self._turns

    def add(self, connection: Accepted) -> None:
        """If there is one too many, end the one that has waited longest for its next request: of
        its own address if that has too many, else of the address that has most.
        """
        peers = self._connections
        own = peers.setdefault(connection.peer, set())
        own.add(connection)
        self.count += 1
        self._has_none.clear()
        if len(own) > self._per_peer_max:
            self._end_one(own)
        elif self.count > self._connections_max:
            self._end_one(max(peers.values(), key=len))

    def remove(self, connection: Accepted) -> None:
        """It has ended."""
        own = self._connections.get(connection.peer)
        if own is None or connection not in own:
            return
        own.remove(connection)
        self.count -= 1
        if not own:
            del self._connections[connection.peer]
        if not self.count:
            self._has_none.set()

    def _end_one(self, own: set[Accepted]) -> None:
        chosen = min(own, key=lambda each: (each.is_serving, each.idle_turn))
        self._ended[chosen.peer] += 1
        metrics.CONNECTIONS_ENDED.inc()
        self.remove(chosen)
        chosen.expire()

    async def run(
        self,
        bound: socket.socket,
        *,
        until: asyncio.Event,
        end_seconds_max: float,
    ) -> None:
        """Serve; then let what is being answered end, but not for longer than said."""
        looking = self.loop.create_task(self._look_again_and_again())
        try:
            async with self._accepting(bound):
                await until.wait()
            self.is_ending = True
            for each in self._all():
                each.finish()
            if self.count:
                async with asyncio.timeout(end_seconds_max):
                    await self._has_none.wait()
        except TimeoutError:
            await asyncio.gather(*(each.abort() for each in self._all()))
        finally:
            looking.cancel()

    @asynccontextmanager
    async def _accepting(self, bound: socket.socket) -> AsyncIterator[None]:
        if self._tls is None:
            server = await self.loop.create_server(
                lambda: Connection(self), sock=bound, backlog=BACKLOG
            )
            yield
            server.close()
            return
        # The event loop would tell of a connection only when it is encrypted.
        bound.listen(BACKLOG)
        bound.settimeout(0)
        accepting = self.loop.create_task(self._accept_encrypted(bound, self._tls))
        yield
        accepting.cancel()

    async def _accept_encrypted(self, bound: socket.socket, tls: ssl.SSLContext) -> None:
        while True:
            try:
                accepted, address = await self.loop.sock_accept(bound)
            except OSError as error:
                log.warning("a connection cannot be accepted", reason=str(error))
                await asyncio.sleep(ACCEPT_SECONDS)
                continue
            handshake = self.loop.create_task(Handshake(self, accepted, address[0]).run(tls))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    def _all(self) -> list[Accepted]:
        return [each for own in self._connections.values() for each in own]

    async def _look_again_and_again(self) -> None:
        limits = self.limits
        shortest = min(
            limits.head_seconds_max,
            limits.idle_seconds_max,
            limits.send_seconds_max,
            limits.close_seconds_max,
        )
        seconds = max(LOOK_SECONDS_MIN, min(LOOK_SECONDS_MAX, shortest / LOOKS_PER_DEADLINE))
        while True:
            self._look()
            await asyncio.sleep(seconds)

    def _look(self) -> None:
        self.now = time.monotonic()
        self.date_line = date_line(math.floor(time.time()))
        for each in self._all():
            if each.deadline is not None and each.deadline < self.now:
                each.expire()
        ended, self._ended = self._ended, Counter()
        for peer, count in ended.items():
            log.warning("ended connections", peer=peer, count=count)
