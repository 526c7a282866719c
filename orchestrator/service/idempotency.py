"""Rules of repeated requests: no HTTP, no SQL, no transaction opened."""

from orchestrator.core.database import Connection
from orchestrator.errors_request import IdempotencyKeyReused
from orchestrator.models.idempotency import Answer, IdempotentCall
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.telemetry.after_commit import tell


class IdempotencyService:
    """The first response to a key is stored in the transaction of its effect: both are there or
    neither. A refused request stores nothing, so it may be sent again with the same key.
    """

    def __init__(self, keys: IdempotencyRepository, *, seconds: float) -> None:
        self._keys = keys
        self._seconds = seconds

    async def find(self, conn: Connection, call: IdempotentCall | None) -> Answer | None:
        """The response to give again, if there is one; nothing is claimed.

        For work that is done before the transaction and might not be possible a second time.
        """
        found = await self._keys.get(conn, call) if call is not None else None
        return self._checked(conn, call, found) if call is not None and found is not None else None

    async def claim(self, conn: Connection, call: IdempotentCall | None) -> Answer | None:
        """The response to give again, or None: then do the work and `remember` its response."""
        if call is None:
            return None
        if await self._keys.claim(conn, call, self._seconds):
            # After the claim, and without rows that others have locked: two claims cannot deadlock.
            await self._keys.delete_expired(conn)
            return None
        found = await self._keys.get(conn, call)
        # It is None if it expired between the two statements.
        return self._checked(conn, call, found) if found is not None else None

    @staticmethod
    def _checked(conn: Connection, call: IdempotentCall, found: tuple[bytes, Answer]) -> Answer:
        fingerprint, first = found
        if fingerprint != call.fingerprint:
            raise IdempotencyKeyReused(call.key)
        tell(conn, "repeated request", by=call.by, idempotency_key=call.key)
        return first

    async def remember(
        self, conn: Connection, call: IdempotentCall | None, response: Answer
    ) -> None:
        """Store the response to the first request, for those that repeat it."""
        if call is not None:
            await self._keys.remember(conn, call, response)
