"""SQL for idempotency keys: one statement per method, no decisions."""

from orchestrator.core.database import Connection
from orchestrator.models.idempotency import Answer, IdempotentCall

# A concurrent request with the same key waits here until the first commits or rolls back.
CLAIM = """
INSERT INTO idempotency_key AS k (principal, key, fingerprint, expires_at)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
ON CONFLICT (principal, key) DO UPDATE
   SET fingerprint = excluded.fingerprint, status = NULL, headers = NULL, body = NULL,
       expires_at = excluded.expires_at
 WHERE k.expires_at <= now()
RETURNING true
"""

GET = """
SELECT fingerprint, status, headers, body FROM idempotency_key
 WHERE (principal, key) = ($1, $2) AND expires_at > now()
"""

REMEMBER = """
UPDATE idempotency_key SET status = $3, headers = $4, body = $5 WHERE (principal, key) = ($1, $2)
"""

# A few at each claim keep the table small without a job of its own.
DELETE_EXPIRED = """
DELETE FROM idempotency_key WHERE (principal, key) IN (
    SELECT principal, key FROM idempotency_key WHERE expires_at <= now()
     ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED)
"""


class IdempotencyRepository:
    """Rows of idempotency_key. The caller owns the transaction."""

    async def claim(self, conn: Connection, call: IdempotentCall, seconds: float) -> bool:
        """True when the key is new or was expired; it is ours if this transaction commits."""
        claimed = await conn.fetchval(CLAIM, call.by.name, call.key, call.fingerprint, seconds)
        return bool(claimed)

    async def get(self, conn: Connection, call: IdempotentCall) -> tuple[bytes, Answer] | None:
        """The fingerprint of the first request with this key, and its response."""
        row = await conn.fetchrow(GET, call.by.name, call.key)
        if row is None:
            return None
        first = Answer(status=row["status"], headers=row["headers"], body=row["body"])
        return row["fingerprint"], first

    async def remember(self, conn: Connection, call: IdempotentCall, response: Answer) -> None:
        await conn.execute(
            REMEMBER, call.by.name, call.key, response.status, response.headers, response.body
        )

    async def delete_expired(self, conn: Connection) -> None:
        await conn.execute(DELETE_EXPIRED)
