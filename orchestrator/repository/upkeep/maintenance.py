"""SQL of the maintenance lock: one statement per method, no decisions."""

from orchestrator.core.database import Connection
from orchestrator.models.upkeep.maintenance import MAINTENANCE_LOCK

TRY_SHARED = "SELECT pg_try_advisory_xact_lock_shared($1)"

# It belongs to the session, and spans any number of its transactions.
LOCK_EXCLUSIVE = "SELECT pg_advisory_lock($1)"


class MaintenanceRepository:
    """The lock between those that delete bytes and those that need them to stay."""

    async def try_shared(self, conn: Connection) -> bool:
        """Share it until the transaction ends. False while a backup or a restore has it alone."""
        return bool(await conn.fetchval(TRY_SHARED, MAINTENANCE_LOCK))

    async def lock_exclusive(self, conn: Connection) -> None:
        """Wait for those that share it. The lock ends with the connection."""
        await conn.execute(LOCK_EXCLUSIVE, MAINTENANCE_LOCK)
