"""Who does a job that one server of all is to do; what the job is, is not known here."""

from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.repository.upkeep.lease import LeaseRepository


class LeaseService:
    """A lease is a row with an end. A holder that crashes does not renew it, and another server
    may claim it after `seconds`.
    """

    def __init__(self, leases: LeaseRepository, *, seconds: float) -> None:
        self._leases = leases
        self.seconds = seconds

    async def claim(
        self, conn: Connection, job: str, holder: UUID, *, pause_seconds: float
    ) -> bool:
        """Whether the job is this holder's now. It is nobody's until `pause_seconds` after its
        last end.
        """
        return await self._leases.claim(
            conn, job, holder, seconds=self.seconds, pause_seconds=pause_seconds
        )

    async def renew(self, conn: Connection, job: str, holder: UUID) -> bool:
        """Whether the job is still this holder's."""
        return await self._leases.renew(conn, job, holder, seconds=self.seconds)

    async def end(self, conn: Connection, job: str, holder: UUID, *, done: bool) -> None:
        """Give the lease back. If the job is not done, another server may begin it at once."""
        await self._leases.end(conn, job, holder, done=done)
