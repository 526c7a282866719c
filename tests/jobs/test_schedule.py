"""Collections at an interval: one server of all does them, and another goes on after a crash."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from orchestrator.core.database import Connection, Database
from orchestrator.errors import MaintenanceHeld, StorageUnavailable
from orchestrator.jobs.collection import Collection
from orchestrator.jobs.schedule import JOB, Schedule
from orchestrator.jobs.write_gate import WriteGate
from orchestrator.models.upkeep.gc import GC_START, CollectedPage, GCPosition
from orchestrator.repository.upkeep.lease import LeaseRepository
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository
from orchestrator.service.upkeep.gc import GCService
from orchestrator.service.upkeep.lease import LeaseService
from orchestrator.settings import Settings
from orchestrator.telemetry import metrics
from orchestrator.wiring.services import build
from tests.api import Api
from tests.collecting import LARGE, UNLOCK, objects, serving, upload
from tests.losing_proxy import LosingProxy

LEASE_SECONDS = 0.4


@pytest.fixture
async def api(server_settings: Callable[..., Settings]) -> AsyncIterator[Api]:
    async with serving(server_settings()) as api:
        yield api


async def counts(database: Connection) -> tuple[int, ...]:
    tables = ("artifact", "cas_blob", "cas_lease")
    return tuple([await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables])


@pytest.fixture
def outcomes() -> Callable[[str], float]:
    def value(outcome: str) -> float:
        return metrics.GC_RUNS.labels(outcome).value

    before = {outcome: value(outcome) for outcome in ("done", "held", "failed")}
    return lambda outcome: value(outcome) - before[outcome]


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells of a count.
            await asyncio.sleep(0.01)


async def test_a_server_collects_by_itself_and_ends_with_its_shutdown(
    server_settings: Callable[..., Settings],
    api: Api,
    database: Connection,
    outcomes: Callable[[str], float],
) -> None:
    await upload(api, database, b"small", bytes(LARGE))
    async with serving(server_settings(gc_interval_seconds=0.05, gc_page_items=1)):
        await until(lambda: outcomes("done") >= 2)
    assert await counts(database) == (0, 0, 0)
    assert objects(server_settings()) == []
    done = outcomes("done")
    await asyncio.sleep(0.2)
    assert outcomes("done") == done
    assert [task for task in asyncio.all_tasks() if "Schedule" in repr(task)] == []


async def test_without_an_interval_nothing_is_collected(
    server_settings: Callable[..., Settings], outcomes: Callable[[str], float]
) -> None:
    async with serving(server_settings(gc_interval_seconds=0)):
        await asyncio.sleep(0.2)
        assert [task for task in asyncio.all_tasks() if "Schedule" in repr(task)] == []
    assert outcomes("done") == 0


async def test_the_schedule_survives_a_backup_a_dead_storage_and_a_defect(
    server_settings: Callable[..., Settings],
    api: Api,
    database: Connection,
    outcomes: Callable[[str], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await upload(api, database, b"garbage")
    maintenance = MaintenanceRepository()
    await maintenance.lock_exclusive(database)
    async with serving(server_settings(gc_interval_seconds=0.05)):
        await until(lambda: outcomes("held") >= 2)
        for fault in (StorageUnavailable, ZeroDivisionError):
            failed = outcomes("failed")

            async def failing(*_: Any, fault: type[Exception] = fault, **__: Any) -> Any:
                raise fault

            with monkeypatch.context() as patched:
                patched.setattr(GCService, "collect", failing)
                await until(lambda failed=failed: outcomes("failed") >= failed + 2)  # type: ignore[misc]
        assert outcomes("done") == 0
        await database.execute(UNLOCK)
        await until(lambda: outcomes("done") >= 1)
    assert await counts(database) == (0, 0, 0)


class Server:
    """The schedule of one server of several on the same database."""

    def __init__(
        self, settings: Settings, *, interval_seconds: float, page_items: int = 10
    ) -> None:
        c = build(settings)
        self.database: Database = c.database
        self.collection = Pausing(c.database, c.gc, WriteGate(c.database, c.identity, c.disk))
        self.schedule = Schedule(
            c.database,
            LeaseService(LeaseRepository(), seconds=LEASE_SECONDS),
            self.collection,
            interval_seconds=interval_seconds,
            page_items=page_items,
        )


class Pausing(Collection):
    """A collection whose pages wait until they are let go."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.pages = 0
        self.page_seconds = 0.0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def collect(
        self, at: GCPosition = GC_START, *, limit: int, dry_run: bool = False
    ) -> CollectedPage:
        self.pages += 1
        await self.go_on.wait()
        await asyncio.sleep(self.page_seconds)
        return await super().collect(at, limit=limit, dry_run=dry_run)


@pytest.fixture
async def servers(server_settings: Callable[..., Settings]) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def make(*, interval_seconds: float = 1_000, page_items: int = 10) -> Server:
            server = Server(
                server_settings(database_connections_max=1),
                interval_seconds=interval_seconds,
                page_items=page_items,
            )
            await stack.enter_async_context(server.database.opened())
            return server

        yield make


async def test_of_two_servers_one_collects(
    servers: Callable[..., Any], api: Api, database: Connection
) -> None:
    await upload(api, database, b"garbage")
    one, two = await servers(), await servers()
    outcomes = await asyncio.gather(one.schedule.collect(), two.schedule.collect())
    assert sorted(outcomes) == [False, True]
    assert min(one.collection.pages, two.collection.pages) == 0
    assert await counts(database) == (0, 0, 0)
    assert await two.schedule.collect() is False, "an interval has not passed"
    assert await one.schedule.collect() is False


