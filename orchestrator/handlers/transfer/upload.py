"""HTTP for resumable uploads by tus 1.0.0: reads requests, opens transactions, answers."""

from contextlib import aclosing, suppress
from typing import Annotated
from uuid import UUID

from litestar.exceptions import MethodNotAllowedException
from litestar.params import PathParameter

from orchestrator.core.database import Connection, Database
from orchestrator.core.identifier import new_id
from orchestrator.errors import CorruptBlob, DomainError, NotFound
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.digest_field import wants_sha256
from orchestrator.handlers.http.reading import segment
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.replying import json_answer, location
from orchestrator.handlers.transfer.upload_body import (
    ALGORITHMS,
    EXTENSIONS,
    NO_STORE,
    TUS,
    VERSION,
    check_content_type,
    check_version,
    checksum_of,
    empty,
    has_body,
    length_of,
    metadata_of,
    new_length_of,
    offset_of,
    progress_headers,
    said_at_creation,
    state_body,
    state_headers,
    upload_id_of,
)
from orchestrator.jobs.storage_gate import StorageGate
from orchestrator.jobs.upload_completion import Finisher
from orchestrator.jobs.upload_receiving import Receiver
from orchestrator.models.idempotency import Answer
from orchestrator.models.transfer.upload import NewUpload, Upload
from orchestrator.service.cas import CASService
from orchestrator.service.transfer.upload import UploadService
from orchestrator.service.transfer.upload_stage import BytesLost, UploadStages

#: The type of an answer without a body.
TEXT = "text/plain; charset=utf-8"
UploadPath = Annotated[str, PathParameter(description="The id of an upload, from its `Location`.")]


