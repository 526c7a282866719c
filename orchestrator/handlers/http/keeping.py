"""The answer that a copy of the same request was given while this one was being worked on."""

from orchestrator.core.database import Database
from orchestrator.models.idempotency import Answer, IdempotentCall
from orchestrator.service.idempotency import IdempotencyService


async def kept_meanwhile(
    database: Database, idempotency: IdempotencyService, call: IdempotentCall | None
) -> Answer | None:
    """To be asked when a change was refused that is computed before its transaction.

    The refusal may be due to a copy of the same request, made just before: then what the copy was
    answered is the answer to both.
    """
    if call is None:
        return None
    async with database.connection() as conn:
        return await idempotency.find(conn, call)
