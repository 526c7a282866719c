"""Routes of transactions: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.reply import API
from orchestrator.handlers.transaction import TransactionBody, TransactionHandler
from orchestrator.handlers.transaction_past import (
    RevertTransaction,
    TransactionDetails,
    TransactionItem,
    TransactionPastHandler,
)
from orchestrator.handlers.transaction_request import RunTransaction
from orchestrator.routes import examples
from orchestrator.routes.openapi import not_modified, takes
from orchestrator.routes.openapi_headers import IDEMPOTENCY, OF_READ
from orchestrator.routes.resource import Resource, counted_page, ok

ROUTES = Resource("transactions")
TRANSACTIONS = f"{API}/transactions"
TRANSACTION = f"{TRANSACTIONS}/{{transaction_id:str}}"


def transaction_routes(
    transactions: TransactionHandler, past: TransactionPastHandler
) -> list[HTTPRouteHandler]:
    """All routes of the handlers."""
    return [
        ROUTES.post(
            TRANSACTIONS,
            transactions.run,
            "runTransaction",
            "Many tag operations, all or nothing",
            ok(TransactionBody, examples.TRANSACTION_RESULT, "A result for each."),
            refuses=(404, 408, 409, 413, 415, 422, 507),
            reads=takes(RunTransaction, examples.TRANSACTION, IDEMPOTENCY),
        ),
        ROUTES.get(
            TRANSACTIONS,
            past.list_transactions,
            "listTransactions",
            "List transactions, newest first",
            counted_page(TransactionItem, examples.TRANSACTIONS),
        ),
        ROUTES.get(
            TRANSACTION,
            past.get,
            "getTransaction",
            "What a transaction moved",
            ok(TransactionDetails, examples.TRANSACTION_DETAILS, "The transaction.", *OF_READ)
            | not_modified(),
            refuses=(404,),
        ),
        ROUTES.post(
            f"{TRANSACTION}/revert",
            past.revert,
            "revertTransaction",
            "Take a transaction back, all or nothing",
            ok(TransactionBody, examples.REVERT_RESULT, "The tags as they stand now."),
            refuses=(404, 408, 409, 413, 415, 422),
            reads=takes(
                RevertTransaction, examples.REVERT_TRANSACTION, IDEMPOTENCY, required=False
            ),
        ),
    ]
