"""The schema: up, down, at once by many, and the rules that the database itself keeps."""

import asyncio
import subprocess
import sys
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from orchestrator import migration
from orchestrator.core.database import Connection, connect
from orchestrator.core.digest import CasId
from orchestrator.models.upkeep.schema import SCHEMA_VERSION
from tests.databases import run


def schema(url: str) -> set[tuple[str, str, str]]:
    """Every column, constraint, index, trigger and function of ours."""
    query = """
    SELECT 'column', table_name || '.' || column_name, data_type || is_nullable
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname,
                     pg_get_constraintdef(oid) FROM pg_constraint
               WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger
               WHERE NOT tgisinternal
    UNION ALL SELECT 'function', proname, prosrc FROM pg_proc
               WHERE pronamespace = 'public'::regnamespace
    """

    async def read() -> set[tuple[str, str, str]]:
        connection = await asyncpg.connect(url)
        try:
            return {tuple(row) for row in await connection.fetch(query)}
        finally:
            await connection.close()

    return asyncio.run(read())


def test_up_and_down_and_up_again_give_the_same_schema(empty_database: str) -> None:
    assert migration.current(empty_database) is None
    migration.upgrade(empty_database)
    first = schema(empty_database)
    assert migration.current(empty_database) == SCHEMA_VERSION
    migration.downgrade(empty_database, "base")
    left = {name for _, name, _ in schema(empty_database)}
    assert all(name.startswith("alembic_version") for name in left)
    migration.upgrade(empty_database)
    assert schema(empty_database) == first
    migration.upgrade(empty_database)
    assert schema(empty_database) == first


def test_a_step_back_gives_the_schema_from_which_it_came(empty_database: str) -> None:
    migration.upgrade(empty_database, "0002")
    before = schema(empty_database)
    migration.upgrade(empty_database)
    assert schema(empty_database) != before
    migration.downgrade(empty_database, "0002")
    assert schema(empty_database) == before


def test_the_result_of_a_patch_is_kept_by_every_schema(empty_database: str) -> None:
    async def fill() -> None:
        connection = await connect(empty_database)
        try:
            base = await insert_artifact(connection)
            result = await insert_blob(connection, b"result")
            await insert_artifact(connection, version_hash=result, **patch(base, 1))
        finally:
            await connection.close()

    async def delete() -> None:
        connection = await connect(empty_database)
        try:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute("DELETE FROM cas_blob WHERE content = 'result'")
        finally:
            await connection.close()

    migration.upgrade(empty_database, "0002")
    asyncio.run(fill())
    asyncio.run(delete())
    migration.upgrade(empty_database)
    asyncio.run(delete())
    migration.downgrade(empty_database, "0002")
    asyncio.run(delete())


def test_the_schema_of_the_program_is_that_of_the_newest_migration() -> None:
    assert migration.steps().get_current_head() == SCHEMA_VERSION


@pytest.mark.slow
def test_of_four_upgrades_at_once_one_migrates_and_all_succeed(empty_database: str) -> None:
    script = f"from orchestrator.migration import upgrade; upgrade({empty_database!r})"
    children = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0, 0]
    assert migration.current(empty_database) == SCHEMA_VERSION


def test_a_database_from_a_newer_version_is_left_alone(empty_database: str) -> None:
    migration.upgrade(empty_database)
    run("UPDATE alembic_version SET version_num = '9999'", empty_database)
    before = schema(empty_database)
    with pytest.raises(migration.DatabaseNewer, match="9999"):
        migration.upgrade(empty_database)
    assert schema(empty_database) == before


def blob(content: bytes = b"x") -> tuple[bytes, int, str, bytes]:
    return CasId.of(content).raw, len(content), "text/plain", content


async def insert_blob(conn: Connection, content: bytes) -> bytes:
    name, size, kind, content = blob(content)
    await conn.execute(
        "INSERT INTO cas_blob (cas_id, size_bytes, media_type, content) VALUES ($1, $2, $3, $4)",
        name,
        size,
        kind,
        content,
    )
    return name


async def insert_artifact(conn: Connection, **changed: Any) -> Any:
    name = changed.pop("cas_id", None) or await insert_blob(conn, uuid4().bytes)
    values: dict[str, Any] = {
        "artifact_id": uuid4(),
        "namespace": "ns",
        "kind": "dag_version",
        "cas_id": name,
        "version_hash": name,
        "nodes_count": 1,
        "edges_count": 0,
        "created_by": "ann",
        **changed,
    }
    columns = ", ".join(values)
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return await conn.fetchval(
        f"INSERT INTO artifact ({columns}) VALUES ({marks}) RETURNING artifact_id",
        *values.values(),
    )


