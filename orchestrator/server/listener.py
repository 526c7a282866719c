"""All connections of a worker: how many there may be, and when each ends."""

import asyncio
import math
import socket
import ssl
import time
from collections import Counter
from typing import Any

import structlog

from orchestrator.server.connection import Application, Connection, ConnectionLimits
from orchestrator.server.framing import date_line
from orchestrator.telemetry import metrics

log = structlog.get_logger()

BACKLOG = 2048
#: How often deadlines are looked at, at most; a shorter one is looked at more often.
LOOK_SECONDS_MAX = 1.0
#: A deadline of nothing at all must not keep the processor busy.
LOOK_SECONDS_MIN = 0.01
LOOKS_PER_DEADLINE = 4


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
        scheme: str = "http",
    ) -> None:
        """In the event loop. Of one client there may be `per_peer_max` connections; 0: all."""
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": scheme,
            "root_path": "",
        }
        self.is_ending = False
        self.now = time.monotonic()
        self.date_line = date_line(time.time())
        self._connections_max = connections_max
        self._per_peer_max = per_peer_max or connections_max
        self._connections: dict[str, set[Connection]] = {}
        #: Connections that are open.
        self.count = 0
        self._turns = 0
        self._ended: Counter[str] = Counter()
        self._has_none: asyncio.Event = asyncio.Event()

    def next_turn(self) -> int:
        """Numbers that grow."""
        self._turns += 1
        return self._turns

    def add(self, connection: Connection) -> None:
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

    def remove(self, connection: Connection) -> None:
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

    def _end_one(self, own: set[Connection]) -> None:
        chosen = min(own, key=lambda each: (each.is_serving, each.idle_turn))
        self._ended[chosen.peer] += 1
        metrics.CONNECTIONS_ENDED.inc()
        self.remove(chosen)
        chosen.expire()

    async def run(
        self,
        bound: socket.socket,
        tls: ssl.SSLContext | None,
        *,
        until: asyncio.Event,
        end_seconds_max: float,
    ) -> None:
        """Serve; then let what is being answered end, but not for longer than said."""
        server = await self.loop.create_server(
            self._connection,
            sock=bound,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=self.limits.head_seconds_max if tls else None,
        )
        looking = self.loop.create_task(self._look_again_and_again())
        try:
            await until.wait()
            server.close()
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

    def _connection(self) -> Connection:
        return Connection(self)

    def _all(self) -> list[Connection]:
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
