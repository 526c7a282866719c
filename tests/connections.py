"""Connections that the applications of a process use one after the other.

A new connection costs PostgreSQL a process, which reads its catalogue and plans each statement for
the first time: two thirds of what a small test costs. A server has its connections for days, so
tests may have theirs for as long as their database is there.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from orchestrator.core.connection_pool import ConnectionPool
from orchestrator.core.database import Connection, Database

Key = tuple[object, ...]

#: The server has a hundred for all workers.
KEPT_MAX = 12


class Connections:
    """Connections that nobody has, by what was said when they were made: the URL comes first."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._runner: asyncio.Task[Any] | None = None
        self._idle: list[tuple[Key, Connection]] = []

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Keep connections of this event loop from now on."""
        self.loop, self._runner = asyncio.get_running_loop(), asyncio.current_task()
        try:
            yield
        finally:
            self.loop = self._runner = None
            self._keep_only([])

    def end_tasks(self) -> None:
        """What a test has left running ends with it, although the event loop goes on."""
        if self.loop is None:
            return
        left = asyncio.all_tasks(self.loop) - {self._runner}
        for each in left:
            each.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left))

    def keep(self, key: Key, connection: Connection) -> bool:
        """Whether it was taken: it is whole, and its loop goes on."""
        whole = not (connection.is_lost or connection.has_unread or connection.is_in_transaction())
        if not whole or asyncio.get_running_loop() is not self.loop:
            return False
        self._keep_only([*self._idle, (key, connection)][-KEPT_MAX:])
        return True

    async def take(self, key: Key) -> Connection | None:
        """One that is as if it was new, but knows its statements."""
        if asyncio.get_running_loop() is not self.loop:
            return None
        for pair in reversed(self._idle):
            if pair[0] == key:
                self._idle.remove(pair)
                connection = pair[1]
                if not (connection.is_lost or connection.has_unread):
                    connection.resume()
                    await connection.reset()
                    return connection
                connection.terminate()
        return None

    def of(self, url: str) -> list[Connection]:
        """Those to a database."""
        return [connection for key, connection in self._idle if key[0] == url]

    def forget(self, url: str) -> None:
        """The database is dropped."""
        self._keep_only([pair for pair in self._idle if pair[0][0] != url])

    def _keep_only(self, pairs: list[tuple[Key, Connection]]) -> None:
        for pair in self._idle:
            if pair not in pairs:
                pair[1].terminate()
        self._idle = pairs


#: Those of this process.
CONNECTIONS = Connections()


class KeptDatabase(Database):
    """What it does not need any more, the next one that connects in the same way gets."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._key = (
            url,
            self._connect_seconds_max,
            self._statement_seconds_max,
            self._lock_seconds_max,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        async with super().opened():
            try:
                yield
            finally:
                self._keep(self._pool)

    def _keep(self, pool: ConnectionPool[Connection]) -> None:
        kept = [each for each in pool._idle if CONNECTIONS.keep(self._key, each)]
        pool._idle = [each for each in pool._idle if each not in kept]
        pool._count -= len(kept)

    async def _connect(self) -> Connection:
        return await CONNECTIONS.take(self._key) or await super()._connect()
