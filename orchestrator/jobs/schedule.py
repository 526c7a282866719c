"""Collects garbage at an interval, without a request.

Every process of every server runs the schedule, and a lease in the database decides which of them
collects. The lease is a row that is renewed: it takes no connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from uuid import UUID

import structlog

from orchestrator.core.database import Database
from orchestrator.core.identifier import new_id
from orchestrator.errors import DomainError, MaintenanceHeld, StorageUnavailable
from orchestrator.jobs.collection import Collection
from orchestrator.models.upkeep.gc import GC_START, GCPosition
from orchestrator.service.upkeep.lease import LeaseService
from orchestrator.telemetry import metrics

log = structlog.get_logger()

#: The job's name in the table of leases.
JOB = "collection"
#: A lease is renewed several times before it expires, and looked for as often.
RENEWALS = 4


class Schedule:
    """Collections at an interval, each page by page to its end.

    After a crash of the process that collects, another one begins within a lease and a quarter.
    """

    def __init__(
        self,
        database: Database,
        leases: LeaseService,
        collection: Collection,
        *,
        interval_seconds: float,
        page_items: int,
    ) -> None:
        self._database = database
        self._leases = leases
        self._collection = collection
        self._interval_seconds = interval_seconds
        self._page_items = page_items

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Collect on schedule within this block; a page under way at its end is rolled back."""
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
        while True:
            await asyncio.sleep(min(self._interval_seconds, self._leases.seconds / RENEWALS))
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
        """A whole collection; False if another process does it, or did less than an interval ago.

        After a failure it is tried again an interval later. Cancelled, it is another's at once.
        """
        holder = new_id()
        if not await self._claim(holder):
            return False
        done = True
        try:
            await self._collect_pages(holder)
        except asyncio.CancelledError:
            done = False
            raise
        finally:
            with suppress(StorageUnavailable):  # Then the lease expires by itself.
                await self._end(holder, done=done)
        return True

    async def _collect_pages(self, holder: UUID) -> None:
        at: GCPosition | None = GC_START
        deleted = bytes_freed = 0
        renewed = monotonic()
        while at is not None:
            page = await self._collection.collect(at, limit=self._page_items)
            deleted += len(page.deleted)
            bytes_freed += page.bytes_freed
            at = page.following
            if monotonic() - renewed > self._leases.seconds / RENEWALS:
                renewed = monotonic()
                if not await self._renew(holder):
                    # A page took so long that the lease expired. Two at once do no harm.
                    log.warning("collection ended early", reason="Another process does it now.")
                    return
        log.info("collected garbage", deleted=deleted, bytes_freed=bytes_freed)

    async def _claim(self, holder: UUID) -> bool:
        async with self._database.connection() as conn:
            return await self._leases.claim(conn, JOB, holder, pause_seconds=self._interval_seconds)

    async def _renew(self, holder: UUID) -> bool:
        async with self._database.connection() as conn:
            return await self._leases.renew(conn, JOB, holder)

    async def _end(self, holder: UUID, *, done: bool) -> None:
        async with self._database.connection() as conn:
            await self._leases.end(conn, JOB, holder, done=done)
