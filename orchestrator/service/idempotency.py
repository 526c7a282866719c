"""Rules of repeated requests: no HTTP, no SQL, no transaction opened."""

from orchestrator.core.database import Connection
from orchestrator.errors import IdempotencyKeyReused
from orchestrator.models.idempotency import Answer, IdempotentCall
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.telemetry.after_commit import tell


class IdempotencyService:
    """The first response to a key is kept in the transaction of its effect: both are there or
    neither. A refused request keeps nothing, so it may be sent again with the same key.
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
        """The response to give again, or None: then do the work and `keep` its response."""
        if call is None:
            return None
        if await self._keys.claim(conn, call, self._seconds):
            # After the claim, and passing over what others hold: two claims cannot deadlock.
            await self._keys.delete_expired(conn)
            return None
        found = await self._keys.get(conn, call)
        # It is None if it expired between the two statements.
        return self._checked(conn, call, found) if found is not None else None

    @staticmethod
    def _checked(conn: Connection, call: IdempotentCall, found: tuple[bytes, Answer]) -> Answer:
        fingerprint, kept = found
        if fingerprint != call.fingerprint:
            raise IdempotencyKeyReused(call.key)
        tell(conn, "repeated request", by=None, idempotency_key=call.key)
        return kept

    async def keep(self, conn: Connection, call: IdempotentCall | None, response: Answer) -> None:
        """Keep what the first request is answered."""
        if call is not None:
            await self._keys.keep(conn, call, response)
