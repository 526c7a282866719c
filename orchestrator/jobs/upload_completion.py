"""Makes a blob of an upload whose bytes are all there; a failure leaves it to be tried again.

A session is complete in the very transaction that stores its blob. Until then each request that
asks for it tries to complete it: a client that lost the connection with its last byte asks only
where it was.
"""

import asyncio
from functools import partial
from uuid import UUID

import structlog

from orchestrator.core.database import Database
from orchestrator.errors import DigestMismatch, NotFound, OutcomeUnknown, StorageUnavailable
from orchestrator.errors_upload import UploadConflict
from orchestrator.jobs.upload_pace import UploadPace
from orchestrator.models.transfer.upload import Upload
from orchestrator.service.cas import CASService, InlineNeeded
from orchestrator.service.transfer.delivery import Delivery
from orchestrator.service.transfer.intake import TakenBlob
from orchestrator.service.transfer.upload import UploadService
from orchestrator.service.transfer.upload_stage import BytesLost, UploadStages

log = structlog.get_logger()


class UploadCompletion:
    """One task for each upload that is being completed; all who ask for it wait for that task."""

    def __init__(
        self,
        database: Database,
        uploads: UploadService,
        stages: UploadStages,
        cas: CASService,
        delivery: Delivery,
        pace: UploadPace,
    ) -> None:
        self._database = database
        self._uploads = uploads
        self._stages = stages
        self._cas = cas
        self._delivery = delivery
        self._pace = pace
        self._running: dict[UUID, asyncio.Task[Upload]] = {}

    async def complete(self, upload: Upload) -> Upload:
        """The completed upload. The work goes on if the caller is cancelled."""
        task = self._running.get(upload.upload_id)
        if task is None:
            task = asyncio.create_task(self._complete(upload))
            self._running[upload.upload_id] = task
            task.add_done_callback(partial(self._ended, upload.upload_id))
        return await asyncio.shield(task)

    def _ended(self, upload_id: UUID, task: asyncio.Task[Upload]) -> None:
        del self._running[upload_id]
        if not task.cancelled():
            task.exception()  # Nobody may be waiting for it any more.

    async def _complete(self, upload: Upload) -> Upload:
        try:
            done = await self._make_blob(upload)
        except UploadConflict:
            return await self._get(upload)  # Another server has completed it.
        except BytesLost:
            return await self._await_other(upload)
        except DigestMismatch:
            # It can never become what was promised.
            async with self._database.transaction(of=upload.namespace) as conn:
                await self._uploads.delete(conn, upload.namespace, upload.upload_id)
            await self._stages.drop(part.stage for part in upload.parts)
            raise
        try:
            await self._stages.drop(part.stage for part in upload.parts)
        except StorageUnavailable:
            log.warning("stages left behind", upload_id=str(upload.upload_id))
        return done

    async def _make_blob(self, upload: Upload) -> Upload:
        refusal: UploadConflict | NotFound
        async with self._stages.received(upload, partial(self._last_chance, upload)) as taken:
            try:
                return await self._commit(upload, taken)
            except InlineNeeded:
                taken.received = await self._delivery.inlined(taken.received)
                return await self._commit(upload, taken)
            except (UploadConflict, NotFound) as error:
                refusal = error  # The block ends as it should, and leaves no object behind.
        raise refusal

    async def _last_chance(self, upload: Upload) -> None:
        """Ask the database, before the stage is gone, whether it answers and wants the blob."""
        async with self._database.connection() as conn:
            await self._uploads.prolong(conn, upload)

    async def _commit(self, upload: Upload, taken: TakenBlob) -> Upload:
        """Session and blob in one transaction. After a commit whose outcome is not known, nothing
        is thrown away any more: a row may point at it.
        """
        is_in_doubt = is_unknown = False
        for seconds in (*self._pace.retry_seconds, None):
            try:
                async with self._database.transaction(of=upload.namespace) as conn:
                    done = await self._uploads.complete(conn, upload, taken.received.cas_id)
                    stored = await self._cas.upload(conn, upload.namespace, taken.received, by=None)
            except StorageUnavailable as error:
                is_in_doubt = True
                is_unknown = is_unknown or isinstance(error, OutcomeUnknown)
                if seconds is None:
                    if is_unknown:
                        raise OutcomeUnknown from error
                    raise
                await asyncio.sleep(seconds)
            except (UploadConflict, NotFound):
                taken.is_used = taken.is_used or is_in_doubt
                raise
            else:
                taken.is_used = stored.used and taken.received.placement is not None
                return done
        raise AssertionError

    async def _await_other(self, upload: Upload) -> Upload:
        """The stage is gone: another server is about to commit, or crashed before it could."""
        for seconds in self._pace.elsewhere_seconds:
            current = await self._get(upload)
            if current.cas_id is not None:
                return current
            await asyncio.sleep(seconds)
        log.error("lost upload", upload_id=str(upload.upload_id))
        # A client that gets this begins the upload anew.
        raise NotFound("upload", str(upload.upload_id))

    async def _get(self, upload: Upload) -> Upload:
        async with self._database.connection() as conn:
            return await self._uploads.get(conn, upload.namespace, upload.upload_id)
