"""Every statement that answers a request reaches its rows by an index, however many there are.

Nor does it join with a whole table: a hash or a merge join may read one along an index, which is
no better than a scan.

The planner decides. On a database that has been filled and analysed sequential scans are allowed
to it, and both kinds of plan count: the one for given arguments, and the generic one that the
product asks for. On an empty one it has the product's settings, and not even an index may be read
from end to end.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from orchestrator.core.database import Connection, connect
from tests.copies import Copies
from tests.databases import run, url_of
from tests.growth.fill import TABLES, fill
from tests.growth.plans import (
    Statement,
    arguments,
    custom_plan,
    generic_plan,
    indexes,
    joined_whole,
    nodes,
    passed_by,
    samples,
    scanned,
    statements,
    walked,
)
from tests.growth.shape import Sizes, World

SIZES = Sizes(artifacts=30_000, blobs=45_000, tags=10_000, moves=40_000, keys=10_000, depth=100)
#: Nobody waits for these: they walk the whole store by design, page after page.
WALKS = {
    "backup": "A backup reads everything.",
    "gc": "A collection looks at everything.",
    "verify": "A verification compares everything.",
}
#: Read in the order of an index until the first row, which is soon, or up to a limit.
MAY_WALK_YOUNG = {
    "storage_identity.IS_USED": {"cas_blob"},
    "move_search.ARTIFACTS_OF_KIND": {"artifact"},
    "tag_search.NAMES_BY_KIND": {"artifact"},
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
    asyncio.run(fill(url_of(name), World(SIZES), lambda line: None))
    yield url_of(name)
    run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def young(copies: Copies) -> Iterator[str]:
    """A database that never had a row: the pages of rows that were rolled back count as rows."""
    name = copies.new()
    yield url_of(name)
    copies.drop(name)


@pytest.fixture
async def young_conn(young: str) -> AsyncIterator[Connection]:
    connection = await connect(young)
    yield connection
    await connection.close()


@pytest.fixture
async def filled_conn(filled: str) -> AsyncIterator[Connection]:
    connection = await connect(filled)
    await connection.execute("SET enable_seqscan = on")  # Whatever a server forbids itself.
    yield connection
    await connection.close()


def test_there_are_statements_to_plan() -> None:
    assert len(ALL) > 40
    names = {statement.name for statement in statements()}
    assert names >= set(MAY_WALK_YOUNG)
    assert {name.partition(".")[0] for name in names} >= set(WALKS)


async def test_a_walk_along_an_index_is_seen(young_conn: Connection) -> None:
    known = await indexes(young_conn)
    for condition, found in (
        ("namespace = $1", {"tag"}),
        ("name = $1", {"tag"}),
        ("namespace = $1 AND name > 'x'", set()),
    ):
        plan = await generic_plan(young_conn, f"SELECT message FROM tag WHERE {condition}")
        assert walked(plan, known) == found, json.dumps(plan, indent=1)


async def test_a_scan_is_seen(filled_conn: Connection) -> None:
    sql = "SELECT FROM tag WHERE message = $1"
    for plan in (
        await generic_plan(filled_conn, sql),
        await custom_plan(filled_conn, sql, ("x",)),
    ):
        assert scanned(plan) == {"tag"}


async def test_a_range_through_rows_of_others_is_seen(filled_conn: Connection) -> None:
    for equal, found in ((" AND namespace = $3", {"artifact"}), ("", set())):
        sql = f"SELECT name FROM artifact WHERE artifact_id >= $1 AND artifact_id < $2{equal}"
        plan = await generic_plan(filled_conn, f"{sql} ORDER BY artifact_id LIMIT 9")
        assert passed_by(plan) == found, json.dumps(plan, indent=1)


@pytest.mark.parametrize(
    ("forbidden", "kind"), [("mergejoin", "Hash Join"), ("hashjoin", "Merge Join")]
)
async def test_a_join_with_a_whole_table_is_seen(
    forbidden: str, kind: str, filled_conn: Connection
) -> None:
    for setting in (forbidden, "nestloop", "seqscan", "bitmapscan"):
        await filled_conn.execute(f"SET enable_{setting} = off")
    sql = "SELECT count(*) FROM lineage l JOIN artifact a ON a.artifact_id = l.child_id"
    plan = await generic_plan(filled_conn, sql)
    assert kind in [node["Node Type"] for node in nodes(plan)]
    assert not scanned(plan)
    assert joined_whole(plan, await indexes(filled_conn)) == {"artifact", "lineage"}


async def test_a_list_is_read_in_its_order_until_the_page_is_full(
    filled_conn: Connection,
) -> None:
    """Whoever sorts has read all that a page may look at."""
    known = dict(statements())
    for name in (
        *(f"tag_search.LIST{which}" for which in ("", "_AT", "_DELETED")),
        *(f"workflow.LIST{which}" for which in ("", "_AT")),
        *(f"move_search.LIST{which}" for which in ("", "_BY_MOVER")),
        *(f"transaction.LIST{which}" for which in ("", "_BY_MAKER")),
        *(f"artifact_search.LIST{which}" for which in ("", "_BY_KIND", "_BY_NAME", "_BY_CREATOR")),
        *(f"artifact_search.LIST{which}" for which in ("_BY_META", "_BY_PREFIX")),
    ):
        plan = await generic_plan(filled_conn, known[name])
        assert "Sort" not in {node["Node Type"] for node in nodes(plan)}, name


async def test_a_join_with_rows_that_were_looked_up_is_none(filled_conn: Connection) -> None:
    await filled_conn.execute("SET enable_nestloop = off")
    sql = """
    SELECT FROM (SELECT * FROM lineage WHERE child_id = $1) l
      JOIN (SELECT * FROM artifact WHERE artifact_id = ANY($2::uuid[])) a
        ON a.artifact_id = l.parent_id
    """
    plan = await generic_plan(filled_conn, sql)
    assert {"Hash Join", "Merge Join"} & {node["Node Type"] for node in nodes(plan)}
    assert not joined_whole(plan, await indexes(filled_conn))


@pytest.mark.parametrize("statement", ALL)
async def test_no_arguments_make_a_statement_scan_a_table(
    statement: Statement, filled_conn: Connection
) -> None:
    types = (await filled_conn.prepare(statement.sql)).get_parameters()
    given = arguments(statement.sql, types, await samples(filled_conn))
    plan = await custom_plan(filled_conn, statement.sql, given)
    found = scanned(plan) | joined_whole(plan, await indexes(filled_conn))
    assert not found & BIG, json.dumps(plan, indent=1)


@pytest.mark.parametrize("statement", ALL)
async def test_the_generic_plan_of_a_statement_scans_no_table(
    statement: Statement, filled_conn: Connection
) -> None:
    plan = await generic_plan(filled_conn, statement.sql)
    found = scanned(plan) | passed_by(plan) | joined_whole(plan, await indexes(filled_conn))
    assert not found & BIG, json.dumps(plan, indent=1)


@pytest.mark.parametrize("statement", ALL)
async def test_a_plan_that_was_made_on_empty_tables_looks_rows_up(
    statement: Statement, young_conn: Connection
) -> None:
    """Such a plan is kept until the tables are first analysed, about a minute later."""
    plan = await generic_plan(young_conn, statement.sql)
    found = (scanned(plan) | walked(plan, await indexes(young_conn)) | passed_by(plan)) & BIG
    assert found <= MAY_WALK_YOUNG.get(statement.name, set()), json.dumps(plan, indent=1)
