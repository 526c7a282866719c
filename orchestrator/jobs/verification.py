"""Verifies database and blob storage page by page, and opens the connections for that.

A restore verifies without HTTP. What is right and what is wrong the services say.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import msgspec

from orchestrator.core.database import Database
from orchestrator.models.upkeep.verify import (
    VERIFY_START,
    PageReport,
    Scope,
    VerifyPhase,
    VerifyPosition,
    VerifyProblem,
    VerifyProblemKind,
)
from orchestrator.service.upkeep.storage_identity import StorageIdentity
from orchestrator.service.upkeep.verify import VerifyService
from orchestrator.service.upkeep.verify_leftover import (
    VerifyLeftoverService,
    leftover,
    stale_upload,
)
from orchestrator.storage.base import StoredObject
from orchestrator.telemetry import metrics

#: A page ends after so many bytes or so long, whichever is first; one blob may be larger.
PAGE_BYTES_MAX = 256 * 1024 * 1024
PAGE_SECONDS_MAX = 5.0
PAGE_ITEMS_MAX = 1_000

_ORDER = tuple(VerifyPhase)
_NIL = UUID(int=0)


class Verification:
    """Pages of a verification. Each is bounded, keeps nothing in this process, and can be made
    again: whoever lost the answer asks for the same page.
    """

    def __init__(
        self,
        database: Database,
        identity: StorageIdentity,
        blobs: VerifyService,
        leftovers: VerifyLeftoverService,
        *,
        bytes_max: int = PAGE_BYTES_MAX,
        seconds_max: float = PAGE_SECONDS_MAX,
    ) -> None:
        self._database = database
        self._identity = identity
        self._blobs = blobs
        self._leftovers = leftovers
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max

    async def page(
        self, position: VerifyPosition | None, scope: Scope, *, limit: int = PAGE_ITEMS_MAX
    ) -> PageReport:
        """The page that begins here; None is the beginning.

        Raises StorageUnavailable if database or storage cannot say, or do not belong together.
        What was repaired before that stays repaired; the page can be requested again.
        """
        await self._confirm()
        total = await self._count() if position is None else None
        report = await self._step(position or VERIFY_START, scope, limit)
        # A phase with nothing left to look at does not make a page.
        while report.next is not None and report.is_empty:
            report = await self._step(report.next, scope, limit)
        for each in report.problems:
            metrics.VERIFY_PROBLEMS.labels(each.problem).inc()
        return msgspec.structs.replace(report, total_blobs=total)

    async def pages(self, scope: Scope) -> AsyncIterator[PageReport]:
        """All of them, in order."""
        report = await self.page(None, scope)
        yield report
        while report.next is not None:
            report = await self.page(report.next, scope)
            yield report

    async def _confirm(self) -> None:
        """Raise unless the storage belongs to this database: another one has none of its blobs."""
        if not self._identity.is_confirmed:
            found = await self._identity.found()
            async with self._database.connection() as conn:
                known = await self._identity.known(conn, found)
            await self._identity.join(known, found)
        await self._identity.check_storage()

    async def _listed(
        self,
        listing: Callable[[str, int], Awaitable[list[StoredObject]]],
        after: str,
        limit: int,
    ) -> list[StoredObject]:
        """What the storage lists, once it is certain that it belongs to this database: nothing of
        another storage may be deleted.
        """
        found = await listing(after, limit)
        await self._identity.check_storage()
        return found

    async def _count(self) -> int:
        async with self._database.connection() as conn:
            return await self._blobs.count(conn)

    async def _step(self, at: VerifyPosition, scope: Scope, limit: int) -> PageReport:
        match at.phase:
            case VerifyPhase.BLOBS:
                return await self._step_of_blobs(at, scope, limit)
            case VerifyPhase.OBJECTS:
                return await self._step_of_objects(at, scope, limit)
            case VerifyPhase.UPLOADS:
                return await self._step_of_uploads(at, scope, limit)
            case VerifyPhase.STAGES:
                return await self._step_of_stages(at, scope, limit)
            case VerifyPhase.REMAINS:
                return await self._step_of_remains(scope)

    async def _step_of_blobs(self, at: VerifyPosition, scope: Scope, limit: int) -> PageReport:
        async with self._database.connection() as conn:
            records = await self._blobs.list_blobs(
                conn, bytes.fromhex(at.after), limit, scope, read_bytes_max=self._bytes_max
            )
        # No connection is in use while bytes are read: that may take minutes.
        verdicts = await self._blobs.check(records, scope, seconds_max=self._seconds_max)
        problems: list[VerifyProblem] = []
        for verdict in verdicts:
            if verdict.problem is None and not verdict.record.quarantined:
                continue
            async with self._database.transaction() as conn:
                problem = await self._blobs.settle(conn, verdict, scope)
            if problem is not None:
                problems.append(problem)
        return PageReport(
            checked_blobs=len(verdicts),
            checked_bytes=sum(verdict.bytes_read for verdict in verdicts),
            problems=problems,
            next=_next(at, verdicts[-1].record.cas_id.raw.hex() if verdicts else None),
        )

    async def _step_of_objects(self, at: VerifyPosition, scope: Scope, limit: int) -> PageReport:
        found = await self._listed(self._leftovers.list_objects, at.after, limit)
        async with self._database.transaction() as conn:
            if scope.repair:
                await self._leftovers.share_maintenance_lock(conn)
            unnamed = await self._leftovers.unnamed(conn, found)
        if scope.repair:
            await self._leftovers.delete_objects(unnamed)
        what = "An object that no blob is at"
        return PageReport(
            checked_objects=len(found),
            problems=[leftover(each, what, repaired=scope.repair) for each in unnamed],
            next=_next(at, found[-1].key if found else None),
        )

    async def _step_of_uploads(self, at: VerifyPosition, scope: Scope, limit: int) -> PageReport:
        after = UUID(at.after) if at.after else _NIL
        async with self._database.transaction() as conn:
            if scope.repair:
                await self._leftovers.share_maintenance_lock(conn)
            stale = await self._leftovers.stale_uploads(conn, after, limit)
            # An upload that was prolonged between the two statements is no problem any more.
            found = await self._leftovers.delete_uploads(conn, stale) if scope.repair else stale
        return PageReport(
            # A completed upload is only a row that is no longer needed: no problem.
            problems=[
                stale_upload(each, repaired=scope.repair) for each in found if not each.complete
            ],
            next=_next(at, str(stale[-1].upload_id) if stale else None),
        )

    async def _step_of_stages(self, at: VerifyPosition, scope: Scope, limit: int) -> PageReport:
        found = await self._listed(self._leftovers.list_stages, at.after, limit)
        async with self._database.transaction() as conn:
            if scope.repair:
                await self._leftovers.share_maintenance_lock(conn)
            abandoned = await self._leftovers.abandoned(conn, found)
        if scope.repair:
            await self._leftovers.delete_stages(abandoned)
        what = "Bytes of an upload that there is no more"
        return PageReport(
            checked_objects=len(found),
            problems=[leftover(each, what, repaired=scope.repair) for each in abandoned],
            next=_next(at, found[-1].key if found else None),
        )

    async def _step_of_remains(self, scope: Scope) -> PageReport:
        """Half-written objects have no names, so they are counted where they are removed."""
        if not scope.repair:
            return PageReport()
        async with self._database.transaction() as conn:
            await self._leftovers.share_maintenance_lock(conn)
        swept = await self._leftovers.sweep()
        if not swept:
            return PageReport()
        detail = f"Objects that were never finished: {swept:,} bytes."
        return PageReport(
            problems=[
                VerifyProblem(problem=VerifyProblemKind.LEFTOVER, detail=detail, repaired=True)
            ]
        )


def _next(at: VerifyPosition, last: str | None) -> VerifyPosition:
    """After the last one, or the phase that follows when there was none."""
    if last is not None:
        return VerifyPosition(at.phase, last)
    return VerifyPosition(_ORDER[_ORDER.index(at.phase) + 1])
