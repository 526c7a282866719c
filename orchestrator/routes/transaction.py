"""The route of transactions: a flat list that decides nothing."""

from litestar import post
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import operation
from orchestrator.handlers.transaction import RunTransaction, TransactionBody, TransactionHandler
from orchestrator.routes import examples
from orchestrator.routes.openapi import API, IDEMPOTENCY, answer, problems, takes


def transaction_routes(transactions: TransactionHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        post(
            f"{API}/transactions",
            operation_id="runTransaction",
            operation_class=takes(RunTransaction, examples.TRANSACTION, IDEMPOTENCY),
            summary="Many tag operations, all or nothing",
            tags=["transactions"],
            status_code=200,
            responses={
                200: answer(TransactionBody, examples.TRANSACTION_RESULT, "A result for each."),
                **problems(404, 408, 409, 413, 415, 422, 507),
            },
        )(operation(transactions.run))
    ]
