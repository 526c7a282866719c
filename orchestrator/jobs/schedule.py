"""What a server does by itself, without a request: it collects garbage by a schedule.

Every process of every server has the schedule, and one of them follows it: who finds that another
is at it waits for the next time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from orchestrator.core.database import Database
from orchestrator.errors import DomainError, MaintenanceHeld
from orchestrator.handlers.upkeep.gc import Collector
from orchestrator.models.upkeep.gc import GC_START, GCPosition
from orchestrator.service.upkeep.gc import GCService
from orchestrator.telemetry import metrics

log = structlog.get_logger()

#: A server that is restarted more often than the interval lasts is to collect all the same.
FIRST_SECONDS_MAX = 60.0


class Schedule:
    """Collections at an interval, each page by page to its end."""

    def __init__(
        self,
        database: Database,
        gc: GCService,
        collector: Collector,
        *,
        interval_seconds: float,
        page_items: int,
    ) -> None:
        self._database = database
        self._gc = gc
        self._collector = collector
        self._interval_seconds = interval_seconds
        self._page_items = page_items

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """As long as the block lasts. A page that is under way at its end is rolled back."""
        if not self._interval_seconds:
            yield
            return
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        wait_seconds = min(self._interval_seconds, FIRST_SECONDS_MAX)
        while True:
            await asyncio.sleep(wait_seconds)
            wait_seconds = self._interval_seconds
            try:
                await self.collect()
            except MaintenanceHeld as error:
                log.info("collection put off", reason=str(error))
            except DomainError as error:
                metrics.GC_RUNS.labels("failed").inc()
                log.warning("collection ended early", reason=str(error))
            except Exception:  # A defect must not end the schedule.
                metrics.GC_RUNS.labels("failed").inc()
                log.exception("collection failed")

    async def collect(self) -> bool:
        """A whole collection; False if another process is at it."""
        # The connection is the claim: if we die, the database gives it to the next one.
        async with self._database.connection() as conn:
            if not await self._gc.begin_schedule(conn):
                return False
            try:
                await self._collect_pages()
            finally:
                # Else the claim would live on in the pool.
                await self._gc.end_schedule(conn)
        return True

    async def _collect_pages(self) -> None:
        at: GCPosition | None = GC_START
        deleted = bytes_freed = 0
        while at is not None:
            page = await self._collector.collect(at, limit=self._page_items)
            deleted += len(page.deleted)
            bytes_freed += page.bytes_freed
            at = page.following
        log.info("collected garbage", deleted=deleted, bytes_freed=bytes_freed)
