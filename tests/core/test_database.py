"""The pool: lending, waiting, losing and refusing connections, on a real server."""

import asyncio
import contextlib
import time

import asyncpg
import pytest

from orchestrator.core.database import Connection, Database
from orchestrator.errors import Contended, Locked, NotFound, StorageFull, StorageUnavailable
from tests.losing_proxy import LosingProxy


async def most_at_once(database: Database) -> int:
    """How many of five that want a connection have one at the same time; all of them get one."""
    having = [0]

    async def use() -> None:
        async with database.connection() as conn:
            having.append(having[-1] + 1)
            await conn.fetchval("SELECT 1")
            having.append(having[-1] - 1)

    async with asyncio.timeout(5):
        await asyncio.gather(*(use() for _ in range(5)))
    return max(having)


async def test_a_database_that_was_not_opened_lends_nothing(shared_database: str) -> None:
    with pytest.raises(StorageUnavailable):
        async with Database(shared_database).connection():
            pass


async def test_a_block_that_ends_commits_and_one_that_raises_rolls_back(
    fresh_database: str,
) -> None:
    database = Database(fresh_database, connections_max=1)
    async with database.opened():
        async with database.transaction() as conn:
            await conn.execute("CREATE TABLE t (n int)")
        with pytest.raises(NotFound):
            async with database.transaction() as conn:
                await conn.execute("INSERT INTO t VALUES (1)")
                raise NotFound("thing", "x")
        async with database.connection() as conn:
            assert await conn.fetchval("SELECT count(*) FROM t") == 0
        assert await most_at_once(database) == 1


async def test_a_connection_is_used_again_after_a_refusal(shared_database: str) -> None:
    database = Database(shared_database, connections_max=1)
    pids: set[int] = set()
    async with database.opened():
        for _ in range(3):
            with contextlib.suppress(NotFound):
                async with database.transaction() as conn:
                    pids.add(conn.get_server_pid())
                    raise NotFound("thing", "x")
    assert len(pids) == 1


async def test_who_waits_longest_is_served_first_and_who_waits_too_long_is_refused(
    shared_database: str,
) -> None:
    database = Database(shared_database, connections_max=1)
    order: list[int] = []

    async def use(number: int) -> None:
        async with database.connection() as conn:
            order.append(number)
            await conn.execute("SELECT pg_sleep(0.01)")

    async with database.opened():
        await asyncio.gather(*(use(number) for number in range(8)))
        assert order == list(range(8))
        async with database.connection():
            started = time.monotonic()
            database.acquire_seconds_max = 0.2
            with pytest.raises(StorageUnavailable, match="busy"):
                await use(9)
            assert 0.15 < time.monotonic() - started < 2


async def test_no_more_connections_are_made_than_allowed(shared_database: str) -> None:
    database = Database(shared_database, connections_max=3)
    pids: set[int] = set()

    async def use() -> None:
        async with database.connection() as conn:
            pids.add(conn.get_server_pid())
            await asyncio.sleep(0.005)

    async with database.opened():
        await asyncio.gather(*(use() for _ in range(30)))
    assert len(pids) == 3


async def test_a_waiter_that_is_cancelled_does_not_take_a_connection_with_it(
    shared_database: str,
) -> None:
    database = Database(shared_database, connections_max=1, acquire_seconds_max=1)

    async def use() -> None:
        async with database.connection():
            pass

    async with database.opened():
        for lent_first in (False, True):
            async with database.connection():
                waiting = asyncio.create_task(use())
                await asyncio.sleep(0.01)
                if not lent_first:
                    waiting.cancel()
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            await use()
        assert await most_at_once(database) == 1


async def test_a_cancelled_block_gives_its_connection_up(shared_database: str) -> None:
    database = Database(shared_database, connections_max=1)

    async def sleep() -> None:
        async with database.transaction() as conn:
            await conn.execute("SELECT pg_sleep(10)")

    async with database.opened():
        task = asyncio.create_task(sleep())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.connection() as conn:
            assert await conn.fetchval("SELECT 1") == 1


async def test_a_waiter_makes_the_connection_that_another_lost(shared_database: str) -> None:
    database = Database(shared_database, connections_max=1, acquire_seconds_max=5)

    async def lose() -> None:
        async with database.connection() as conn:
            await asyncio.sleep(0.05)
            conn.terminate()
            raise ZeroDivisionError

    async def use() -> int:
        async with database.connection() as conn:
            return int(await conn.fetchval("SELECT 1"))

    async with database.opened():
        lost, *found = await asyncio.gather(lose(), use(), use(), return_exceptions=True)
    assert isinstance(lost, ZeroDivisionError)
    assert found == [1, 1]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (asyncpg.DeadlockDetectedError("x"), Contended),
        (asyncpg.SerializationError("x"), Contended),
        (asyncpg.TooManyConnectionsError("x"), StorageUnavailable),
        (asyncpg.AdminShutdownError("x"), StorageUnavailable),
        (asyncpg.QueryCanceledError("x"), StorageUnavailable),
        (asyncpg.LockNotAvailableError("x"), Locked),
        (asyncpg.ReadOnlySQLTransactionError("x"), StorageUnavailable),
        (ConnectionResetError(), StorageUnavailable),
        (TimeoutError(), StorageUnavailable),
        (asyncpg.DiskFullError("x"), StorageFull),
        (asyncpg.UniqueViolationError("x"), asyncpg.UniqueViolationError),
        (asyncpg.InterfaceError("misuse"), asyncpg.InterfaceError),
    ],
)
async def test_what_the_driver_says_becomes_what_the_domain_knows(
    shared_database: str, raised: Exception, expected: type[Exception]
) -> None:
    database = Database(shared_database)
    async with database.opened():
        with pytest.raises(expected):
            async with database.connection():
                raise raised


