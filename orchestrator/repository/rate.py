"""SQL for rate limits: one statement per method, no decisions."""

from orchestrator.core.database import Connection
from orchestrator.models.rate import RateCount

# All servers count in the same row; a new window begins at one.
COUNT = """
INSERT INTO rate_count AS r (principal, tier, window_start, count)
VALUES ($1, $2, to_timestamp(floor(extract(epoch FROM now()) / $3::int) * $3), 1)
ON CONFLICT (principal, tier) DO UPDATE
   SET count = CASE WHEN r.window_start < excluded.window_start THEN 1 ELSE r.count + 1 END,
       window_start = greatest(r.window_start, excluded.window_start)
RETURNING count,
          extract(epoch FROM window_start + make_interval(secs => $3) - now())::float8
              AS seconds_left
"""


class RateRepository:
    """Rows of rate_count. Each count is a transaction of its own."""

    async def count(
        self, conn: Connection, principal: str, tier: str, window_seconds: int
    ) -> RateCount:
        row = await conn.fetchrow(COUNT, principal, tier, window_seconds)
        assert row is not None  # An upsert without a condition returns its row.
        return RateCount(**row)
