"""HTTP for resumable uploads by tus 1.0.0: reads requests, asks for the steps, answers."""

from contextlib import suppress
from typing import Annotated
from uuid import UUID

from litestar.exceptions import MethodNotAllowedException
from litestar.params import PathParameter

from orchestrator.core.database import Connection, Database
from orchestrator.core.identifier import new_id
from orchestrator.errors import CorruptBlob, NotFound
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.digest_field import wants_sha256
from orchestrator.handlers.http.reading import segment
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import json_answer, location
from orchestrator.handlers.transfer import tus
from orchestrator.handlers.transfer.upload_body import state_body
from orchestrator.jobs.upload_session import IncomingBody, UploadSessions
from orchestrator.jobs.write_gate import WriteGate
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import IdText
from orchestrator.models.transfer.upload import NewUpload, Upload
from orchestrator.service.cas import CASService
from orchestrator.service.transfer.checksum import ALGORITHMS
from orchestrator.service.transfer.upload import UploadService

#: The type of an answer without a body.
TEXT = "text/plain; charset=utf-8"
UploadPath = Annotated[
    IdText, PathParameter(description="The id of an upload, from its `Location`.")
]


class UploadHandler:
    """Uploads by id, in the words of tus."""

    def __init__(
        self,
        database: Database,
        uploads: UploadService,
        cas: CASService,
        sessions: UploadSessions,
        write_gate: WriteGate,
        replay: Replay,
    ) -> None:
        self._database = database
        self._uploads = uploads
        self._cas = cas
        self._sessions = sessions
        self._write_gate = write_gate
        self._replay = replay

    async def options(self, call: Call) -> Answer:  # noqa: ARG002 - the answer is always the same.
        """What of the protocol there is."""
        return tus.empty(
            {
                **tus.TUS,
                "Tus-Version": tus.VERSION,
                "Tus-Extension": tus.EXTENSIONS,
                "Tus-Max-Size": str(self._uploads.bytes_max),
                "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            }
        )

    async def create(self, call: Call) -> Answer:
        """Begin an upload, with its first bytes or all of them if there is a body."""
        tus.check_version(call)
        new = _new_upload(call)
        self._uploads.check_size(new.size_bytes)
        if not tus.has_body(call):
            return await self._create_empty(call, new)
        tus.check_content_type(call)
        upload = await self._sessions.begin(new, _body(call, "upload"))
        return _created(upload, has_bytes=True)

    async def _create_empty(self, call: Call, new: NewUpload) -> Answer:
        repeated = call.idempotent(tus.said_at_creation(call))
        await self._write_gate.admit(new.size_bytes)
        if new.size_bytes == 0:
            return _created(await self._sessions.begin_without_bytes(new), has_bytes=True)

        async def make(conn: Connection) -> Answer:
            return _created(await self._uploads.create(conn, new), has_bytes=False)

        return await self._replay.once(call, repeated, make)

    async def head(self, call: Call, upload_id: UploadPath) -> Answer:
        """Where to go on."""
        tus.check_version(call)
        upload = await self._sessions.get_to_go_on(call.namespace, _known(upload_id))
        headers = {"Content-Type": TEXT, **tus.state_headers(upload)}
        return Answer(status=200, headers=headers, body=b"")

    async def patch(self, call: Call, upload_id: UploadPath) -> Answer:
        """Append the body. The newest request wins: one that still runs is ended with 409."""
        tus.check_version(call)
        tus.check_content_type(call)
        offset_bytes, size_bytes = tus.offset_of(call), tus.length_of(call)
        body = _body(call, "rest of this upload")
        upload = await self._sessions.get(call.namespace, _known(upload_id))
        upload = await self._sessions.append(upload, offset_bytes, size_bytes, body)
        return tus.empty(tus.progress_headers(upload))

    async def status(self, call: Call, upload_id: UploadPath) -> Answer:
        """The state as JSON, for people and for clients that lost the last answer."""
        upload = await self._sessions.get(call.namespace, _known(upload_id))
        blob = None
        if upload.cas_id is not None:
            with suppress(NotFound, CorruptBlob):
                async with self._database.connection() as conn:
                    blob = await self._cas.get_blob(conn, call.namespace, upload.cas_id)
        return json_answer(state_body(upload, blob), headers={**tus.TUS, **tus.NO_STORE})

    async def delete(self, call: Call, upload_id: UploadPath) -> Answer:
        """End the upload and free its room; a blob that it became stays."""
        tus.check_version(call)
        await self._sessions.end(call.namespace, _known(upload_id))
        return tus.empty(tus.TUS)

    async def override(self, call: Call, upload_id: UploadPath) -> Answer:
        """PATCH and DELETE for clients whose surroundings have no such methods."""
        match call.headers.get("x-http-method-override", "").upper():
            case "PATCH":
                return await self.patch(call, upload_id)
            case "DELETE":
                return await self.delete(call, upload_id)
        raise MethodNotAllowedException


def _body(call: Call, kind: str) -> IncomingBody:
    return IncomingBody(
        lambda bytes_max: call.chunks(bytes_max, kind), call.declared_length, tus.checksum_of(call)
    )


def _known(text: str) -> UUID:
    """The id in a route; what no upload is named is not found."""
    given = segment(text)
    try:
        found = UUID(given)
    except ValueError:
        found = None
    if found is None or str(found) != given:
        raise NotFound("upload", given)
    return found


def _new_upload(call: Call) -> NewUpload:
    size_bytes = tus.new_length_of(call)
    metadata = tus.metadata_of(call)
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
    headers = {"Content-Type": TEXT, **tus.progress_headers(upload)}
    if not has_bytes:
        del headers["Upload-Offset"]
    headers["Location"] = location("uploads", str(upload.upload_id), upload.namespace)
    return Answer(status=201, headers=headers, body=b"")
