"""What a test leaves on a connection is not there for the next one that uses it."""

import asyncio

import pytest

from orchestrator.core.database import Connection, connect
from tests.connections import CONNECTIONS, KeptDatabase

LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"


async def test_the_next_database_gets_the_connection_as_if_it_was_new(shared_database: str) -> None:
    database = KeptDatabase(shared_database, statement_seconds_max=7)
    async with database.opened(), database.connection() as conn:
        first = conn.get_server_pid()
        await conn.execute("SELECT pg_advisory_lock(1); SET statement_timeout = 1")

    database = KeptDatabase(shared_database, statement_seconds_max=7, connections_max=2)
    async with database.opened(), database.connection() as conn:
        assert conn.get_server_pid() == first
        assert await conn.fetchval(LOCKS) == 0
        assert await conn.fetchval("SHOW statement_timeout") == "7s"
        assert await conn.fetchval("SELECT '[1]'::jsonb") == [1]

    database = KeptDatabase(shared_database, statement_seconds_max=8)
    async with database.opened(), database.connection() as conn:
        assert conn.get_server_pid() != first


@pytest.mark.parametrize("state", ["in a transaction", "closed", "closed by the server"])
async def test_one_that_is_not_whole_is_not_kept(shared_database: str, state: str) -> None:
    conn: Connection = await connect(shared_database)
    if state == "in a transaction":
        await conn.execute("BEGIN")
    elif state == "closed":
        await conn.close()
    else:
        with pytest.raises(Exception, match="terminating connection"):
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert not CONNECTIONS.keep((state,), conn)
    assert await CONNECTIONS.take((state,)) is None
    if not conn.is_closed():
        await conn.close()


def test_what_a_test_leaves_running_is_ended(shared_database: str) -> None:
    assert CONNECTIONS.loop is not None
    task = CONNECTIONS.loop.create_task(asyncio.sleep(60))
    CONNECTIONS.end_tasks()
    assert task.cancelled()