class UploadHandler:
    """Sessions by id: direct orchestration of sessions, stages and the CAS service."""

    def __init__(
        self,
        database: Database,
        uploads: UploadService,
        stages: UploadStages,
        cas: CASService,
        storage: StorageGate,
        finisher: Finisher,
        replay: Replay,
    ) -> None:
        self._database = database
        self._uploads = uploads
        self._stages = stages
        self._cas = cas
        self._storage = storage
        self._finisher = finisher
        self._replay = replay
        self._receiver = Receiver(database, uploads, stages)

    async def options(self, call: Call) -> Answer:  # noqa: ARG002 - any request is told it.
        """What of the protocol there is."""
        return empty(
            {
                **TUS,
                "Tus-Version": VERSION,
                "Tus-Extension": EXTENSIONS,
                "Tus-Max-Size": str(self._uploads.bytes_max),
                "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            }
        )

    async def create(self, call: Call) -> Answer:
        """Begin an upload, with its first bytes or all of them if there is a body."""
        check_version(call)
        new = _new_upload(call)
        if not has_body(call):
            return await self._create_empty(call, new)
        check_content_type(call)
        checksum = checksum_of(call)
        most = self._uploads.bytes_max if new.size_bytes is None else new.size_bytes
        chunks = call.chunks(most, "upload")
        await self._storage.admit(new.size_bytes or call.declared_length)
        async with self._database.transaction() as conn:
            upload = await self._uploads.create(conn, new)
            taken = await self._uploads.take(conn, upload, 0, None)
        try:
            upload = await self._receiver.receive(taken, chunks, checksum)
            if upload.is_whole:
                upload = await self._finisher.finish(upload)
        except BaseException:
            # The client does not know of the upload, so nobody would go on with it.
            with suppress(DomainError):
                await self._end(upload.namespace, upload.upload_id)
            raise
        return _created(upload, has_bytes=True)

    async def _create_empty(self, call: Call, new: NewUpload) -> Answer:
        repeated = call.idempotent(said_at_creation(call))
        await self._storage.admit(new.size_bytes)
        if new.size_bytes == 0:  # Without bytes it is complete at once.
            async with self._database.transaction() as conn:
                upload = await self._uploads.create(conn, new)
            return _created(await self._finisher.finish(upload), has_bytes=True)

        async def make(conn: Connection) -> Answer:
            return _created(await self._uploads.create(conn, new), has_bytes=False)

        return await self._replay.once(repeated, make)

    async def head(self, call: Call, upload_id: UploadPath) -> Answer:
        """Where to go on."""
        check_version(call)
        upload = await self._get(call.namespace, upload_id)
        if upload.cas_id is None and upload.is_whole:
            # The server that had the last byte did not come to an end. A client that is told that
            # all bytes are there takes the upload for complete.
            upload = await self._finish(upload)
        elif upload.cas_id is None:
            await self._check_bytes(upload)
        headers = {"Content-Type": TEXT, **state_headers(upload)}
        return Answer(status=200, headers=headers, body=b"")

    async def patch(self, call: Call, upload_id: UploadPath) -> Answer:
        """Append the body. The newest request wins: one that still runs is ended with 409."""
        check_version(call)
        check_content_type(call)
        offset_bytes, size_bytes = offset_of(call), length_of(call)
        checksum = checksum_of(call)
        upload = await self._get(call.namespace, upload_id)
        self._uploads.check_offset(upload, offset_bytes)
        size_bytes = self._uploads.agreed_size(upload, size_bytes)
        most = self._uploads.bytes_max if size_bytes is None else size_bytes
        chunks = call.chunks(most - offset_bytes, "rest of this upload")
        if upload.is_whole:
            async with aclosing(chunks):
                async for _ in chunks:  # There is room for none.
                    pass
        else:
            await self._storage.admit(call.declared_length)
            await self._check_bytes(upload)
            async with self._database.transaction() as conn:
                taken = await self._uploads.take(conn, upload, offset_bytes, size_bytes)
            await self._stages.drop(taken.abandoned)
            upload = await self._receiver.receive(taken, chunks, checksum)
        if upload.is_whole and upload.cas_id is None:
            upload = await self._finish(upload)
        return empty(progress_headers(upload))

    async def status(self, call: Call, upload_id: UploadPath) -> Answer:
        """The same as JSON, for people and for clients that lost the last answer."""
        upload, blob = await self._get(call.namespace, upload_id), None
        if upload.cas_id is not None:
            with suppress(NotFound, CorruptBlob):
                async with self._database.connection() as conn:
                    blob = await self._cas.get_blob(conn, call.namespace, upload.cas_id)
        return json_answer(state_body(upload, blob), headers={**TUS, **NO_STORE})

    async def delete(self, call: Call, upload_id: UploadPath) -> Answer:
        """End the upload and free its room; a blob that it became stays."""
        check_version(call)
        await self._end(call.namespace, _known(upload_id))
        return empty(TUS)

    async def override(self, call: Call, upload_id: UploadPath) -> Answer:
        """PATCH and DELETE for clients whose surroundings have no such methods."""
        match call.headers.get("x-http-method-override", "").upper():
            case "PATCH":
                return await self.patch(call, upload_id)
            case "DELETE":
                return await self.delete(call, upload_id)
        allowed = {"Allow": "DELETE, GET, HEAD, OPTIONS, PATCH"}
        raise MethodNotAllowedException(headers=allowed)

    async def _get(self, namespace: str, upload_id: str) -> Upload:
        async with self._database.connection() as conn:
            return await self._uploads.get(conn, namespace, _known(upload_id))

    async def _finish(self, upload: Upload) -> Upload:
        await self._storage.confirm()
        return await self._finisher.finish(upload)

    async def _check_bytes(self, upload: Upload) -> None:
        """A client that is told 404 begins anew, which is all that is left if bytes are lost."""
        await self._storage.confirm()
        try:
            await self._stages.check(upload)
        except BytesLost:
            raise NotFound("upload", str(upload.upload_id)) from None

    async def _end(self, namespace: str, upload_id: UUID) -> None:
        async with self._database.transaction() as conn:
            upload = await self._uploads.delete(conn, namespace, upload_id)
        # A crash here leaves stages without a session, which verification removes.
        await self._stages.drop(part.stage for part in upload.parts)


def _known(text: str) -> UUID:
    upload_id = upload_id_of(segment(text))
    if upload_id is None:
        raise NotFound("upload", segment(text))
    return upload_id


def _new_upload(call: Call) -> NewUpload:
    size_bytes = new_length_of(call)
    metadata = metadata_of(call)
    return NewUpload(
        upload_id=new_id(),
        namespace=call.namespace,
        media_type=metadata.media_type,
        expected=metadata.expected,
        wants_sha256=wants_sha256(call),
        metadata=metadata.text,
        size_bytes=size_bytes,
        created_by=call.by.name,
    )


def _created(upload: Upload, *, has_bytes: bool) -> Answer:
    headers = {"Content-Type": TEXT, **progress_headers(upload)}
    if not has_bytes:
        del headers["Upload-Offset"]
    headers["Location"] = location("uploads", str(upload.upload_id), upload.namespace)
    return Answer(status=201, headers=headers, body=b"")
