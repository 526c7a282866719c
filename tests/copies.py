"""Copies of the migrated template, each for one test after the other."""

import asyncio
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

import asyncpg

from orchestrator.core.database import Connection
from tests.connections import CONNECTIONS
from tests.databases import URL_VARIABLE, url_of

#: What changes with any definition, right, setting, or statistics, but not with rows.
DEFINITIONS = (
    "SELECT concat_ws(' '"
    + "".join(
        f", (SELECT (count(*), max(xmin::text::bigint)) FROM pg_{catalogue} WHERE {condition})"
        for catalogue, condition in (
            *(
                (name, "oid >= 16384")
                for name in ("class", "constraint", "proc", "trigger", "type")
            ),
            ("attribute", "attrelid >= 16384"),
            ("index", "indrelid >= 16384"),
            ("statistic", "starelid >= 16384"),
            (
                "db_role_setting",
                "setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())",
            ),
        )
    )
    + ", (SELECT array_agg(version_num) FROM alembic_version)"
    ", (SELECT (datallowconn, datconnlimit) FROM pg_database WHERE datname = current_database()))"
)
BYTES = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE oid >= 16384"
#: Rows that are deleted are still read over; more of them than this slow the next test.
LEFT_BYTES_MAX = 4 << 20
TABLES = (
    "SELECT tablename FROM pg_tables"
    " WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
)
END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL ($1::int[])"
)


class Copies:
    """Copies of a template. A thread makes the next one while a test uses this one, and empties
    those that were used: a test waits for neither.

    To empty a copy takes a fifth of making one, and connections to it stay. One whose definitions
    a test changed, or that it filled, is dropped.
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._orders: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._runner: asyncio.Runner
        self._server: Connection
        #: By the copy they are connected to.
        self._connections: dict[str, Connection] = {}
        #: Those of a copy that nobody has changed.
        self._definitions = self._empty = ""
        self._ready: deque[tuple[str, Future[bool]]] = deque()

    def take(self) -> str:
        """The name of a database that is as the migrations made it."""
        while True:
            name, is_ready = self._ready.popleft() if self._ready else self._make()
            if not self._ready:
                self._ready.append(self._make())
            if is_ready.result():
                return name
            CONNECTIONS.forget(url_of(name))

    def give_back(self, name: str) -> None:
        """The test is over: what it left goes, and so does who is still connected."""
        kept = [each.get_server_pid() for each in CONNECTIONS.of(url_of(name))]
        self._ready.append((name, self._order(self._clean, name, kept)))

    def new(self) -> str:
        """The name of a database in which there never was a row."""
        name, is_ready = self._make()
        is_ready.result()
        return name

    def drop(self, name: str) -> None:
        """Soon, whoever is still connected to it."""
        CONNECTIONS.forget(url_of(name))
        self._order(self._drop, name)

    def close(self) -> None:
        """Drop those that nobody has, and wait for all of it."""
        if self._thread is None:
            return
        for name, _ in self._ready:
            self.drop(name)
        self._orders.put(None)
        self._thread.join()

    def _make(self) -> tuple[str, "Future[bool]"]:
        name = f"test_{uuid4().hex[:12]}"
        return name, self._order(self._copy, name)

    def _order(
        self, work: Callable[..., Coroutine[Any, Any, bool]], *arguments: object
    ) -> "Future[bool]":
        done: Future[bool] = Future()

        def run() -> None:
            try:
                done.set_result(self._runner.run(work(*arguments)))
            except BaseException as error:  # noqa: BLE001 - raised to the test that needs it.
                done.set_exception(error)

        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="databases", daemon=True)
            self._thread.start()
        self._orders.put(run)
        return done

    # ------------------------------------------------------------------------- in the thread

    def _work(self) -> None:
        with asyncio.Runner() as self._runner:
            self._server = self._runner.run(self._connect(os.environ[URL_VARIABLE]))
            while (order := self._orders.get()) is not None:
                order()
            for each in (*self._connections.values(), self._server):
                each.terminate()

    async def _connect(self, url: str) -> Connection:
        connection: Connection = await asyncpg.connect(url, connection_class=Connection)
        return connection

    async def _copy(self, name: str) -> bool:
        await self._server.execute(
            f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY file_copy"
        )
        if not self._definitions:
            connection = await self._connection(name)
            self._definitions = await connection.fetchval(DEFINITIONS)
            tables = [row["tablename"] for row in await connection.fetch(TABLES)]
            self._empty = ";".join(f"DELETE FROM {table}" for table in tables)
        return True

    async def _clean(self, name: str, kept: Sequence[int]) -> bool:
        """Whether it is as new; else it is dropped."""
        try:
            connection = await self._connection(name)
            await connection.fetch(END_OTHERS, kept)
            unchanged = await connection.fetchval(DEFINITIONS) == self._definitions
            if unchanged and await connection.fetchval(BYTES) < LEFT_BYTES_MAX:
                await connection.execute(self._empty)
                return True
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass  # Whatever it is: there is another one soon.
        return await self._drop(name)

    async def _drop(self, name: str) -> bool:
        if connection := self._connections.pop(name, None):
            connection.terminate()
        await self._server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        return False

    async def _connection(self, name: str) -> Connection:
        if name not in self._connections:
            connection = await self._connect(url_of(name))
            # Triggers and foreign keys would ask of each row what is true when all are gone.
            await connection.execute("SET session_replication_role = replica")
            self._connections[name] = connection
        return self._connections[name]
