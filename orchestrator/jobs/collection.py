"""Collects garbage page by page; what is garbage is not decided here."""

from orchestrator.core.database import Database
from orchestrator.errors import MaintenanceHeld
from orchestrator.jobs.write_gate import WriteGate
from orchestrator.models.upkeep.gc import GC_START, CollectedPage, GCPosition
from orchestrator.service.upkeep.gc import GCService
from orchestrator.telemetry import metrics


class Collection:
    """The steps of one page, which a request or the schedule asks for."""

    def __init__(self, database: Database, gc: GCService, gate: WriteGate) -> None:
        self._database = database
        self._gc = gc
        self._gate = gate

    async def collect(
        self, at: GCPosition = GC_START, *, limit: int, dry_run: bool = False
    ) -> CollectedPage:
        """One transaction, then the objects of what it deleted."""
        try:
            if not dry_run:
                await self._gate.confirm()
            async with self._database.transaction() as conn:
                page = await self._gc.collect(conn, at, limit=limit, dry_run=dry_run)
        except MaintenanceHeld:
            metrics.GC_RUNS.labels("held").inc()
            raise
        # A crash here leaves objects that no row names; verification finds them.
        await self._gc.delete_objects(page.storage_keys)
        if page.following is None and not dry_run:
            metrics.GC_RUNS.labels("done").inc()
        return page
