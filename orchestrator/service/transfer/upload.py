"""Rules of resumable uploads: offsets, lengths, and who may append; no HTTP, no SQL, no bytes.

A stage never has two writers at once: a request that takes an upload over from one that has not
ended opens a stage of its own. What the old request still writes lands in the old stage, behind the
bytes that count, so it cannot damage what was acknowledged to the new request.
"""

from uuid import UUID, uuid4

import msgspec

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import InvalidInput, NotFound, TooLarge
from orchestrator.errors_upload import TooManyUploads, UploadConflict
from orchestrator.models.transfer.upload import NewUpload, OpenUploads, Part, Upload, stage_name
from orchestrator.repository.transfer.upload import UploadRepository
from orchestrator.telemetry import metrics
from orchestrator.telemetry.after_commit import tell


class TakenUpload(msgspec.Struct, frozen=True):
    """An upload that this request may append to, and its stages none of whose bytes count now."""

    upload: Upload
    writer: UUID
    abandoned: tuple[str, ...]


class UploadService:
    """Sessions. The bytes go to stages (`UploadStages`) before a session says that it has them."""

    def __init__(
        self,
        uploads: UploadRepository,
        *,
        seconds: float,
        open_max: OpenUploads,
        bytes_max: int,
        metadata_bytes_max: int,
    ) -> None:
        self._uploads = uploads
        self._seconds = seconds
        self._open_max = open_max
        self.bytes_max = bytes_max
        self._metadata_bytes_max = metadata_bytes_max

    async def create(self, conn: Connection, new: NewUpload) -> Upload:
        """A session without bytes. Its length, if known, may not be over the limit.

        The numbers of open uploads are no exact limits: those that are created at the same moment
        do not see each other.
        """
        self.check_size(new.size_bytes)
        if len(new.metadata) > self._metadata_bytes_max:  # It is ASCII.
            raise TooLarge("metadata of an upload", self._metadata_bytes_max, len(new.metadata))
        self._check_open(await self._uploads.count_open(conn, new.namespace, new.created_by))
        upload = await self._uploads.insert(conn, new, self._seconds)
        tell(
            conn,
            "created upload",
            by=None,
            upload_id=str(upload.upload_id),
            namespace=upload.namespace,
        )
        return upload

    async def get(self, conn: Connection, namespace: str, upload_id: UUID) -> Upload:
        """NotFound also for one that has expired, or that another namespace has."""
        upload = await self._uploads.get(conn, namespace, upload_id)
        if upload is None:
            raise NotFound("upload", str(upload_id))
        return upload

    async def take(
        self, conn: Connection, seen: Upload, offset_bytes: int, size_bytes: int | None
    ) -> TakenUpload:
        """Make this request the writer, if it begins where the upload ends. An older request that
        is still running learns of it when it calls `advance`.
        """
        upload = await self._uploads.get_locked(conn, seen.namespace, seen.upload_id)
        if upload is None:
            raise NotFound("upload", str(seen.upload_id))
        self.check_offset(upload, offset_bytes)
        writer = uuid4()
        parts, abandoned = _stages_for(upload, writer)
        size_bytes = self.agreed_size(upload, size_bytes)
        taken = await self._uploads.take(
            conn, upload.upload_id, writer, parts, size_bytes, self._seconds
        )
        assert taken is not None  # It is locked.
        return TakenUpload(taken, writer, abandoned)

    def check_offset(self, upload: Upload, offset_bytes: int) -> None:
        """Raise UploadConflict unless the next bytes begin where those that are there end."""
        if offset_bytes != upload.offset_bytes:
            have = upload.offset_bytes
            raise UploadConflict(
                str(upload.upload_id),
                f"The upload has {have} bytes, so the next ones begin there, not at "
                f"{offset_bytes}.",
                have,
            )

    def agreed_size(self, upload: Upload, given: int | None) -> int | None:
        """The length of the whole upload; once the client has said it, it cannot change."""
        if given is None or given == upload.size_bytes:
            return upload.size_bytes
        if upload.size_bytes is not None:
            message = f"The length of the upload is {upload.size_bytes}; it cannot be changed."
            raise InvalidInput.at("/Upload-Length", "upload-length", message)
        self.check_size(given)
        if given < upload.offset_bytes:
            message = f"The upload has {upload.offset_bytes} bytes already."
            raise InvalidInput.at("/Upload-Length", "upload-length", message)
        return given

    async def advance(
        self, conn: Connection, taken: TakenUpload, offset_bytes: int, *, release: bool
    ) -> Upload:
        """Record that so many bytes are durable. With `release`, the next writer may append to the
        same stage: only for a request none of whose appends is under way or in doubt.
        """
        upload_id = taken.upload.upload_id
        upload = await self._uploads.advance(
            conn, upload_id, taken.writer, offset_bytes, self._seconds, release=release
        )
        if upload is None:
            raise UploadConflict(
                str(upload_id), "Another request has taken the upload over, or ended it."
            )
        return upload

    async def prolong(self, conn: Connection, upload: Upload) -> Upload:
        """Put off its expiry while a blob is made of it; refused if it was completed or deleted
        meanwhile.
        """
        found = await self._uploads.extend(conn, upload.upload_id, self._seconds)
        if found is None:
            raise NotFound("upload", str(upload.upload_id))
        if found.cas_id is not None:
            raise _complete_already(found)
        return found

    async def complete(self, conn: Connection, upload: Upload, cas_id: CasId) -> Upload:
        """Record that the bytes are this blob. Call it in the transaction that stores the blob; it
        raises UploadConflict if another request completed the upload, NotFound if it was deleted.
        """
        found = await self._uploads.complete(conn, upload.upload_id, cas_id, self._seconds)
        if found is None:
            await self.get(conn, upload.namespace, upload.upload_id)
            raise _complete_already(upload)
        tell(
            conn,
            "completed upload",
            metrics.UPLOADS_COMPLETED.inc,
            by=None,
            upload_id=str(upload.upload_id),
            cas_id=str(cas_id),
        )
        return found

    async def delete(self, conn: Connection, namespace: str, upload_id: UUID) -> Upload:
        """Delete the session. The caller drops its stages after the commit."""
        upload = await self._uploads.delete(conn, namespace, upload_id)
        if upload is None:
            raise NotFound("upload", str(upload_id))
        tell(conn, "deleted upload", by=None, upload_id=str(upload_id), namespace=namespace)
        return upload

    def _check_open(self, found: OpenUploads) -> None:
        """A namespace costs nothing, so a limit of each would be none."""
        limits = self._open_max
        for place, count, limit in (
            ("A namespace", found.in_namespace, limits.in_namespace),
            ("A caller", found.of_caller, limits.of_caller),
            ("This store", found.in_total, limits.in_total),
        ):
            if count >= limit:
                raise TooManyUploads(place, limit)

    def check_size(self, size_bytes: int | None) -> None:
        """Refuse a length over the limit, before there is room looked for."""
        if size_bytes is not None and size_bytes > self.bytes_max:
            raise TooLarge("blob", self.bytes_max, size_bytes)


def _complete_already(upload: Upload) -> UploadConflict:
    return UploadConflict(str(upload.upload_id), "The upload is complete already.")


def _stages_for(upload: Upload, writer: UUID) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The stages of the upload with the one that this writer appends to, and those left behind."""
    if upload.writer is None and upload.parts:
        return upload.parts, ()
    counting = {stage for stage, _ in upload.stages()}
    used = tuple(part for part in upload.parts if part.stage in counting)
    abandoned = tuple(part.stage for part in upload.parts if part.stage not in counting)
    opened = Part(stage_name(upload.upload_id, writer), upload.offset_bytes)
    return (*used, opened), abandoned
