"""A real PostgreSQL for every test: by URL, else in a container, else the embedded one."""

import asyncio
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import hypothesis
import pytest

import orchestrator.app
import orchestrator.wiring.services
from orchestrator.app import create_app
from orchestrator.core.database import Connection, connect
from orchestrator.handlers.http.edge import Edge
from orchestrator.migration import upgrade
from orchestrator.settings import Settings
from orchestrator.telemetry.logs import LINES
from orchestrator.wiring.services import build
from tests import guardian
from tests.api import Api
from tests.connections import CONNECTIONS, KeptDatabase
from tests.copies import Copies
from tests.databases import URL_VARIABLE, run, start_postgres, url_of
from tests.route_tables import RouteTables, WrittenOnce

pytest_plugins = [
    "tests.scheduling",
    "tests.radosgw",
    "tests.collecting",
    "tests.browser",
    "tests.warm.client",
    "tests.seeds",
]

TOKEN = "a-token-for-tests"
FOLDER_VARIABLE = "TEST_FOLDER"
#: What memory must have room for: the databases of the workers, and one with many rows.
MEMORY_BYTES_MIN = 4 << 30

UNMEASURED = pytest.StashKey[bool]()
#: A test with one of these is slow if it is repeated: its first case is quick.
REPEATED_SLOWLY = {"copies", "radosgw"}
SLOW_FOLDERS = {Path(__file__).with_name(name) for name in ("server", "embedded", "docs", "tools")}

#: A run starts a hundred Pythons: whoever forbids bytecode would compile the product in each.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

_running = ExitStack()
#: Every application of this process has the routes that were written down and registered once.
ROUTES = RouteTables()
_app = vars(orchestrator.app)
_app["Litestar"] = ROUTES
_from_handlers = {name for name in _app if name.endswith("_routes")}
_from_handlers -= {"fast_routes", "reference_routes"}  # They list what the others made.
_app |= {name: WrittenOnce(_app[name]) for name in _from_handlers}
vars(orchestrator.wiring.services)["Database"] = KeptDatabase


def logged(captured: pytest.CaptureFixture[bytes]) -> bytes:
    """What was logged since the last time, also what would have waited for company."""
    LINES.drain()
    return captured.readouterr().err


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Iterator[None]:
    """What a part of a test logs is written before its output is no longer captured."""
    try:
        yield
    finally:
        LINES.drain()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Nothing of a test goes on during the next one."""
    try:
        yield
    finally:
        CONNECTIONS.end_tasks()
        LINES.drain()


pytest_runtest_setup = pytest_runtest_call


@pytest.hookimpl(tryfirst=True)  # Before pytest chooses the place for temporary files.
def pytest_configure(config: pytest.Config) -> None:
    """One server for all workers of the run: started by the first process, found by the others."""
    if FOLDER_VARIABLE not in os.environ:
        memory = _fast_place()
        folder = Path(tempfile.mkdtemp(prefix="orchestrator-test-", dir=memory))
        if memory and not config.option.basetemp:
            config.option.basetemp = str(folder / "tmp")
        os.environ[FOLDER_VARIABLE] = str(folder)
        os.environ[guardian.RUN_VARIABLE] = uuid4().hex
        _running.enter_context(_guarded(folder))
    if URL_VARIABLE not in os.environ:
        os.environ[URL_VARIABLE] = start_postgres(Path(os.environ[FOLDER_VARIABLE]), _running)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is left out need not be imported."""
    is_left_out = config.option.markexpr == "not slow" and collection_path in SLOW_FOLDERS
    return is_left_out or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whole folders whose tests start processes of their own; others say so where they stand.

    Coverage does not count what is slow or has generated examples: to measure that takes twice as
    long, and could only make it more. Workers get what is slow first, so that in the end they do
    not wait for one of them.
    """
    seen: set[str] = set()
    for item in items:
        name = item.nodeid.partition("[")[0]
        if name in seen and not REPEATED_SLOWLY.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        generated = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if generated or item.get_closest_marker("slow"):
            item.stash[UNMEASURED] = True
        seen.add(name)
        if item.path.parent in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: it is not searched for garbage, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Coverage pauses for a test that is not measured, and for its fixtures."""
    plugin = item.config.pluginmanager.get_plugin("_cov")
    controller = plugin and plugin.cov_controller
    if controller is None or UNMEASURED not in item.stash:
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


