"""Lends connections, the one used last first; it does not know what they are connected to.

asyncpg's own pool sends a reset query on each release and its waiting order gave a tail of hundreds
of milliseconds under load; here a connection is handed out as it is, to the request that has waited
longest, and the one used last is used next, so its statements are prepared.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from orchestrator.errors import StorageUnavailable


class Pooled(Protocol):
    """What the pool must know of a connection."""

    @property
    def is_lost(self) -> bool:
        """Whether it is closed, or is about to be: nothing that is sent on it arrives."""

    @property
    def has_unread(self) -> bool:
        """Whether bytes arrived unasked: mostly, they say that the server closes the connection."""

    def rest(self) -> None:
        """It is idle from now on: if bytes arrive meanwhile, it is lost."""

    def resume(self) -> None:
        """It is in use again."""

    def terminate(self) -> None:
        """Close it at once."""


C = TypeVar("C", bound=Pooled)


class ConnectionPool(Generic[C]):
    """Built closed. Connections are made when they are first needed, and a connection that was
    lost while nobody had it is never lent: a fresh one is made in its place.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        *,
        connections_max: int,
    ) -> None:
        self._connect = connect
        self._connections_max = connections_max
        self._idle: list[C] = []
        self._waiting: deque[asyncio.Future[C | None]] = deque()
        self._count = 0
        self._is_open = False

    def open(self) -> None:
        """Allow connections."""
        self._is_open = True

    def close(self) -> None:
        """Close those that nobody has, and the others when they come back."""
        self._is_open = False
        self._drop_idle()

    async def acquire(self, deadline: float) -> C:
        """A connection that is the caller's until its `release`; raises StorageUnavailable when
        there is none before the deadline, by the clock of the event loop.

        Nothing is awaited between the last look at the connection and the caller's first use.
        """
        if not self._is_open:
            raise StorageUnavailable("The server is not serving.")
        while self._idle:
            idle = self._idle.pop()
            if not (idle.is_lost or idle.has_unread):
                idle.resume()
                return idle
            idle.terminate()
            self._count -= 1
        if self._count < self._connections_max:
            self._count += 1
            return await self._connect_reserved(deadline)
        conn = await self._wait(deadline)
        if conn is not None and (conn.is_lost or conn.has_unread):  # Since it was lent.
            conn.terminate()
            conn = None
        return conn if conn is not None else await self._connect_reserved(deadline)

    async def _wait(self, deadline: float) -> C | None:
        """A connection that was given back, or None: room for one, which is counted already."""
        waiter: asyncio.Future[C | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter
        except (TimeoutError, asyncio.CancelledError) as error:
            # The connection may have been lent to this request in the very moment that it gave up.
            if waiter.done() and not waiter.cancelled():
                self._give_back(waiter.result())
            if isinstance(error, TimeoutError):
                raise StorageUnavailable("All database connections are busy.") from None
            raise

    async def _connect_reserved(self, deadline: float) -> C:
        """Make a connection that is counted already."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._connect()
        except BaseException as error:
            self._count -= 1
            self._wake()
            if isinstance(error, TimeoutError):
                raise StorageUnavailable from None
            raise

    def release(self, conn: C, *, healthy: bool) -> None:
        """Take a connection back. One that is not healthy may be in any state, so it is closed."""
        is_lost = conn.is_lost
        if healthy and self._is_open and not is_lost:
            self._pass_on(conn)
            return
        if is_lost:
            self._drop_idle()  # One was lost, so these probably are too, and would fail.
        conn.terminate()
        self._count -= 1
        self._wake()

    def _give_back(self, lent: C | None) -> None:
        if lent is not None:
            self._pass_on(lent)
            return
        self._count -= 1  # What was lent was room for a connection, not a connection.
        self._wake()

    def _pass_on(self, conn: C) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(conn)
                return
        conn.rest()
        self._idle.append(conn)

    def _wake(self) -> None:
        """There is room for one more connection: the longest waiter gets it, and connects."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._count += 1
                waiter.set_result(None)
                return

    def _drop_idle(self) -> None:
        for conn in self._idle:
            conn.terminate()
        self._count -= len(self._idle)
        self._idle.clear()
