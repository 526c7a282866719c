"""Rules of transactions: no HTTP, no SQL, no tag moved, no transaction opened."""

from uuid import UUID

from msgspec.structs import replace

from orchestrator.core.database import Connection
from orchestrator.core.identifier import new_id
from orchestrator.errors import NotFound
from orchestrator.errors_change import AlreadyReverted
from orchestrator.models.found import Found
from orchestrator.models.principal import Actor
from orchestrator.models.transaction import Transaction, TransactionFilter
from orchestrator.repository.transaction import TransactionRepository


class TransactionService:
    """Each has an id, under which its moves are recorded; each is taken back once at most."""

    def __init__(self, transactions: TransactionRepository, *, rows_max: int) -> None:
        self._transactions = transactions
        self._rows_max = rows_max

    async def begin(
        self, conn: Connection, namespace: str, *, message: str | None, by: Actor
    ) -> UUID:
        """Before its first move."""
        made = new_id()
        await self._transactions.insert(conn, made, namespace, message, by, None)
        return made

    async def begin_revert(
        self, conn: Connection, reverted: Transaction, *, message: str | None, by: Actor
    ) -> UUID:
        """Of concurrent ones one goes on. The others wait for it, and are AlreadyReverted if it
        commits.
        """
        made, what = new_id(), reverted.transaction_id
        if not await self._transactions.insert(conn, made, reverted.namespace, message, by, what):
            raise AlreadyReverted(what)
        return made

    async def get(self, conn: Connection, namespace: str, transaction_id: UUID) -> Transaction:
        """NotFound if the namespace has none of this id."""
        found = await self._transactions.get(conn, namespace, transaction_id)
        if found is None:
            raise NotFound("transaction", str(transaction_id))
        return found

    async def list_newest(
        self,
        conn: Connection,
        namespace: str,
        wanted: TransactionFilter,
        *,
        before: UUID,
        limit: int,
        total: bool,
    ) -> Found[Transaction, UUID]:
        """A page, newest first."""
        rows_max = self._rows_max
        page = await self._transactions.list_newest(
            conn, namespace, wanted, before, rows_max, limit
        )
        if not total:
            return page
        counted = await self._transactions.count(conn, namespace, wanted, rows_max)
        return replace(page, total=counted)