def pytest_unconfigure(config: pytest.Config) -> None:
    _running.close()


def _fast_place() -> str | None:
    """Memory, if it has room: a database waits for the disk at each commit and for each copy."""
    memory = "/dev/shm"
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_BYTES_MIN:
        return memory
    return None


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """However this run ends, its processes do, and its folder is removed."""
    command = [sys.executable, "-I", "-S", guardian.__file__]
    process = subprocess.Popen(
        [*command, os.environ[guardian.RUN_VARIABLE], str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield
    finally:
        process.stdin.close()
        process.wait()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """All tests of a process share an event loop, as all requests to a server do."""
    return "asyncio"


@pytest.fixture(scope="session")
async def connections(anyio_backend: str) -> AsyncIterator[None]:
    """Connections are used again, as long as the event loop is."""
    async with CONNECTIONS.opened():
        yield


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """The migrated schema, built once per worker by the real migrations."""
    name = f"template_{uuid4().hex[:12]}"
    run(f"CREATE DATABASE {name}")
    upgrade(url_of(name))
    yield name
    run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def copies(template: str) -> Iterator[Copies]:
    """Copies of the template, made ahead."""
    made = Copies(template)
    yield made
    made.close()


@pytest.fixture(scope="session")
def worker_database(copies: Copies) -> Iterator[str]:
    """A copy in which every test rolls back."""
    name = copies.new()
    yield url_of(name)
    copies.drop(name)


@pytest.fixture(scope="session")
def shared_database(copies: Copies, connections: None) -> Iterator[str]:
    """A copy in which every test commits, in a namespace of its own."""
    name = copies.new()
    url = url_of(name)
    # Some tests write rows of their own; the storage must belong to them before.
    asyncio.run(_join_storage(url))
    yield url
    copies.drop(name)


async def _join_storage(url: str) -> None:
    container = build(settings_for(url))
    async with container.database.opened(), container.database.connection() as conn:
        await container.identity.confirm(conn)


@pytest.fixture
def fresh_database(copies: Copies, connections: None) -> Iterator[str]:
    """A copy of its own, for tests that must commit."""
    name = copies.take()
    url = url_of(name)
    yield url
    shutil.rmtree(urlsplit(_blob_store(url)).path, ignore_errors=True)
    copies.give_back(name)


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Connection]:
    """A connection to the test's own database, beside those of the application."""
    key = (fresh_database, "database")
    connection = await CONNECTIONS.take(key) or await asyncpg.connect(
        fresh_database, connection_class=Connection
    )
    yield connection
    if not CONNECTIONS.keep(key, connection):
        await connection.close()


@pytest.fixture
async def conn(worker_database: str, connections: None) -> AsyncIterator[Connection]:
    """A transaction that is always rolled back: for repository and service tests."""
    key = (worker_database, "conn")
    connection = await CONNECTIONS.take(key) or await connect(worker_database)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    if not CONNECTIONS.keep(key, connection):
        await connection.close()


def _blob_store(url: str) -> str:
    """One folder for each database: the two belong together."""
    folder = Path(os.environ[FOLDER_VARIABLE]) / "blobs"
    return (folder / urlsplit(url).path.strip("/")).as_uri()


def settings_for(url: str, **changed: object) -> Settings:
    """Settings of a server on this database that knows the test token."""
    values: dict[str, Any] = {
        "database_url": url,
        "admin_token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "allowed_hosts": ("test",),
        "blob_store": _blob_store(url),
        "disk_free_bytes_min": 0,
        **changed,
    }
    return Settings(**values)


@pytest.fixture
def empty_database() -> Iterator[str]:
    """A database that was never migrated."""
    name = f"empty_{uuid4().hex[:12]}"
    run(f"CREATE DATABASE {name}")
    yield url_of(name)
    run(f"DROP DATABASE {name} WITH (FORCE)")


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
