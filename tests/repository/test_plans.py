"""Every statement that answers a request reaches its rows by an index, however many there are.

The planner decides, on a database that has been filled and analysed; sequential scans are allowed
to it. Both kinds of plan count: the one for given arguments, and the generic one that PostgreSQL
goes over to when a prepared statement was used some times.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from bench.growth_fill import TABLES, fill
from bench.growth_plans import (
    Statement,
    arguments,
    custom_plan,
    generic_plan,
    samples,
    scanned,
    statements,
)
from bench.growth_shape import Sizes, World
from orchestrator.database import Connection, connect
from tests.conftest import run, url_of

SIZES = Sizes(artifacts=30_000, blobs=45_000, tags=10_000, moves=40_000, keys=10_000, depth=100)
#: Nobody waits for these: they walk the whole store by design, page after page.
WALKS = {
    "backup": "A backup reads everything.",
    "gc": "A collection looks at everything.",
    "verify": "A verification compares everything.",
}
#: While the tables are young: a plan made on empty ones is kept until they are analysed, which
#: happens within about a minute.
MAY_SCAN_YOUNG = {
    "artifact.GET_MANY": {"artifact"},
    "artifact.LIST_CHAIN": {"artifact"},
    "cas.LIST_HELD": {"cas_blob"},
    "idempotency.DELETE_EXPIRED": {"idempotency_key"},
    "resolution.RESOLVE_MANY": {"tag"},
    "storage_identity.IS_USED": {"cas_blob"},
    "tag.COMPARE_AND_SWAP_MANY": {"tag"},
}
BIG = set(TABLES)


ALL = [
    pytest.param(statement, id=statement.name)
    for statement in statements()
    if statement.name.partition(".")[0] not in WALKS
]


@pytest.fixture(scope="module")
def filled(template: str) -> Iterator[str]:
    """A database with so many rows that the planner has a reason to use an index."""
    name = f"filled_{uuid4().hex[:12]}"
    run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    asyncio.run(fill(url_of(name), World(SIZES), quiet=True))
    yield url_of(name)
    run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def filled_conn(filled: str) -> AsyncIterator[Connection]:
    connection = await connect(filled)
    await connection.execute("SET enable_seqscan = on")  # Whatever a server forbids itself.
    yield connection
    await connection.close()


def test_there_are_statements_to_plan() -> None:
    assert len(ALL) > 40
    names = {statement.name for statement in statements()}
    assert names >= set(MAY_SCAN_YOUNG)
    assert {name.partition(".")[0] for name in names} >= set(WALKS)


async def test_a_scan_is_seen(filled_conn: Connection) -> None:
    sql = "SELECT FROM tag WHERE message = $1"
    for plan in (
        await generic_plan(filled_conn, sql),
        await custom_plan(filled_conn, sql, ("x",)),
    ):
        assert scanned(plan) == {"tag"}


@pytest.mark.parametrize("statement", ALL)
async def test_no_arguments_make_a_statement_scan_a_table(
    statement: Statement, filled_conn: Connection
) -> None:
    types = (await filled_conn.prepare(statement.sql)).get_parameters()
    given = arguments(statement.sql, types, await samples(filled_conn))
    plan = await custom_plan(filled_conn, statement.sql, given)
    assert not scanned(plan) & BIG, json.dumps(plan, indent=1)


@pytest.mark.parametrize("statement", ALL)
async def test_the_generic_plan_of_a_statement_scans_no_table(
    statement: Statement, filled_conn: Connection
) -> None:
    plan = await generic_plan(filled_conn, statement.sql)
    assert not scanned(plan) & BIG, json.dumps(plan, indent=1)


@pytest.mark.parametrize("statement", ALL)
async def test_a_plan_that_was_made_on_empty_tables_scans_none_of_them(
    statement: Statement, conn: Connection
) -> None:
    plan = await generic_plan(conn, statement.sql)
    found = scanned(plan) & BIG
    assert found <= MAY_SCAN_YOUNG.get(statement.name, set()), json.dumps(plan, indent=1)