#: Of this database: others of the cluster belong to other tests.
ADVISORY_LOCKS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE l.locktype = 'advisory' AND d.datname = current_database()
"""


async def test_while_a_collection_runs_no_connection_is_held(
    servers: Callable[..., Any], api: Api, database: Connection
) -> None:
    await upload(api, database, b"garbage")
    one = await servers()
    one.collection.go_on.clear()
    collecting = asyncio.create_task(one.schedule.collect())
    await until(lambda: one.collection.pages == 1)
    async with asyncio.timeout(1), one.database.connection() as conn:
        assert await conn.fetchval("SELECT 1") == 1, "the only connection of the pool"
    one.collection.go_on.set()
    assert await collecting is True
    assert await database.fetchval(ADVISORY_LOCKS) == 0


async def test_after_the_interval_the_next_collection_is_anybodys(
    servers: Callable[..., Any], api: Api
) -> None:
    one, two = await servers(interval_seconds=0.1), await servers(interval_seconds=0.1)
    assert await one.schedule.collect() is True
    assert await two.schedule.collect() is False
    await asyncio.sleep(0.15)
    assert await two.schedule.collect() is True


async def test_after_a_crash_of_the_collecting_server_another_one_goes_on_in_bounded_time(
    servers: Callable[..., Any], api: Api, database: Connection
) -> None:
    await upload(api, database, b"garbage")
    crashed, other = await servers(), await servers(interval_seconds=0.05)
    crashed.collection.go_on.clear()
    collecting = asyncio.create_task(crashed.schedule.collect())
    await until(lambda: crashed.collection.pages == 1)
    assert await other.schedule.collect() is False
    # It neither renews nor gives back from here on: what a process does that was killed.
    started = asyncio.get_running_loop().time()
    async with other.schedule.running():
        await until(lambda: other.collection.pages > 0, seconds=5)
    took = asyncio.get_running_loop().time() - started
    assert LEASE_SECONDS / 2 < took < LEASE_SECONDS * 3
    collecting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await collecting


async def test_a_server_that_is_shut_down_leaves_the_collection_to_another_at_once(
    servers: Callable[..., Any], api: Api, database: Connection
) -> None:
    await upload(api, database, b"garbage")
    one, two = await servers(interval_seconds=0.05), await servers()
    one.collection.go_on.clear()
    async with one.schedule.running():
        await until(lambda: one.collection.pages == 1)
    assert await two.schedule.collect() is True
    assert await counts(database) == (0, 0, 0)


async def test_a_long_collection_keeps_its_lease(
    servers: Callable[..., Any], api: Api, database: Connection
) -> None:
    await upload(api, database, *(b"garbage %d" % number for number in range(12)))
    one, two = await servers(page_items=1), await servers()

    one.collection.page_seconds = LEASE_SECONDS / 3
    collecting = asyncio.create_task(one.schedule.collect())
    await until(lambda: one.collection.pages == 1)
    started = asyncio.get_running_loop().time()
    while not collecting.done():
        assert await two.schedule.collect() is False
        await asyncio.sleep(0.02)
    assert await collecting is True
    assert asyncio.get_running_loop().time() - started > LEASE_SECONDS * 2
    assert await counts(database) == (0, 0, 0)


async def test_a_server_that_lost_its_lease_ends_after_its_page_and_takes_nothing_back(
    servers: Callable[..., Any], api: Api, database: Connection
) -> None:
    await upload(api, database, b"garbage", b"more")
    slow, other = await servers(page_items=1), await servers(page_items=1)
    slow.collection.go_on.clear()
    collecting = asyncio.create_task(slow.schedule.collect())
    await until(lambda: slow.collection.pages == 1)
    await asyncio.sleep(LEASE_SECONDS * 1.2)
    other.collection.go_on.clear()
    taken_over = asyncio.create_task(other.schedule.collect())
    await until(lambda: other.collection.pages == 1)
    slow.collection.go_on.set()
    await collecting
    assert slow.collection.pages == 1
    holds = "SELECT expires_at > now() FROM job_lease WHERE job = $1"
    assert await database.fetchval(holds, JOB), "the other one's lease is untouched"
    other.collection.go_on.set()
    assert await taken_over is True
    assert await counts(database) == (0, 0, 0)


async def test_a_collection_that_was_held_off_gives_its_lease_back(
    servers: Callable[..., Any], api: Api, database: Connection
) -> None:
    await upload(api, database, b"garbage")
    one = await servers(interval_seconds=0.05)
    await MaintenanceRepository().lock_exclusive(database)
    with pytest.raises(MaintenanceHeld):
        await one.schedule.collect()
    await database.execute(UNLOCK)
    await asyncio.sleep(0.1)
    assert await one.schedule.collect() is True
    assert await counts(database) == (0, 0, 0)


async def test_a_database_that_is_gone_at_the_end_leaves_the_lease_to_expire(
    server_settings: Callable[..., Settings], servers: Callable[..., Any], api: Api
) -> None:
    other = await servers(interval_seconds=0.05)
    async with LosingProxy.before(server_settings().database_url) as proxy:
        one = Server(server_settings(database_url=proxy.url), interval_seconds=0.05)
        one.collection.go_on.clear()
        async with one.database.opened():
            collecting = asyncio.create_task(one.schedule.collect())
            await until(lambda: one.collection.pages == 1)
            proxy.cuts = 1_000
            one.collection.go_on.set()
            with pytest.raises(StorageUnavailable):
                await collecting
    assert await other.schedule.collect() is False
    await asyncio.sleep(LEASE_SECONDS * 1.2)
    assert await other.schedule.collect() is True
