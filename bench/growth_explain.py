"""Runs every statement of the product on a database as it is and tells its plan and its time.

Each runs in a transaction that is rolled back. It decides nothing: what is slow is for a reader.
"""

from datetime import timedelta
from typing import Any

import asyncpg

from orchestrator.core.database import Connection, connect
from tests.growth.fill import TABLES
from tests.growth.plans import (
    Statement,
    arguments,
    custom_plan,
    generic_plan,
    nodes,
    samples,
    scanned,
    statements,
)
from tests.growth.shape import BUSY_TAG, DEEP_TAG, NAMESPACES, START, name_of, operations

#: Slower than this, or a scan of a large table, and the steps of the plan are printed too.
SLOW_MS = 5.0


async def explain(url: str) -> None:
    """Print a line for each statement."""
    conn = await connect(url, statement_seconds_max=120)
    try:
        known = await samples(conn)
        deep = "SELECT target_id FROM tag WHERE namespace = $1 AND name = $2"
        known["deep_id"] = await conn.fetchval(deep, NAMESPACES[0], DEEP_TAG)
        print(f"{'statement':<50}{'plan ms':>9}{'run ms':>10}{'blocks':>9}  scans (generic scans)")
        for statement in statements():
            types = (await conn.prepare(statement.sql)).get_parameters()
            await _explain(conn, statement, arguments(statement.sql, types, known))
        sql = dict(statements())
        print("\nWhat the shape of the rows makes expensive")
        for what, name, given in _hard(known):
            await _explain(conn, Statement(f"{name}, {what}", sql[name]), given)
    finally:
        await conn.close()


def _hard(known: dict[str, Any]) -> list[tuple[str, str, tuple[object, ...]]]:
    """Arguments that are far from the middle: old, popular, at the end of something long."""
    namespace = NAMESPACES[0]
    shared = name_of(operations(0))
    soon = START + timedelta(hours=1)
    return [
        ("shared by thousands", "cas_visible.GET", (shared, namespace)),
        ("of a busy tag, long ago", "tag_step.LIST_REDO", ([namespace], [BUSY_TAG], [100])),
        ("of a busy tag, long ago", "tag.GET_MOVE_AT", (namespace, BUSY_TAG, soon)),
        ("of a busy tag, long ago", "workflow.RESOLVE_AT", (namespace, BUSY_TAG, soon)),
        ("of a long chain", "artifact.LIST_CHAIN", (namespace, known["deep_id"])),
        ("of a long chain", "artifact.GET_AT_DEPTH", (namespace, known["deep_id"], 1)),
    ]


async def _explain(conn: Connection, statement: Statement, given: tuple[object, ...]) -> None:
    transaction = conn.transaction()
    await transaction.start()
    plan = None
    try:
        plan = await custom_plan(conn, statement.sql, given, analyze=True)
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.CardinalityViolationError):
        pass  # What is written was put together from rows of different things.
    finally:
        await transaction.rollback()
    generic = scanned(await generic_plan(conn, statement.sql)) & set(TABLES)
    if plan is None:
        plan = await custom_plan(conn, statement.sql, given)
        scans = scanned(plan) & set(TABLES)
        print(f"{statement.name:<50}{'':>9}{'not run':>10}{'':>9}  {_told(scans, generic)}")
        return
    scans = scanned(plan) & set(TABLES)
    blocks = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    print(
        f"{statement.name:<50}{plan['Planning Time']:>9.2f}{plan['Execution Time']:>10.2f}"
        f"{blocks:>9,}  {_told(scans, generic)}"
    )
    if plan["Execution Time"] > SLOW_MS or scans:
        for node in nodes(plan):
            on = node.get("Index Name") or node.get("Relation Name") or node.get("CTE Name", "")
            rows = int(node["Actual Rows"] * node["Actual Loops"])
            print(
                f"{'':>8}{node['Node Type']:<26}{on:<28}{rows:>10,} rows"
                f"{node['Actual Total Time'] * node['Actual Loops']:>10.1f} ms"
            )


def _told(scans: set[str], generic: set[str]) -> str:
    return " ".join(sorted(scans)) + (f" ({' '.join(sorted(generic))})" if generic else "")
