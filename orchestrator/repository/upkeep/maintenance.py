"""SQL of the maintenance lock: one statement per method, no decisions."""

from orchestrator.core.database import Connection
from orchestrator.models.upkeep.maintenance import MAINTENANCE_LOCK, SCHEDULE_LOCK

TRY_SHARED = "SELECT pg_try_advisory_xact_lock_shared($1)"

# These last as long as the session, through any number of transactions.
LOCK_EXCLUSIVE = "SELECT pg_advisory_lock($1)"
TRY_SCHEDULE = "SELECT pg_try_advisory_lock($1)"
END_SCHEDULE = "SELECT pg_advisory_unlock($1)"


class MaintenanceRepository:
    """The maintenance lock, which keeps deletions and backups apart, and the lock of the server
    that collects garbage by its schedule.
    """

    async def try_shared(self, conn: Connection) -> bool:
        """Share it until the transaction ends. False while a backup or a restore has it alone."""
        return bool(await conn.fetchval(TRY_SHARED, MAINTENANCE_LOCK))

    async def lock_exclusive(self, conn: Connection) -> None:
        """Wait for those that share it. The lock ends with the connection."""
        await conn.execute(LOCK_EXCLUSIVE, MAINTENANCE_LOCK)

    async def try_schedule(self, conn: Connection) -> bool:
        """False while another server has it. It ends with `end_schedule` or the connection."""
        return bool(await conn.fetchval(TRY_SCHEDULE, SCHEDULE_LOCK))

    async def end_schedule(self, conn: Connection) -> None:
        await conn.execute(END_SCHEDULE, SCHEDULE_LOCK)
