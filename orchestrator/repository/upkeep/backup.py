"""SQL of backup and restore: a whole table out or in, one statement per method, no decisions."""

from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core.database import Connection


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows of one table leave the database."""

    table: str
    columns: tuple[str, ...]
    select: str


def _export(table: str, order: str, *columns: str) -> Export:
    select = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"
    # Inside the parentheses of COPY a column of another name is computed: `x IS NULL AS y`.
    names = tuple(column.rpartition(" ")[2] for column in columns)
    return Export(table=table, columns=names, select=select)


#: In an order in which every foreign key finds its row. An artifact comes after its base and the
#: one before it, because a trigger looks for them.
EXPORTS = (
    _export(
        "cas_blob",
        "cas_id",
        *("cas_id", "size_bytes", "media_type", "sha256", "created_at"),
        *("quarantined_at", "quarantine_reason", "content IS NOT NULL AS inline"),
    ),
    _export(
        "cas_lease",
        "cas_id, namespace",
        *("cas_id", "namespace", "media_type", "created_at", "expires_at"),
    ),
    _export(
        "artifact",
        "depth, artifact_id",
        *("artifact_id", "namespace", "kind", "cas_id", "name", "version_hash", "plan_hash"),
        *("base_id", "previous_id", "depth", "op_count", "nodes_count", "edges_count", "meta"),
        *("created_by", "created_at"),
    ),
    _export(
        "artifact_blob",
        "artifact_id, role, position",
        *("artifact_id", "role", "position", "cas_id", "name", "media_type"),
    ),
    _export("artifact_meta", "artifact_id, digest", *("artifact_id", "namespace", "digest")),
    _export("artifact_retained", "artifact_id", *("artifact_id", "retained_by", "retained_at")),
    _export(
        "lineage",
        "child_id, parent_id, relation",
        *("child_id", "parent_id", "relation", "added_by", "added_at"),
    ),
    _export(
        "transaction",
        "transaction_id",
        *("transaction_id", "namespace", "message", "made_by", "made_at", "reverts_id"),
    ),
    _export(
        "tag_move",
        "namespace, name, seq",
        *("namespace", "name", "seq", "action", "from_id", "to_id", "parent_seq", "message"),
        *("moved_by", "moved_at", "transaction_id"),
    ),
    _export(
        "tag",
        "namespace, name",
        *("namespace", "name", "target_id", "version", "cursor", "protected", "action"),
        *("from_id", "parent_seq", "message", "moved_by", "moved_at"),
    ),
)
#: The columns that say where the bytes of a blob are. No snapshot has them: a restore puts the
#: bytes elsewhere.
BLOB_PLACES = ("content", "storage_key", "segments", "stored_bytes", "encoding")
#: Responses to idempotency keys, counts of a minute, leases, unfinished uploads, identity of the
#: storage, the schema. A test compares the lists with the schema: no new table is forgotten.
TABLES_LEFT_OUT = (
    "idempotency_key",
    "rate_count",
    "job_lease",
    "cas_upload",
    "cas_storage",
    "alembic_version",
)

#: The places of the blobs of the snapshot; needed until their bytes are copied.
PLACES = Export(
    table="cas_blob",
    columns=("cas_id", "size_bytes", "storage_key", "segments", "stored_bytes", "encoding"),
    select="""
    SELECT cas_id, size_bytes, storage_key, segments, stored_bytes, encoding FROM cas_blob
     WHERE storage_key IS NOT NULL AND quarantined_at IS NULL ORDER BY cas_id
    """,
)

# The text of a value must not depend on the settings of the session.
PLAIN_TEXT = "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'"

_TABLES = ", ".join(each.table for each in EXPORTS)
# Before the first look, so that no migration changes a table between two of them.
LOCK_SCHEMA = f"LOCK TABLE {_TABLES} IN ACCESS SHARE MODE"
# Servers that use the database already may go on to read; their writes wait until we are done.
LOCK_ROWS = f"LOCK TABLE {_TABLES} IN EXCLUSIVE MODE"

IS_USED = f"""
SELECT {" OR ".join(f"EXISTS (SELECT FROM {each.table})" for each in EXPORTS)}
"""

# The first statement of a transaction fixes what the transaction sees; this is when that was.
GET_MOMENT = "SELECT clock_timestamp()"

# A lock on a standby does not lock its primary.
IS_STANDBY = "SELECT pg_is_in_recovery()"

LIST_CONTENTS = """
SELECT cas_id, content FROM cas_blob WHERE cas_id = ANY($1::bytea[]) AND content IS NOT NULL
"""

ANALYZE = f"ANALYZE {_TABLES}"

Sink = Callable[[bytes], Coroutine[Any, Any, None]]


class BackupRepository:
    """All rows of the tables that make up the store. The caller owns the transaction."""

    async def lock_schema(self, conn: Connection) -> None:
        """Raises asyncpg.UndefinedTableError for a database that has other tables."""
        await conn.execute(LOCK_SCHEMA)

    async def set_plain_text(self, conn: Connection) -> None:
        """Let COPY write times in one form, until the transaction ends."""
        await conn.execute(PLAIN_TEXT)

    async def get_moment(self, conn: Connection) -> datetime:
        """The time by the clock of the database."""
        found: datetime = await conn.fetchval(GET_MOMENT)
        return found

    async def is_standby(self, conn: Connection) -> bool:
        """Whether the database is a replica of another one."""
        return bool(await conn.fetchval(IS_STANDBY))

    async def copy_out(self, conn: Connection, export: Export, sink: Sink) -> int:
        """The rows as PostgreSQL's COPY text; returns how many there were."""
        done = await conn.copy_from_query(export.select, output=sink)
        return int(done.removeprefix("COPY "))

    async def list_contents(self, conn: Connection, cas_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """The bytes of the blobs that are inline, by name."""
        rows = await conn.fetch(LIST_CONTENTS, cas_ids)
        return {row["cas_id"]: row["content"] for row in rows}

    async def lock_rows(self, conn: Connection) -> None:
        """Lock all rows: nobody else writes until the transaction ends."""
        await conn.execute(LOCK_ROWS)

    async def is_used(self, conn: Connection) -> bool:
        """Whether any of the tables has a row."""
        return bool(await conn.fetchval(IS_USED))

    async def copy_in(
        self, conn: Connection, table: str, columns: Sequence[str], file: Path
    ) -> int:
        """Insert the rows that `copy_out` wrote; returns how many there were."""
        done = await conn.copy_to_table(table, source=file, columns=columns)
        return int(done.removeprefix("COPY "))

    async def put_blobs(
        self, conn: Connection, columns: Sequence[str], rows: AsyncIterable[tuple[Any, ...]]
    ) -> int:
        """Insert blobs with the places of their bytes; returns how many."""
        done = await conn.copy_records_to_table("cas_blob", records=rows, columns=columns)
        return int(done.removeprefix("COPY "))

    async def analyze(self, conn: Connection) -> None:
        """Update statistics, so that the first queries are planned for the rows that are there."""
        await conn.execute(ANALYZE)
