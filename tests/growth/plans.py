"""How PostgreSQL runs the statements of the product: their plans, what they scan; no measuring.

The statements are the constants of the repositories, so a new one is found by itself. What stands
for its parameters is a row that exists, in the largest namespace: the planner's statistics make a
plan, and the smallest namespace would always have a good one.
"""

import importlib
import itertools
import pkgutil
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

import orchestrator.repository
from orchestrator.core.database import Connection

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")

#: To know these narrows a search to so much that it counts as none.
COMMON = frozenset({"namespace", "kind"})

# Looked for in the text of a statement: `column = $1`, `column < ANY($1)`.
_COMPARED = re.compile(
    r"(\w+)\s*(?:=|<>|<=|>=|<|>|IS (?:NOT )?DISTINCT FROM)\s*(?:ANY\s*\(\s*)?\$(\d+)"
)
_INDEX_COMPARED = re.compile(r"(?<![\w.])(\w+)(?:\)::\w+)? (?:=|<=|>=|<|>) ")
_INDEX_ROW = re.compile(r"ROW\(((?:[\w, ]|\(\w+\)::\w+)+)\) [<>]")
_INDEX_EQUAL = re.compile(r" = |ROW\(")
_FILTER_EQUAL = re.compile(r" = \$\d")
_TUPLES = re.compile(r"\(([\w., ]+)\)\s*(?:=|<|>|<=|>=)\s*\(((?:\$\d+[, ]*)+)\)")
_LISTED = re.compile(
    r"INSERT INTO \w+(?: AS \w+)?\s*\(([\w\s,]+)\)\s*(?:VALUES \(|SELECT )([^\n]*)"
)


class Statement(NamedTuple):
    """A constant of a repository."""

    name: str
    sql: str


def statements() -> list[Statement]:
    """All of them, as module.NAME; a fragment begins with an underscore or with no verb."""
    found = []
    prefix = "orchestrator.repository."
    for info in pkgutil.walk_packages(orchestrator.repository.__path__, prefix):
        module = importlib.import_module(info.name)
        found += [
            Statement(f"{info.name.rpartition('.')[2]}.{name}", value)
            for name, value in vars(module).items()
            if name.isupper() and not name.startswith("_")
            if isinstance(value, str) and value.split(maxsplit=1)[0] in VERBS
        ]
    return found


async def samples(conn: Connection, namespace: str = "default") -> dict[str, Any]:
    """A value for each column that statements compare; from the middle of what there is."""
    row = await conn.fetchrow(
        """
        SELECT a.artifact_id, a.namespace, a.cas_id, a.version_hash, a.base_id, a.previous_id,
               a.depth, l.child_id, l.parent_id, l.relation, m.name, m.seq, m.to_id, m.from_id,
               m.moved_at
          FROM (SELECT * FROM tag_move WHERE namespace = $1 AND action = 'move'
                 ORDER BY name, seq DESC OFFSET 200 LIMIT 1) m
          CROSS JOIN (SELECT * FROM artifact WHERE namespace = $1 AND previous_id IS NOT NULL
                       ORDER BY artifact_id DESC OFFSET 200 LIMIT 1) a
          JOIN lineage l ON l.child_id = a.artifact_id LIMIT 1
        """,
        namespace,
    )
    key = await conn.fetchrow("SELECT * FROM idempotency_key ORDER BY key OFFSET 100 LIMIT 1")
    plan = await conn.fetchval(
        "SELECT plan_hash FROM artifact WHERE namespace = $1 AND kind = 'run_snapshot' LIMIT 1",
        namespace,
    )
    assert row is not None
    assert key is not None
    return {
        **row,
        "plan_hash": plan,
        "target_id": row["to_id"],
        "version": row["seq"],
        "principal": key["principal"],
        "key": key["key"],
        "sha256": bytes(32),
        "kind": "dag_version",
        "action": "move",
        "media_type": "text/plain",
        "expires_at": datetime.now(UTC) + timedelta(days=1),
    }


def arguments(
    sql: str, types: tuple[asyncpg.Type, ...], known: Mapping[str, Any]
) -> tuple[object, ...]:
    """For each parameter the value of the column that it is compared with, or one of its type."""
    columns = dict(_columns(sql))
    return tuple(
        _value(type_, known.get(columns.get(number, "")), known)
        for number, type_ in enumerate(types, 1)
    )


def _columns(sql: str) -> Iterator[tuple[int, str]]:
    for listed in _LISTED.finditer(sql):
        given = re.findall(r"\$(\d+)|([^,]+)", listed[2])
        names = (name.strip() for name in listed[1].split(","))
        yield from (
            (int(number), name) for (number, _), name in zip(given, names, strict=False) if number
        )
    for compared in _TUPLES.finditer(sql):
        numbers = re.findall(r"\d+", compared[2])
        names = (name.strip().rpartition(".")[2] for name in compared[1].split(","))
        yield from ((int(number), name) for number, name in zip(numbers, names, strict=False))
    yield from ((int(compared[2]), compared[1]) for compared in _COMPARED.finditer(sql))


