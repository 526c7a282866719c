"""An upload in parts, in no protocol's words: it begins, grows, becomes a blob, ends."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from uuid import UUID

import msgspec

from orchestrator.core.database import Database
from orchestrator.errors import DomainError, NotFound
from orchestrator.jobs.upload_completion import UploadCompletion
from orchestrator.jobs.upload_receiving import UploadReceiving
from orchestrator.jobs.write_gate import WriteGate
from orchestrator.models.transfer.upload import NewUpload, Upload
from orchestrator.service.transfer.checksum import BodyChecksum
from orchestrator.service.transfer.upload import UploadService
from orchestrator.service.transfer.upload_stage import BytesLost, UploadStages


class IncomingBody(msgspec.Struct, frozen=True):
    """The body of one request, not read yet."""

    #: The pieces of it; it is refused if there are more bytes than these.
    chunks: Callable[[int], AsyncGenerator[bytes, None]]
    declared_length: int | None
    checksum: BodyChecksum | None


class UploadSessions:
    """Sessions and their stages, with the connections that they need."""

    def __init__(
        self,
        database: Database,
        uploads: UploadService,
        stages: UploadStages,
        write_gate: WriteGate,
        receiving: UploadReceiving,
        completion: UploadCompletion,
    ) -> None:
        self._database = database
        self._uploads = uploads
        self._stages = stages
        self._write_gate = write_gate
        self._receiving = receiving
        self._completion = completion

    async def begin(self, new: NewUpload, body: IncomingBody) -> Upload:
        """An upload with its first bytes, or with all of them."""
        bytes_max = self._uploads.bytes_max if new.size_bytes is None else new.size_bytes
        chunks = body.chunks(bytes_max)
        await self._write_gate.admit(new.size_bytes or body.declared_length)
        async with self._database.transaction(of=new.namespace) as conn:
            upload = await self._uploads.create(conn, new)
            taken = await self._uploads.take(conn, upload, 0, None)
        try:
            upload = await self._receiving.receive(taken, chunks, body.checksum)
            return await self._completion.complete(upload) if upload.is_whole else upload
        except BaseException:
            # The client does not know of the upload, so nobody would go on with it.
            with suppress(DomainError):
                await self.end(upload.namespace, upload.upload_id)
            raise

    async def begin_without_bytes(self, new: NewUpload) -> Upload:
        """An upload of nothing: it is complete at once."""
        async with self._database.transaction(of=new.namespace) as conn:
            upload = await self._uploads.create(conn, new)
        return await self._completion.complete(upload)

    async def append(
        self, upload: Upload, offset_bytes: int, size_bytes: int | None, body: IncomingBody
    ) -> Upload:
        """Append the body. The newest request wins: one that still runs is ended with a conflict.

        `size_bytes` is the length of the whole, if the request says it.
        """
        self._uploads.check_offset(upload, offset_bytes)
        size_bytes = self._uploads.agreed_size(upload, size_bytes)
        bytes_max = self._uploads.bytes_max if size_bytes is None else size_bytes
        chunks = body.chunks(bytes_max - offset_bytes)
        if upload.is_whole:
            async with aclosing(chunks):
                async for _ in chunks:  # There is room for none.
                    pass
        else:
            await self._write_gate.admit(body.declared_length)
            await self._check_bytes(upload)
            async with self._database.transaction(of=upload.namespace) as conn:
                taken = await self._uploads.take(conn, upload, offset_bytes, size_bytes)
            await self._stages.drop(taken.abandoned)
            upload = await self._receiving.receive(taken, chunks, body.checksum)
        return await self._completed(upload)

    async def get(self, namespace: str, upload_id: UUID) -> Upload:
        """The session as it is; NotFound if there is none."""
        async with self._database.connection() as conn:
            return await self._uploads.get(conn, namespace, upload_id)

    async def get_to_go_on(self, namespace: str, upload_id: UUID) -> Upload:
        """The session, for a client that is to go on with it.

        The server that had the last byte may have ended before the blob was made. A client that
        learns that all bytes are there takes the upload for complete, so it is completed here.
        """
        upload = await self.get(namespace, upload_id)
        if upload.cas_id is None and not upload.is_whole:
            await self._check_bytes(upload)
        return await self._completed(upload)

    async def end(self, namespace: str, upload_id: UUID) -> None:
        """End the session and free its room; a blob that it became stays."""
        async with self._database.transaction(of=namespace) as conn:
            upload = await self._uploads.delete(conn, namespace, upload_id)
        # A crash here leaves stages without a session, which verification removes.
        await self._stages.drop(part.stage for part in upload.parts)

    async def _completed(self, upload: Upload) -> Upload:
        if not upload.is_whole or upload.cas_id is not None:
            return upload
        await self._write_gate.confirm()
        return await self._completion.complete(upload)

    async def _check_bytes(self, upload: Upload) -> None:
        """After a 404 a client begins anew, which is all that is left if bytes are lost."""
        await self._write_gate.confirm()
        try:
            await self._stages.check(upload)
        except BytesLost:
            raise NotFound("upload", str(upload.upload_id)) from None