@pytest.mark.parametrize(
    "row",
    [
        (b"\x02" + bytes(32), 1, "text/plain", b"x"),
        (bytes(33), 1, "text/plain", b"x"),
        (b"\x01" + bytes(31), 1, "text/plain", b"x"),
        (b"\x01" + bytes(32), 2, "text/plain", b"x"),
        (b"\x01" + bytes(32), 1, "", b"x"),
        (b"\x01" + bytes(32), 1, "text/plain", None),
    ],
)
async def test_a_blob_row_that_lies_is_refused(conn: Connection, row: tuple[Any, ...]) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await conn.execute(
            "INSERT INTO cas_blob (cas_id, size_bytes, media_type, content) VALUES ($1,$2,$3,$4)",
            *row,
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "folder"},
        {"version_hash": None},
        {"depth": 1},
        {"op_count": -1},
        {"nodes_count": None},
        {"created_by": ""},
        {"kind": "run_snapshot"},
        {"kind": "run_snapshot", "plan_hash": b"short"},
        {"kind": "patch_set"},
        {"kind": "patch_set", "depth": 1, "op_count": 1, "base_id": uuid4()},
        {"meta": []},
    ],
)
async def test_an_artifact_without_what_its_kind_needs_is_refused(
    conn: Connection, changed: dict[str, Any]
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await insert_artifact(conn, **changed)


async def test_equal_versions_and_equal_plans_are_one_artifact(conn: Connection) -> None:
    name = await insert_blob(conn, b"a")
    plan = CasId.of(b"plan").raw
    await insert_artifact(conn, cas_id=name)
    await insert_artifact(conn, cas_id=name, namespace="other")
    snapshot = {"kind": "run_snapshot", "plan_hash": plan}
    await insert_artifact(conn, cas_id=name, **snapshot)
    for changed in ({}, snapshot):
        with pytest.raises(asyncpg.UniqueViolationError):
            async with conn.transaction():
                await insert_artifact(conn, cas_id=name, **changed)


def patch(base: Any, depth: int, previous: Any = None) -> dict[str, Any]:
    return {
        "kind": "patch_set",
        "base_id": base,
        "previous_id": previous,
        "depth": depth,
        "op_count": 1,
    }


async def test_a_chain_has_no_gaps_and_one_base(conn: Connection) -> None:
    base, other = await insert_artifact(conn), await insert_artifact(conn)
    one = await insert_artifact(conn, **patch(base, 1))
    two = await insert_artifact(conn, **patch(base, 2, one))
    for wrong in (
        patch(one, 1),
        patch(other, 2, one),
        patch(base, 4, two),
        patch(base, 2, base),
        patch(base, 2),
        patch(base, 1, one),
        {**patch(base, 1), "namespace": "other"},
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with conn.transaction():
                await insert_artifact(conn, **wrong)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE artifact SET name = 'x'",
        "UPDATE artifact SET meta = '{\"a\": 1}'",
        "UPDATE tag_move SET message = 'x'",
        "UPDATE lineage SET relation = 'x'",
    ],
)
async def test_what_happened_does_not_change(conn: Connection, statement: str) -> None:
    parent, child = await insert_artifact(conn), await insert_artifact(conn)
    await conn.execute(
        "INSERT INTO tag_move (namespace, name, seq, action, to_id, moved_by, moved_at)"
        " VALUES ('ns', 't', 1, 'create', $1, 'ann', now())",
        parent,
    )
    await conn.execute("INSERT INTO lineage VALUES ($1, $2, 'revision_of')", child, parent)
    with pytest.raises(asyncpg.RestrictViolationError):
        await conn.execute(statement)


async def test_a_tag_cannot_be_without_its_artifact(conn: Connection) -> None:
    artifact = await insert_artifact(conn)
    insert = (
        "INSERT INTO tag (namespace, name, target_id, version, cursor, action, moved_by, moved_at)"
        " VALUES ($1, 't', $2, 1, 1, 'create', 'ann', now())"
    )
    for namespace, target in (("other", artifact), ("ns", uuid4())):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with conn.transaction():
                await conn.execute(insert, namespace, target)
    await conn.execute(insert, "ns", artifact)


async def test_a_blob_that_only_the_result_of_a_patch_is_cannot_be_deleted(
    conn: Connection,
) -> None:
    base = await insert_artifact(conn)
    result, other = await insert_blob(conn, b"result"), await insert_blob(conn, b"other")
    await insert_artifact(conn, version_hash=result, **patch(base, 1))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with conn.transaction():
            await conn.execute("DELETE FROM cas_blob WHERE cas_id = $1", result)
    assert await conn.execute("DELETE FROM cas_blob WHERE cas_id = $1", other) == "DELETE 1"


async def test_the_result_of_a_patch_is_a_blob_that_is_there(conn: Connection) -> None:
    base = await insert_artifact(conn)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await insert_artifact(conn, version_hash=CasId.of(b"nowhere").raw, **patch(base, 1))


async def test_what_is_referred_to_cannot_be_deleted(conn: Connection) -> None:
    base = await insert_artifact(conn)
    await insert_artifact(conn, **patch(base, 1))
    for statement in ("DELETE FROM artifact WHERE kind = 'dag_version'", "DELETE FROM cas_blob"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with conn.transaction():
                await conn.execute(statement)


async def test_every_foreign_key_has_an_index_to_check_it_by(conn: Connection) -> None:
    missing = await conn.fetch(
        """
        SELECT c.conrelid::regclass::text, c.conname FROM pg_constraint c
         WHERE c.contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = ANY (c.conkey)
               AND coalesce(pg_get_expr(i.indpred, i.indrelid), 'IS NOT NULL') LIKE '%IS NOT NULL%'
               AND (i.indkey::int2[])[0:least(cardinality(c.conkey), i.indnkeyatts) - 1]
                   <@ c.conkey)
        """
    )
    assert missing == []