def _value(type_: asyncpg.Type, found: object, known: Mapping[str, Any]) -> object:
    name = type_.name.removesuffix("[]")
    fallback: object = {
        "uuid": known["artifact_id"],
        "bytea": known["cas_id"],
        "text": known["namespace"],
        "bool": False,
        "timestamptz": datetime.now(UTC),
        "interval": timedelta(days=1),
        "json": {},
        "float8": 60.0,
        "numeric": 60,
    }.get(name, 100)
    value = found if isinstance(found, type(fallback)) else fallback
    return [value] * 3 if type_.kind == "array" else value


async def generic_plan(conn: Connection, sql: str) -> dict[str, Any]:
    """What runs for any arguments: asyncpg's statements live long enough to get such a plan."""
    count = len((await conn.prepare(sql)).get_parameters())
    given = f"({', '.join(['NULL'] * count)})" if count else ""
    await conn.execute("SET plan_cache_mode = force_generic_plan")
    await conn.execute(f"PREPARE planned AS {sql}")
    try:
        return _decoded(await conn.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE planned{given}"))
    finally:
        await conn.execute("DEALLOCATE planned")
        await conn.execute("RESET plan_cache_mode")


async def custom_plan(
    conn: Connection, sql: str, given: tuple[object, ...], *, analyze: bool = False
) -> dict[str, Any]:
    """What runs for these arguments; with `analyze` it does run."""
    options = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
    return _decoded(await conn.fetchval(f"EXPLAIN ({options}) {sql}", *given))


def _decoded(found: list[Any]) -> dict[str, Any]:
    [whole] = found
    assert isinstance(whole, dict)
    return whole


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a plan, outermost first."""
    node = plan.get("Plan", plan)
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


def scanned(plan: dict[str, Any]) -> set[str]:
    """The tables that are read from one end to the other."""
    return {table for node in nodes(plan) for table in _scanned_by(node)}


def _scanned_by(node: dict[str, Any]) -> set[str]:
    return {node["Relation Name"]} if "Seq Scan" in node["Node Type"] else set()


async def indexes(conn: Connection) -> dict[str, tuple[str, list[str]]]:
    """By name: the table of each index, and the columns in their order."""
    rows = await conn.fetch(
        """
        SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS table,
               array_agg(a.attname::text ORDER BY a.attnum) AS columns
          FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
         WHERE i.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
         GROUP BY 1, 2
        """
    )
    return {row["name"]: (row["table"], row["columns"]) for row in rows}


def walked(plan: dict[str, Any], known: Mapping[str, tuple[str, list[str]]]) -> set[str]:
    """The tables of which an index is read from end to end, or for all of a namespace: what the
    planner may do instead of a scan, and no better.
    """
    return {table for node in nodes(plan) for table in _walked_by(node, known)}


def _walked_by(node: dict[str, Any], known: Mapping[str, tuple[str, list[str]]]) -> set[str]:
    table, columns = known.get(node.get("Index Name", ""), ("", []))
    condition = node.get("Index Cond", "")
    compared = set(_INDEX_COMPARED.findall(condition))
    for columns_of_row in _INDEX_ROW.findall(condition):
        compared |= set(re.findall(r"\w+", columns_of_row))
    narrowing = set(itertools.takewhile(compared.__contains__, columns)) - COMMON
    return {table} if table and not narrowing else set()


def passed_by(plan: dict[str, Any]) -> set[str]:
    """The tables of which a range of an index is read through rows of others: what would have to be
    equal is no condition of the index. The planner takes a range between two parameters for small.
    """
    return {
        node["Relation Name"]
        for node in nodes(plan)
        if node.get("Index Cond")
        and "Relation Name" in node
        and not _INDEX_EQUAL.search(node["Index Cond"])
        and _FILTER_EQUAL.search(node.get("Filter", ""))
    }


def joined_whole(plan: dict[str, Any], known: Mapping[str, tuple[str, list[str]]]) -> set[str]:
    """The tables of which a hash or merge join reads all, by a scan or along an index.

    Such a join asks its inputs for no row in particular, unlike a nested loop: where no condition
    narrows an input it is the whole table, and it grows with the store.
    """
    found = set()
    for node in nodes(plan):
        if node["Node Type"] in {"Hash Join", "Merge Join"}:
            for side in node["Plans"]:
                found |= {
                    table
                    for each in _unlimited(side)
                    for table in _scanned_by(each) | _walked_by(each, known)
                }
    return found


def _unlimited(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps that run to their end: not those below a limit or on the inner side of a loop."""
    yield node
    if node["Node Type"] == "Limit":
        return
    children = node.get("Plans", ())
    for child in children[:1] if node["Node Type"] == "Nested Loop" else children:
        yield from _unlimited(child)