async def test_a_statement_that_takes_too_long_is_ended(shared_database: str) -> None:
    database = Database(shared_database, statement_seconds_max=0.1)
    async with database.opened():
        with pytest.raises(StorageUnavailable):
            async with database.connection() as conn:
                await conn.execute("SELECT pg_sleep(5)")


async def test_a_commit_is_durable_whatever_the_default_of_the_server(
    fresh_database: str,
) -> None:
    admin = await asyncpg.connect(fresh_database)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await admin.close()
    database = Database(fresh_database)
    async with database.opened(), database.connection() as conn:
        assert await conn.fetchval("SHOW synchronous_commit") == "on"


async def test_connections_end_with_the_lifespan(fresh_database: str) -> None:
    database = Database(fresh_database)
    kept: list[Connection] = []
    async with database.opened(), database.connection() as conn:
        kept.append(conn)
    assert kept[0].is_closed()


async def test_a_wrong_password_is_a_database_that_cannot_answer(shared_database: str) -> None:
    user, _, rest = shared_database.partition("@")
    database = Database(f"{user}x@{rest}")
    async with database.opened():
        with pytest.raises(StorageUnavailable):
            async with database.connection():
                pass


async def test_the_room_of_a_lost_connection_belongs_to_who_waits_for_it(
    shared_database: str,
) -> None:
    database = Database(shared_database, connections_max=1)

    async def use() -> None:
        async with database.connection() as conn:
            await conn.fetchval("SELECT 1")

    async with database.opened():
        with pytest.raises(ZeroDivisionError):
            async with database.connection():
                waiting = asyncio.create_task(use())
                await asyncio.sleep(0.01)
                raise ZeroDivisionError
        assert await most_at_once(database) == 1
        await waiting


async def test_a_waiter_that_gives_up_as_it_is_lent_a_connection_gives_it_back(
    shared_database: str,
) -> None:
    database = Database(shared_database, connections_max=1)

    async def use() -> None:
        async with database.connection():
            pass

    async with database.opened():
        for is_lost in (False, True):
            with contextlib.suppress(ZeroDivisionError):
                async with database.connection():
                    waiting = asyncio.create_task(use())
                    await asyncio.sleep(0.01)
                    if is_lost:
                        raise ZeroDivisionError
            waiting.cancel()  # It was lent the connection, or the room for one, and has not run.
            with contextlib.suppress(asyncio.CancelledError):  # Or it was served all the same.
                await waiting
            await use()
            assert await most_at_once(database) == 1


async def test_a_commit_that_the_database_refuses_is_known_not_to_have_taken_place(
    fresh_database: str,
) -> None:
    database = Database(fresh_database)
    async with database.opened():
        async with database.transaction() as conn:
            await conn.execute(
                "CREATE TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
                "INSERT INTO t VALUES (1)"
            )
        with pytest.raises(asyncpg.UniqueViolationError):
            async with database.transaction() as conn:
                await conn.execute("INSERT INTO t VALUES (1)")


async def test_a_deadline_bounds_all_that_is_waited_for(shared_database: str) -> None:
    async with LosingProxy.before(shared_database) as proxy:
        database = Database(proxy.url, connections_max=3, writers_max=1)
        async with database.opened():
            soon = asyncio.get_running_loop().time() + 0.1
            async with asyncio.timeout(2), database.write():
                for opened in (database.write, database.transaction):  # There is no place.
                    with pytest.raises(StorageUnavailable):
                        async with opened(deadline=soon):
                            pass
                async with database.connection(), database.connection():
                    with pytest.raises(StorageUnavailable):  # There is no connection.
                        async with database.connection(deadline=soon):
                            pass
        proxy.thawed.clear()
        async with asyncio.timeout(2), database.opened():
            with pytest.raises(StorageUnavailable):  # None can be made.
                async with database.connection(deadline=soon):
                    pass


async def test_a_connection_stays_after_a_wait_for_a_lock_in_vain(shared_database: str) -> None:
    database = Database(shared_database, lock_seconds_max=0.01)
    lock = "SELECT pg_advisory_xact_lock(42)"
    pids: set[int] = set()
    async with database.opened(), database.transaction() as other:
        await other.execute(lock)
        for opened in (database.write, database.transaction, database.connection):
            with pytest.raises(Locked):
                async with opened() as conn:
                    pids.add(conn.get_server_pid())
                    await conn.execute(lock)
        async with database.transaction() as conn:
            pids.add(conn.get_server_pid())
    assert len(pids) == 1
