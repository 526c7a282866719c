"""One PostgreSQL for all workers of a test run."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

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
