"""The route of transactions: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.reply import API
from orchestrator.handlers.transaction import TransactionBody, TransactionHandler
from orchestrator.handlers.transaction_request import RunTransaction
from orchestrator.routes import examples
from orchestrator.routes.openapi import takes
from orchestrator.routes.openapi_headers import IDEMPOTENCY
from orchestrator.routes.resource import Resource, ok

ROUTES = Resource("transactions")


def transaction_routes(transactions: TransactionHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        ROUTES.post(
            f"{API}/transactions",
            transactions.run,
            "runTransaction",
            "Many tag operations, all or nothing",
            ok(TransactionBody, examples.TRANSACTION_RESULT, "A result for each."),
            refuses=(404, 408, 409, 413, 415, 422, 507),
            reads=takes(RunTransaction, examples.TRANSACTION, IDEMPOTENCY),
        )
    ]
