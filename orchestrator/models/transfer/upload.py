"""Vocabulary of resumable uploads: sessions, and the stages of their bytes so far; no I/O."""

from datetime import datetime
from uuid import UUID

import msgspec

from orchestrator.core.digest import BlobName, CasId

_ID_LENGTH = 32


class Part(msgspec.Struct, frozen=True):
    """The bytes of an upload from `start` on, up to the start of the next part, in one stage."""

    stage: str
    start: int


class NewUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is to be created."""

    upload_id: UUID
    namespace: str
    media_type: str
    #: The name that the bytes must turn out to have.
    expected: BlobName | None
    wants_sha256: bool
    #: As the client sent it.
    metadata: str
    #: None until the client tells.
    size_bytes: int | None
    created_by: str


class OpenUploads(msgspec.Struct, frozen=True, kw_only=True):
    """How many uploads are not complete, or how many may be."""

    in_namespace: int
    of_caller: int
    in_total: int


class Upload(NewUpload, frozen=True, kw_only=True):
    """A session. All that is known of it is here and in its stages."""

    #: So many bytes are durable.
    offset_bytes: int
    parts: tuple[Part, ...]
    #: The request that may append; None when the last one has ended.
    writer: UUID | None
    #: The blob that it became.
    cas_id: CasId | None
    created_at: datetime
    expires_at: datetime

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there, so that they can become a blob."""
        return self.offset_bytes == self.size_bytes

    def stages(self) -> list[tuple[str, int]]:
        """The stages with its bytes, in order, each with the number of its bytes that count."""
        ends = [*(part.start for part in self.parts[1:]), self.offset_bytes]
        lengths = (end - part.start for part, end in zip(self.parts, ends, strict=False))
        return [(part.stage, n) for part, n in zip(self.parts, lengths, strict=True) if n]


def stage_name(upload_id: UUID, writer: UUID) -> str:
    """The name of the stage that this request opens. All names have one length."""
    return f"{upload_id.hex}-{writer.hex}"


def upload_of_stage(stage: str) -> UUID | None:
    """The upload that a stage belongs to; None for a name that `stage_name` did not make."""
    upload_id, separator, _ = stage.partition("-")
    if len(upload_id) != _ID_LENGTH or not separator:
        return None
    try:
        return UUID(upload_id)
    except ValueError:
        return None
