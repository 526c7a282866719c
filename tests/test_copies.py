"""A database is given to the next test only if it is as the migrations made it."""

import asyncio
import os
from collections.abc import Iterator

import asyncpg
import pytest

from tests.copies import DEFINITIONS, LEFT_BYTES_MAX, Copies
from tests.databases import url_of

ROW = "INSERT INTO cas_storage (identity) VALUES ('x')"


@pytest.fixture
def two(template: str) -> Iterator[tuple[Copies, str, str]]:
    """Copies of their own, and the two of them that tests would have in turn."""
    copies = Copies(template)
    one = copies.take()
    copies.give_back(one)
    other = copies.take()
    copies.give_back(other)
    yield copies, one, other
    copies.close()


def execute(name: str, *statements: str) -> object:
    """The value of the last of them."""

    async def run() -> object:
        conn = await asyncpg.connect(url_of(name))
        try:
            for statement in statements[:-1]:
                await conn.execute(statement)
            return await conn.fetchval(statements[-1])
        finally:
            await conn.close()

    return asyncio.run(run())


def test_rows_are_gone(two: tuple[Copies, str, str]) -> None:
    copies, one, other = two
    assert copies.take() == one != other
    execute(one, ROW)
    copies.give_back(one)
    assert [copies.take(), copies.take()] == [other, one]
    assert execute(one, "SELECT count(*) FROM cas_storage") == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("ALTER TABLE tag DISABLE TRIGGER ALL", id="a trigger"),
        pytest.param("ALTER TABLE tag ADD CHECK (name <> 'x')", id="a constraint"),
        pytest.param("ALTER TABLE tag ALTER COLUMN message SET DEFAULT 7", id="a column"),
        pytest.param("CREATE INDEX ON tag (message)", id="an index"),
        pytest.param("UPDATE alembic_version SET version_num = 'x'", id="another version"),
        pytest.param("ALTER DATABASE {} SET jit = on", id="a setting"),
        pytest.param("ALTER DATABASE {} CONNECTION LIMIT 5", id="a limit"),
        pytest.param(f"{ROW}; ANALYZE cas_storage", id="statistics"),
    ],
)
async def test_a_change_that_is_none_of_rows_is_seen(conn: asyncpg.Connection, change: str) -> None:
    before = await conn.fetchval(DEFINITIONS)
    await conn.execute(ROW)
    assert await conn.fetchval(DEFINITIONS) == before
    await conn.execute("DELETE FROM cas_storage")
    await conn.execute(change.format(await conn.fetchval("SELECT current_database()")))
    assert await conn.fetchval(DEFINITIONS) != before


@pytest.mark.parametrize("change", ["DROP TABLE alembic_version", "CREATE INDEX ON tag (message)"])
def test_one_that_was_changed_is_dropped(two: tuple[Copies, str, str], change: str) -> None:
    copies, one, _ = two
    execute(copies.take(), change, "SELECT 1")
    copies.give_back(one)
    assert one not in {copies.take(), copies.take(), copies.take()}


def test_one_that_was_filled_is_dropped(two: tuple[Copies, str, str]) -> None:
    copies, one, _ = two

    async def fill() -> None:
        conn = await asyncpg.connect(url_of(copies.take()))
        await conn.execute(
            "INSERT INTO cas_upload"
            " (upload_id, namespace, media_type, created_by, expires_at, expected)"
            " VALUES (gen_random_uuid(), 'n', 't', 'ann', now(), $1)",
            os.urandom(LEFT_BYTES_MAX),
        )
        await conn.close()

    asyncio.run(fill())
    copies.give_back(one)
    assert one not in {copies.take(), copies.take(), copies.take()}


def test_who_is_still_connected_is_not_any_more(two: tuple[Copies, str, str]) -> None:
    copies, one, other = two

    async def stay() -> None:
        conn = await asyncpg.connect(url_of(copies.take()))
        await conn.execute(f"BEGIN; {ROW}")
        copies.give_back(one)
        assert [copies.take(), copies.take()] == [other, one]
        with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresError)):
            await conn.execute("COMMIT")

    asyncio.run(stay())
    assert execute(one, "SELECT count(*) FROM cas_storage") == 0
