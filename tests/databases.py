"""Databases for tests: one PostgreSQL for a run, and copies of a migrated template."""

import asyncio
import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from orchestrator.embedded.cluster import EmbeddedPostgres

URL_VARIABLE = "TEST_DATABASE_URL"


def start_postgres(folder: Path, running: ExitStack) -> str:
    """One server for all workers of the run, ended by `running`."""
    if url := _url_of_container(running):
        return url
    server = EmbeddedPostgres(folder / "postgres")
    url = server.start()
    running.callback(server.stop)
    # Half of what a connection costs is to repeat the hash of its password.
    password = urlsplit(url).password
    run(f"SET scram_iterations = 1; ALTER ROLE CURRENT_USER PASSWORD '{password}'", url)
    return url


def _url_of_container(running: ExitStack) -> str | None:
    """Where Docker answers. Imported here, as only one process of a run asks."""
    import docker  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        docker.DockerClient.from_env().ping()
    except DockerException:
        return None
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    container = running.enter_context(PostgresContainer("postgres:18", driver=None))
    return str(container.get_connection_url())


def run(statement: str, url: str | None = None) -> None:
    """One statement on a connection of its own, outside any event loop."""

    async def execute() -> None:
        connection = await asyncpg.connect(url or os.environ[URL_VARIABLE])
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute())


def url_of(name: str) -> str:
    """The test server's URL, with another database."""
    base, _, query = os.environ[URL_VARIABLE].partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


class Copies:
    """Copies of a template. A thread makes the next one while a test uses this one, and drops those
    that were used: a test waits for neither.
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._orders: queue.SimpleQueue[tuple[str, Future[None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._next: tuple[str, Future[None]] | None = None

    def take(self) -> str:
        """The name of a database that is as the migrations made it."""
        name, made = self._next or self._make()
        self._next = self._make()
        made.result()
        return name

    def drop(self, name: str) -> None:
        """Soon, whoever is still connected to it."""
        self._order(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Drop the one that nobody took, and wait for all of it."""
        if self._thread is None:
            return
        if self._next is not None:
            self.drop(self._next[0])
        self._orders.put(None)
        self._thread.join()

    def _make(self) -> tuple[str, Future[None]]:
        name = f"test_{uuid4().hex[:12]}"
        statement = f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY file_copy"
        return name, self._order(statement)

    def _order(self, statement: str) -> "Future[None]":
        done: Future[None] = Future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="databases", daemon=True)
            self._thread.start()
        self._orders.put((statement, done))
        return done

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            conn = loop.run_until_complete(asyncpg.connect(os.environ[URL_VARIABLE]))
            while (order := self._orders.get()) is not None:
                statement, done = order
                try:
                    loop.run_until_complete(conn.execute(statement))
                except BaseException as error:  # noqa: BLE001 - raised to the test that needs it.
                    done.set_exception(error)
                else:
                    done.set_result(None)
            loop.run_until_complete(conn.close())


def copy_of(copies: Copies) -> Iterator[str]:
    """The URL of a copy that is dropped afterwards."""
    name = copies.take()
    yield url_of(name)
    copies.drop(name)
