"""SQL of the maintenance lock: one statement per method, no decisions."""

from orchestrator.core.database import Connection
from orchestrator.models.upkeep.maintenance import MAINTENANCE_LOCK, SCHEDULE_LOCK

TRY_SHARED = "SELECT pg_try_advisory_xact_lock_shared($1)"

# These are held by the session, through any number of transactions.
LOCK_EXCLUSIVE = "SELECT pg_advisory_lock($1)"
UNLOCK_EXCLUSIVE = "SELECT pg_advisory_unlock($1)"
TRY_SCHEDULE = "SELECT pg_try_advisory_lock($1)"


class MaintenanceRepository:
    """The lock between those that delete bytes and those that need them to stay, and the one of
    those that collect by a schedule.
    """

    async def try_shared(self, conn: Connection) -> bool:
        """Until the transaction ends; False while somebody has it alone."""
        return bool(await conn.fetchval(TRY_SHARED, MAINTENANCE_LOCK))

    async def lock_exclusive(self, conn: Connection) -> None:
        """Wait for those that share it. It ends with `unlock_exclusive` or the connection."""
        await conn.execute(LOCK_EXCLUSIVE, MAINTENANCE_LOCK)

    async def unlock_exclusive(self, conn: Connection) -> None:
        await conn.execute(UNLOCK_EXCLUSIVE, MAINTENANCE_LOCK)

    async def try_schedule(self, conn: Connection) -> bool:
        """False while another server has it. It ends with `end_schedule` or the connection."""
        return bool(await conn.fetchval(TRY_SCHEDULE, SCHEDULE_LOCK))

    async def end_schedule(self, conn: Connection) -> None:
        await conn.execute(UNLOCK_EXCLUSIVE, SCHEDULE_LOCK)
