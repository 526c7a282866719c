"""SQL for transactions: one statement per method, no decisions. What each moved is in tag_move."""

from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.principal import Actor
from orchestrator.models.transaction import Transaction, TransactionFilter
from orchestrator.repository.artifact_search import ids_between
from orchestrator.repository.columns import columns

_TRANSACTION = f"""
{columns("t", "transaction_id", "namespace", "message", "made_by", "made_at", "reverts_id")},
       (SELECT transaction_id FROM transaction WHERE reverts_id = t.transaction_id)
           AS reverted_by_id"""

# Whoever reverts the same one waits until we commit, and then inserts nothing.
INSERT = """
INSERT INTO transaction (transaction_id, namespace, message, made_by, reverts_id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (reverts_id) DO NOTHING
RETURNING transaction_id
"""

GET = f"SELECT {_TRANSACTION} FROM transaction t WHERE transaction_id = $1 AND namespace = $2"


def _list(condition: str) -> str:
    """Those of the namespace $1 that are older than $2, at most $3."""
    return f"""
SELECT {_TRANSACTION} FROM transaction t
 WHERE {condition} AND namespace = $1 AND transaction_id < $2 AND transaction_id >= $4
   AND ($5::timestamptz IS NULL OR made_at >= $5)
   AND ($6::timestamptz IS NULL OR made_at < $6)
 ORDER BY transaction_id DESC LIMIT $3
"""


LIST = _list("true")
LIST_BY_MAKER = _list("made_by = $7")


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
        return Transaction(**row) if row else None

    async def list_newest(
        self,
        conn: Connection,
        namespace: str,
        wanted: TransactionFilter,
        before: UUID,
        limit: int,
    ) -> list[Transaction]:
        """Newest first, older than `before`."""
        earliest, latest = ids_between(wanted.since, wanted.until)
        given = (namespace, min(before, latest), limit, earliest, wanted.since, wanted.until)
        if wanted.made_by is None:
            rows = await conn.fetch(LIST, *given)
        else:
            rows = await conn.fetch(LIST_BY_MAKER, *given, wanted.made_by)
        return [Transaction(**row) for row in rows]
