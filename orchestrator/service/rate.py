"""Rules of rate limits: no HTTP, no SQL, no transaction opened."""

from math import ceil

from orchestrator.core.database import Connection
from orchestrator.errors_request import RateLimited
from orchestrator.models.rate import WINDOW_SECONDS, WRITES
from orchestrator.repository.rate import RateRepository


class RateService:
    """Fixed windows, counted in the database so that all servers share them.

    A write that cannot be counted is refused: without the database it could not be done anyway.
    """

    def __init__(self, rates: RateRepository, *, writes_per_minute_max: int) -> None:
        self._rates = rates
        self._writes_per_minute_max = writes_per_minute_max

    @property
    def limits_writes(self) -> bool:
        """Whether there is a limit at all."""
        return self._writes_per_minute_max > 0

    async def admit_write(self, conn: Connection, principal: str) -> None:
        """Count a write, and raise RateLimited when it is one too many."""
        found = await self._rates.count(conn, principal, WRITES, WINDOW_SECONDS)
        if found.count > self._writes_per_minute_max:
            raise RateLimited(
                tier=WRITES,
                limit=self._writes_per_minute_max,
                window_seconds=WINDOW_SECONDS,
                count=found.count,
                retry_after_seconds=max(1, ceil(found.seconds_left)),
            )
