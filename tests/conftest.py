"""A real PostgreSQL for every test: by URL, else in a container, else the embedded one."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import docker
import docker.errors
import pytest
from testcontainers.community.postgres import PostgresContainer

from orchestrator.app import create_app
from orchestrator.core.database import Connection, connect
from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.handlers.http.edge import Edge
from orchestrator.migration import upgrade
from orchestrator.settings import Settings
from orchestrator.telemetry.logs import LINES
from orchestrator.wiring.services import build
from tests.api import Api

pytest_plugins = ["tests.radosgw"]

URL_VARIABLE = "TEST_DATABASE_URL"
TOKEN = "a-token-for-tests"

_running = ExitStack()


def logged(captured: pytest.CaptureFixture[bytes]) -> bytes:
    """What was logged since the last time, also what would have waited for company."""
    LINES.flush()
    return captured.readouterr().err


@pytest.fixture(autouse=True)
def _lines_belong_to_their_test() -> Iterator[None]:
    yield
    LINES.flush()


def pytest_configure(config: pytest.Config) -> None:
    """One server for all workers of the run: started by the first process, found by the others."""
    if URL_VARIABLE not in os.environ:
        os.environ[URL_VARIABLE] = _start_postgres()


def pytest_unconfigure(config: pytest.Config) -> None:
    _running.close()


def _start_postgres() -> str:
    if _docker_answers():
        container = _running.enter_context(PostgresContainer("postgres:18", driver=None))
        return str(container.get_connection_url())
    folder = Path(_running.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-test-")))
    server = EmbeddedPostgres(folder / "postgres")
    url = server.start()
    _running.callback(server.stop)
    return url


def _docker_answers() -> bool:
    try:
        docker.DockerClient.from_env().ping()
    except docker.errors.DockerException:
        return False
    return True


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


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """The migrated schema, built once per worker by the real migrations."""
    name = f"template_{uuid4().hex[:12]}"
    run(f"CREATE DATABASE {name}")
    upgrade(url_of(name))
    yield name
    run(f"DROP DATABASE {name} WITH (FORCE)")


def _clone(template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield url_of(name)
    run(f"DROP DATABASE {name} WITH (FORCE)")
    shutil.rmtree(urlsplit(_blob_store(url_of(name))).path, ignore_errors=True)


@pytest.fixture(scope="session")
def worker_database(template: str) -> Iterator[str]:
    """A copy in which every test rolls back."""
    yield from _clone(template)


@pytest.fixture(scope="session")
def shared_database(template: str) -> Iterator[str]:
    """A copy in which every test commits, in a namespace of its own."""
    for url in _clone(template):
        # Some tests write rows of their own; the storage must belong to them before.
        asyncio.run(_join_storage(url))
        yield url


async def _join_storage(url: str) -> None:
    container = build(settings_for(url))
    async with container.database.opened(), container.database.connection() as conn:
        await container.identity.confirm(conn)


@pytest.fixture
def fresh_database(template: str) -> Iterator[str]:
    """A copy of its own, for tests that must commit."""
    yield from _clone(template)


@pytest.fixture
async def conn(worker_database: str) -> AsyncIterator[Connection]:
    """A transaction that is always rolled back: for repository and service tests."""
    connection = await connect(worker_database)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


def _blob_store(url: str) -> str:
    """One folder for each database: the two belong together."""
    folder = Path(tempfile.gettempdir()) / "orchestrator-test-blobs"
    return (folder / urlsplit(url).path.strip("/")).as_uri()


def settings_for(url: str, **changed: object) -> Settings:
    """Settings of a server on this database that knows the test token."""
    values: dict[str, object] = {
        "database_url": url,
        "admin_token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "allowed_hosts": ("test",),
        "blob_store": _blob_store(url),
        "disk_free_bytes_min": 0,
        **changed,
    }
    return Settings(**values)  # type: ignore[arg-type]


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid4().hex[:12]}"


@pytest.fixture
def make_app(shared_database: str, namespace: str) -> Callable[..., Edge]:
    """The real application, with some settings changed."""
    settings = {"namespace_default": namespace}
    return lambda **changed: create_app(settings_for(shared_database, **{**settings, **changed}))


@pytest.fixture
async def api(make_app: Callable[..., Edge]) -> AsyncIterator[Api]:
    """A client of the real application, in process, in a namespace of its own."""
    async with Api.on(make_app(), TOKEN) as api:
        yield api


@pytest.fixture
async def fresh_api(fresh_database: str) -> AsyncIterator[Api]:
    """A client of the real application on a database of its own."""
    async with Api.on(create_app(settings_for(fresh_database)), TOKEN) as api:
        yield api
