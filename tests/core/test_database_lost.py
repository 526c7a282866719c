"""Connections that are lost: which requests notice, and what they are told."""

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from orchestrator.core.database import Database
from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.errors import NotFound, OutcomeUnknown, StorageUnavailable
from tests.embedded.clusters import postmaster
from tests.losing_proxy import LosingProxy


async def kill(url: str, *pids: int) -> None:
    """End these connections on the side of the server, and let that be noticed."""
    admin = await asyncpg.connect(url)
    for pid in pids:
        await admin.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await admin.close()
    await asyncio.sleep(0.02)


async def used(database: Database) -> int:
    """The process of a connection that was in use for a moment, together with others."""
    async with database.connection() as conn:
        await conn.fetchval("SELECT pg_sleep(0.02)")
        return conn.get_server_pid()


async def test_a_connection_that_was_lost_while_idle_is_not_lent(shared_database: str) -> None:
    database = Database(shared_database, connections_max=3)

    async with database.opened():
        pids = await asyncio.gather(*(used(database) for _ in range(3)))
        await kill(shared_database, *pids)
        again = await asyncio.gather(*(used(database) for _ in range(5)))
        assert len(set(again)) == 3
        assert not set(again) & set(pids)


async def test_a_connection_that_is_lost_as_it_is_lent_is_made_anew(shared_database: str) -> None:
    database = Database(shared_database, connections_max=1)

    async def use() -> int:
        async with database.connection() as conn:
            return int(await conn.fetchval("SELECT 1"))

    async with database.opened():
        async with database.connection() as conn:
            waiting = asyncio.create_task(use())
            await asyncio.sleep(0.01)
        conn.terminate()  # It was lent to the one that waits, which has not run since.
        assert await waiting == 1


async def test_a_statement_that_was_never_sent_has_no_unknown_outcome(
    shared_database: str,
) -> None:
    database = Database(shared_database)
    async with database.opened():
        with pytest.raises(StorageUnavailable) as raised:
            async with database.write() as conn:
                conn.terminate()
                await conn.execute("SELECT 1")
        assert not isinstance(raised.value, OutcomeUnknown)
        with pytest.raises(StorageUnavailable) as raised:
            async with database.transaction() as conn:
                await conn.execute("SELECT 1")
                conn.terminate()
        assert not isinstance(raised.value, OutcomeUnknown)


async def test_what_is_lost_before_the_commit_was_not_done_and_after_it_nobody_knows(
    shared_database: str,
) -> None:
    async with LosingProxy.before(shared_database) as proxy:
        database = Database(proxy.url)
        async with database.opened():
            with pytest.raises(StorageUnavailable) as raised:
                async with database.transaction() as conn:
                    await kill(shared_database, conn.get_server_pid())
                    await conn.execute("SELECT 1")
            assert not isinstance(raised.value, OutcomeUnknown)
            proxy.is_armed = True
            told: list[int] = []
            with pytest.raises(OutcomeUnknown):
                async with database.transaction() as conn:
                    conn.after_commit(lambda: told.append(1))
                    await conn.execute("SELECT 1")
            assert (told, len(proxy.lost)) == ([], 1)
            with pytest.raises(NotFound):
                async with database.transaction():
                    raise NotFound("thing", "x")


def kill_unnoticed(url: str, *pids: int) -> None:
    """The same, while the event loop looks away."""
    thread = threading.Thread(target=lambda: asyncio.run(kill(url, *pids)))
    thread.start()
    thread.join()


async def test_connections_that_end_while_the_event_loop_is_busy_are_not_lent(
    shared_database: str,
) -> None:
    database = Database(shared_database, connections_max=4)

    async with database.opened():
        for opened in (database.connection, database.write, database.transaction):
            pids = await asyncio.gather(*(used(database) for _ in range(4)))
            kill_unnoticed(shared_database, *pids)
            async with opened() as conn:
                assert await conn.fetchval("SELECT 1") == 1
                assert conn.get_server_pid() not in pids
        assert len(set(await asyncio.gather(*(used(database) for _ in range(9))))) == 4


async def test_a_connection_whose_end_was_announced_is_not_lent(shared_database: str) -> None:
    async with LosingProxy.before(shared_database) as proxy:
        database = Database(proxy.url)
        async with database.opened():
            for opened in (database.connection, database.write, database.transaction):
                async with database.connection() as conn:
                    pid = await conn.fetchval("SELECT pg_backend_pid()")
                await proxy.announce_end()
                async with opened() as conn:
                    assert await conn.fetchval("SELECT pg_backend_pid()") != pid


async def test_an_end_that_is_announced_while_a_connection_is_lent_has_no_unknown_outcome(
    shared_database: str,
) -> None:
    async with LosingProxy.before(shared_database) as proxy:
        database = Database(proxy.url)
        async with database.opened():
            for opened in (database.connection, database.write, database.transaction):
                with pytest.raises(StorageUnavailable) as raised:
                    async with opened() as conn:
                        await conn.fetchval("SELECT 1")
                        await proxy.announce_end()
                        await conn.fetchval("SELECT 1")
                assert not isinstance(raised.value, OutcomeUnknown)
                async with opened() as conn:
                    assert await conn.fetchval("SELECT 1") == 1


async def test_a_commit_after_the_end_was_announced_is_known_not_to_have_taken_place(
    shared_database: str,
) -> None:
    async with LosingProxy.before(shared_database) as proxy:
        database = Database(proxy.url)
        async with database.opened():
            with pytest.raises(StorageUnavailable) as raised:
                async with database.transaction():
                    await proxy.announce_end()
            assert not isinstance(raised.value, OutcomeUnknown)


async def test_a_transaction_whose_connection_is_lost_as_it_begins_is_begun_again_once(
    shared_database: str,
) -> None:
    async with LosingProxy.before(shared_database) as proxy:
        database = Database(proxy.url)
        async with database.opened():
            async with database.connection() as conn:
                await conn.fetchval("SELECT 1")
            proxy.cuts = 1
            async with database.transaction() as conn:
                assert await conn.fetchval("SELECT 1") == 1
            assert proxy.cuts == 0
            proxy.cuts = 100
            with pytest.raises(StorageUnavailable) as raised:
                async with database.transaction():
                    pass
            assert not isinstance(raised.value, OutcomeUnknown)
            assert proxy.cuts == 100 - 2
            proxy.cuts = 0


async def test_a_statement_that_was_sent_is_not_sent_again(shared_database: str) -> None:
    async with LosingProxy.before(shared_database) as proxy:
        database = Database(proxy.url)
        async with database.opened():
            async with database.connection() as conn:
                await conn.fetchval("SELECT 1")
            proxy.cuts = 1
            with pytest.raises(OutcomeUnknown):
                async with database.write() as conn:
                    await conn.execute("SELECT 1")
            proxy.cuts = 0


@pytest.mark.slow
async def test_after_a_restart_of_postgresql_no_request_fails(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    database = Database(server.start())

    async def use(opened: Any) -> None:
        async with opened() as conn:
            await conn.fetchval("SELECT pg_sleep(0.01)")

    async with database.opened():
        for _ in range(2):
            await asyncio.gather(*(use(database.connection) for _ in range(8)))
            os.kill(postmaster(tmp_path / "postgres"), signal.SIGINT)
            server.wait()
            server.start()
            kinds = [database.connection, database.write, database.transaction] * 6
            await asyncio.gather(*(use(each) for each in kinds))
    server.stop()
