"""SQL for transactions: one statement per method, no decisions. What each moved is in tag_move."""

from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.models.found import Count, Found
from orchestrator.models.principal import Actor
from orchestrator.models.transaction import Transaction, TransactionFilter
from orchestrator.repository.artifact_search import ID_MAX, ids_between
from orchestrator.repository.columns import columns
from orchestrator.repository.looking import Search, count, found


def _transaction(row: str) -> str:
    """The columns of a Transaction."""
    return f"""
{columns(row, "transaction_id", "namespace", "message", "made_by", "made_at", "reverts_id")},
       (SELECT transaction_id FROM transaction WHERE reverts_id = {row}.transaction_id)
           AS reverted_by_id"""


# A second revert of the same one waits until this one commits, and then inserts nothing.
INSERT = """
INSERT INTO transaction (transaction_id, namespace, message, made_by, reverts_id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (reverts_id) DO NOTHING
RETURNING transaction_id
"""

GET = f"""
SELECT {_transaction("t")} FROM transaction t WHERE transaction_id = $1 AND namespace = $2
"""


def _of(condition: str) -> Search:
    """Those of the namespace $1 that are older than $2."""
    return Search(
        f"""
SELECT * FROM transaction
 WHERE {condition} AND namespace = $1 AND transaction_id < $2 AND transaction_id >= $4""",
        """($5::timestamptz IS NULL OR c.made_at >= $5)
           AND ($6::timestamptz IS NULL OR c.made_at < $6)""",
        order="transaction_id DESC",
        rows_max="$3",
    )


_ALL, _BY_MAKER = _of("true"), _of("made_by = $7")
# The limit is the last parameter.
LIST, COUNT = _ALL.listed(_transaction("f"), "$7"), _ALL.counted()
LIST_BY_MAKER, COUNT_BY_MAKER = _BY_MAKER.listed(_transaction("f"), "$8"), _BY_MAKER.counted()


class TransactionRepository:
    """Rows of transaction. The caller owns the transaction of the database."""

    async def insert(
        self,
        conn: Connection,
        transaction_id: UUID,
        namespace: str,
        message: str | None,
        by: Actor,
        reverts_id: UUID | None,
    ) -> bool:
        """False if the one that it reverts has been reverted."""
        given = (transaction_id, namespace, message, by.name, reverts_id)
        return await conn.fetchval(INSERT, *given) is not None

    async def get(
        self, conn: Connection, namespace: str, transaction_id: UUID
    ) -> Transaction | None:
        row = await conn.fetchrow(GET, transaction_id, namespace)
        return _read(row) if row else None

    async def list_newest(
        self,
        conn: Connection,
        namespace: str,
        wanted: TransactionFilter,
        before: UUID,
        rows_max: int,
        limit: int,
    ) -> Found[Transaction, UUID]:
        """Newest first, older than `before`."""
        statement = LIST if wanted.made_by is None else LIST_BY_MAKER
        rows = await conn.fetch(statement, *_given(namespace, wanted, before, rows_max), limit)
        return found(rows, rows_max, _read, itemgetter("transaction_id"))

    async def count(
        self, conn: Connection, namespace: str, wanted: TransactionFilter, rows_max: int
    ) -> Count:
        """On all pages."""
        statement = COUNT if wanted.made_by is None else COUNT_BY_MAKER
        return await count(conn, statement, _given(namespace, wanted, ID_MAX, rows_max), rows_max)


def _given(namespace: str, wanted: TransactionFilter, before: UUID, rows_max: int) -> list[Any]:
    earliest, latest = ids_between(wanted.since, wanted.until)
    made_by = [] if wanted.made_by is None else [wanted.made_by]
    since, until = wanted.since, wanted.until
    return [namespace, min(before, latest), rows_max, earliest, since, until, *made_by]


def _read(row: asyncpg.Record) -> Transaction:
    return Transaction(**{field: row[field] for field in Transaction.__struct_fields__})
