"""Takes the body of one request into the stage of an upload; it knows no protocol.

The offset of the session never counts bytes that are not durable. Bytes that arrived stay, whatever
ends the body: a client that vanishes, a deadline, an error. If this server is killed, the client
sends at most `advance_bytes` and the piece under way again.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import structlog

from orchestrator.core.database import Database
from orchestrator.core.threads import Threads
from orchestrator.errors import DomainError, NotFound
from orchestrator.errors_upload import UploadConflict
from orchestrator.jobs.upload_pace import UploadPace
from orchestrator.models.transfer.upload import Upload
from orchestrator.service.transfer.checksum import BodyChecksum
from orchestrator.service.transfer.upload import TakenUpload, UploadService
from orchestrator.service.transfer.upload_stage import Appender, UploadStages

log = structlog.get_logger()


class UploadReceiving:
    """Appends for a request that has taken the upload (`UploadService.take`)."""

    def __init__(
        self,
        database: Database,
        uploads: UploadService,
        stages: UploadStages,
        threads: Threads,
        pace: UploadPace,
    ) -> None:
        self._database = database
        self._uploads = uploads
        self._stages = stages
        self._threads = threads
        self._pace = pace

    async def receive(
        self, taken: TakenUpload, chunks: AsyncGenerator[bytes, None], checksum: BodyChecksum | None
    ) -> Upload:
        """The upload after this body. With a checksum the whole body counts, or none of it."""
        upload = taken.upload
        appender = self._stages.appender(upload.parts[-1], upload.offset_bytes)
        try:
            async with aclosing(_pieces(chunks, self._pace.piece_bytes)) as pieces:
                async for piece in pieces:
                    await self._append(taken, appender, piece, checksum)
            await appender.settle()
            if checksum is not None:
                checksum.check()
        except BaseException:
            # Also when we are cancelled.
            saved = asyncio.create_task(self._save(taken, appender, counts=checksum is None))
            await asyncio.shield(saved)
            raise
        return await self._end(taken, appender, appender.durable_bytes)

    async def _append(
        self, taken: TakenUpload, appender: Appender, piece: bytes, checksum: BodyChecksum | None
    ) -> None:
        await appender.append(piece)
        if checksum is not None:
            await self._threads.run(checksum.update, piece)
        elif appender.durable_bytes - appender.recorded_bytes >= self._pace.advance_bytes:
            # Further bytes become durable while this number is stored.
            durable_bytes = appender.durable_bytes
            async with self._database.write(of=taken.upload.namespace) as conn:
                await self._uploads.advance(conn, taken, durable_bytes, release=False)
            appender.recorded_bytes = durable_bytes

    async def _save(self, taken: TakenUpload, appender: Appender, *, counts: bool) -> None:
        """Keep the bytes of a request that fails, if the database can record them."""
        with suppress(Exception):
            await appender.settle()
        offset_bytes = appender.durable_bytes if counts else taken.upload.offset_bytes
        try:
            await self._end(taken, appender, offset_bytes)
        except DomainError as error:
            log.warning(
                "upload not advanced",
                upload_id=str(taken.upload.upload_id),
                offset_bytes=offset_bytes,
                error=type(error).__name__,
            )

    async def _end(self, taken: TakenUpload, appender: Appender, offset_bytes: int) -> Upload:
        """Record how far it came; a crash before leaves bytes in the stage that do not count."""
        try:
            async with self._database.write(of=taken.upload.namespace) as conn:
                release = not appender.is_in_doubt
                return await self._uploads.advance(conn, taken, offset_bytes, release=release)
        except UploadConflict:
            await self._leave(taken)
            raise

    async def _leave(self, taken: TakenUpload) -> None:
        """The upload is another request's, or gone: drop our stage unless bytes of it count."""
        upload, stage = taken.upload, taken.upload.parts[-1].stage
        with suppress(NotFound):
            async with self._database.connection() as conn:
                current = await self._uploads.get(conn, upload.namespace, upload.upload_id)
            if any(part.stage == stage for part in current.parts):
                return
        await self._stages.drop([stage])


async def _pieces(
    chunks: AsyncGenerator[bytes, None], piece_bytes: int
) -> AsyncGenerator[bytes, None]:
    """The body in pieces large enough to be written, also the last piece of a body that broke."""
    filling, broken = bytearray(), None
    try:
        async for chunk in chunks:
            filling += chunk
            if len(filling) >= piece_bytes:
                yield bytes(filling)
                filling.clear()
    except Exception as error:  # noqa: BLE001 - raised below, after what came before it.
        broken = error
    if filling:
        yield bytes(filling)
    if broken is not None:
        raise broken
