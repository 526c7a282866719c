"""HTTP for transactions that were made: what each moved, lists of them, and taking one back."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import PathParameter

from orchestrator.core.database import Connection, Database
from orchestrator.core.moment import Moment
from orchestrator.documents.pointer import pointer_to
from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.body import MessageText, Version, decode
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed, tagged
from orchestrator.handlers.http.manner import DryRun
from orchestrator.handlers.http.paging import CountedPageQuery, after, found_page
from orchestrator.handlers.http.reading import (
    MakerQuery,
    SinceQuery,
    UntilQuery,
    checked_message,
    parse_time,
    read_small,
    segment,
    without_nul,
)
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.tag_body import MoveItem, change_body, deleted_body, move_item
from orchestrator.handlers.transaction import Result, transaction_answer
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import IdText, NamespaceText, TagText
from orchestrator.models.reference import parse_id
from orchestrator.models.tag import TagOrder
from orchestrator.models.transaction import Transaction, TransactionFilter
from orchestrator.service.artifact_lineage import ID_MAX
from orchestrator.service.tag import TagService
from orchestrator.service.tag_search import MoveSearchService
from orchestrator.service.transaction import TransactionService

TransactionPath = Annotated[IdText, PathParameter(description="The id of a transaction.")]


class RevertTransaction(msgspec.Struct, forbid_unknown_fields=True):
    """Take a transaction back, if the tags are still at the expected versions."""

    message: MessageText | None = None
    expected: dict[TagText, Version] = {}


class TransactionItem(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction in a list: what it took back, and what took it back."""

    transaction_id: UUID
    namespace: NamespaceText
    message: str | None
    made_by: str
    made_at: Moment
    reverts_id: UUID | None
    reverted_by_id: UUID | None


class TransactionDetails(TransactionItem, frozen=True, kw_only=True):
    """A transaction with its moves, by the names of the tags."""

    moves: list[MoveItem]


class TransactionPastHandler:
    """Direct orchestration of transactions and tags."""

    def __init__(
        self,
        database: Database,
        *,
        transactions: TransactionService,
        tags: TagService,
        moves: MoveSearchService,
        replay: Replay,
    ) -> None:
        self._database = database
        self._transactions = transactions
        self._tags = tags
        self._moves = moves
        self._replay = replay

    async def get(self, call: Call, transaction_id: TransactionPath) -> Answer:
        """What a transaction moved."""
        wanted = transaction_in_path(transaction_id)
        async with self._database.connection() as conn:
            found = await self._transactions.get(conn, call.namespace, wanted)
            moves = await self._moves.list_by_transaction(conn, wanted)
        items = [move_item(call.namespace, each) for each in moves]
        return tagged(call, TransactionDetails(**msgspec.structs.asdict(found), moves=items))

    async def list_transactions(
        self,
        call: Call,
        made_by: MakerQuery = None,
        since: SinceQuery = None,
        until: UntilQuery = None,
        *,
        page: CountedPageQuery,
    ) -> Answer:
        """Newest first."""
        wanted = TransactionFilter(
            made_by=without_nul(made_by, "/made_by"),
            since=None if since is None else parse_time(since, "/since"),
            until=None if until is None else parse_time(until, "/until"),
        )
        before = after(page.cursor, UUID, ID_MAX)
        async with self._database.connection() as conn:
            found = await self._transactions.list_newest(
                conn, call.namespace, wanted, before=before, limit=page.limit + 1, total=page.total
            )
        return listed(call, found_page(found, page.limit, _id_of, _item))

    async def revert(
        self, call: Call, transaction_id: TransactionPath, dry_run: DryRun = False
    ) -> Answer:
        """Let each tag stand where it stood before, all or none; itself a transaction."""
        wanted = transaction_in_path(transaction_id)
        body = await read_small(call)
        data = decode(body, RevertTransaction)
        message = checked_message(data.message)

        async def make(conn: Connection) -> Answer:
            reverted = await self._transactions.get(conn, call.namespace, wanted)
            made, results = await self._revert(conn, call, reverted, message, data.expected)
            return transaction_answer(made, results, dry_run=dry_run)

        repeated = call.idempotent(body, dry_run=dry_run)
        return await self._replay.once(call, repeated, make, dry_run=dry_run)

    async def _revert(
        self,
        conn: Connection,
        call: Call,
        reverted: Transaction,
        message: str | None,
        expected: dict[str, int],
    ) -> tuple[UUID, list[Result]]:
        made = await self._transactions.begin_revert(conn, reverted, message=message, by=call.by)
        moves = await self._moves.list_by_transaction(conn, reverted.transaction_id)
        moved = {move.name for move in moves}
        for name in expected:
            if name not in moved:
                rule = "The transaction did not move this tag."
                raise InvalidInput.at(pointer_to(["expected", name]), "moved", rule)
        like = TagOrder(namespace=call.namespace, name="", message=message, by=call.by)
        changes = await self._tags.take_back(conn, moves, like, expected, made)
        return made, [
            deleted_body(each.tag) if each.target is None else change_body(each) for each in changes
        ]


def _id_of(place: Transaction | UUID) -> UUID:
    return place if isinstance(place, UUID) else place.transaction_id


def _item(transaction: Transaction) -> TransactionItem:
    return TransactionItem(**msgspec.structs.asdict(transaction))


def transaction_in_path(raw: str) -> UUID:
    """A transaction id from the route."""
    return parse_id(segment(raw), "/transaction_id", "A transaction")
