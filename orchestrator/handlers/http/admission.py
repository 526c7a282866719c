"""What is checked before any operation runs: room on the disk, and the rate of the caller."""

from orchestrator.core.database import Database
from orchestrator.core.disk import Disk
from orchestrator.models.principal import Principal
from orchestrator.service.rate import RateService

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Admission:
    """Checks requests that go through the framework, and those of the fast path, alike."""

    def __init__(self, database: Database, rates: RateService, disk: Disk) -> None:
        self._database = database
        self._rates = rates
        self._disk = disk

    async def admit_write(self, principal: Principal, *, frees_space: bool = False) -> None:
        """Refuse a write if the disk is full, or if the caller has made too many."""
        if not frees_space:
            self._disk.check()
        if self._rates.limits_writes:
            # Requests of one caller wait for each other: all of them count in one row.
            async with self._database.write(of=principal) as conn:
                await self._rates.admit_write(conn, principal.name)
