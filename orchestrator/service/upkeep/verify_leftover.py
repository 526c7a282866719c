"""Rules of verification for what nothing refers to: objects, stages, uploads; no HTTP, no SQL.

Young objects and stages are left alone: their rows may be about to be written. A key is used only
once, so an old one that no row names will never be named again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.errors import MaintenanceHeld
from orchestrator.models.transfer.upload import upload_of_stage
from orchestrator.models.upkeep.verify import StaleUpload, VerifyProblem, VerifyProblemKind
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository
from orchestrator.repository.upkeep.verify import VerifyRepository
from orchestrator.storage.base import Storage, StoredObject
from orchestrator.telemetry.after_commit import tell

DELETED_AT_ONCE = 16


class VerifyLeftoverService:
    """Finds leftovers and deletes them; those in storage after the transaction that judged them."""

    def __init__(
        self,
        rows: VerifyRepository,
        maintenance: MaintenanceRepository,
        storage: Storage,
        *,
        leftover_seconds: float,
    ) -> None:
        self._rows = rows
        self._maintenance = maintenance
        self._storage = storage
        self._seconds = leftover_seconds

    async def share_maintenance_lock(self, conn: Connection) -> None:
        """Call it before anything is deleted because of what this transaction sees.

        Raises MaintenanceHeld during a backup, which may be about to copy what is to go.
        """
        if not await self._maintenance.try_shared(conn):
            raise MaintenanceHeld

    async def list_objects(self, after: str, limit: int) -> list[StoredObject]:
        """The next objects of the storage; it uses no connection."""
        return await self._storage.list_objects(after, limit)

    async def unnamed(
        self, conn: Connection, objects: Sequence[StoredObject]
    ) -> list[StoredObject]:
        """Which of the objects are old and belong to no blob."""
        old = self._old(objects)
        named = await self._rows.list_keys(conn, [each.key for each in old])
        return [each for each in old if each.key not in named]

    async def delete_objects(self, objects: Sequence[StoredObject]) -> None:
        """Call it after the commit. What a crash leaves is deleted the next time."""
        await self._delete(objects, self._storage.delete, "deleted leftover object")

    async def list_stages(self, after: str, limit: int) -> list[StoredObject]:
        """The next stages of the storage; it uses no connection."""
        return await self._storage.list_stages(after, limit)

    async def abandoned(
        self, conn: Connection, stages: Sequence[StoredObject]
    ) -> list[StoredObject]:
        """Which of the stages are old and belong to no upload, or to one that expired long ago."""
        old = self._old(stages)
        uploads = {upload for each in old if (upload := upload_of_stage(each.key))}
        needed = await self._rows.list_stages(conn, [*uploads], self._seconds)
        return [each for each in old if each.key not in needed]

    async def delete_stages(self, stages: Sequence[StoredObject]) -> None:
        """Call it after the commit. What a crash leaves is deleted the next time."""
        await self._delete(stages, self._storage.drop_stage, "deleted leftover stage")

    async def stale_uploads(self, conn: Connection, after: UUID, limit: int) -> list[StaleUpload]:
        """Uploads that expired long enough ago, those that became a blob too."""
        return await self._rows.list_stale(conn, after, self._seconds, limit)

    async def delete_uploads(
        self, conn: Connection, uploads: Sequence[StaleUpload]
    ) -> list[StaleUpload]:
        """Returns those that were deleted; their stages are leftovers from then on."""
        deleted = await self._rows.delete_stale(
            conn, [each.upload_id for each in uploads], self._seconds
        )
        for upload_id in deleted:
            tell(conn, "deleted stale upload", by=None, upload_id=str(upload_id))
        return [each for each in uploads if each.upload_id in deleted]

    async def sweep(self) -> int:
        """Remove what writers left half-written long ago; returns how many bytes that was."""
        return await self._storage.sweep(self._before())

    def _before(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=self._seconds)

    def _old(self, found: Sequence[StoredObject]) -> list[StoredObject]:
        before = self._before()
        return [each for each in found if each.modified_at <= before]

    async def _delete(
        self,
        found: Sequence[StoredObject],
        delete: Callable[[str], Awaitable[None]],
        event: str,
    ) -> None:
        for start in range(0, len(found), DELETED_AT_ONCE):
            batch = found[start : start + DELETED_AT_ONCE]
            await asyncio.gather(*(delete(each.key) for each in batch))
            for each in batch:
                tell(None, event, by=None, storage_key=each.key, size_bytes=each.size_bytes)


def leftover(found: StoredObject, what: str, *, repaired: bool) -> VerifyProblem:
    """The problem that an object or a stage is to which nothing refers."""
    since = found.modified_at.strftime("%Y-%m-%d %H:%M")
    return VerifyProblem(
        problem=VerifyProblemKind.LEFTOVER,
        detail=f"{what}: {found.size_bytes:,} bytes, of {since} UTC.",
        repaired=repaired,
        storage_key=found.key,
    )


def stale_upload(upload: StaleUpload, *, repaired: bool) -> VerifyProblem:
    """The problem that an expired upload is."""
    since = upload.expires_at.strftime("%Y-%m-%d %H:%M")
    size = upload.offset_bytes
    detail = f"The upload {upload.upload_id} expired on {since} UTC, with {size:,} bytes."
    return VerifyProblem(problem=VerifyProblemKind.STALE_UPLOAD, detail=detail, repaired=repaired)
