"""Vocabulary of verification: how far it is, what it checks, what it found; no I/O."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasId, CasIdText, Sha256
from orchestrator.models.cas import Placement


class VerifyPhase(StrEnum):
    """The parts of a verification, in their order."""

    #: Every reference has bytes.
    BLOBS = "blobs"
    #: Every object has a reference.
    OBJECTS = "objects"
    #: Uploads that expired before they were complete.
    UPLOADS = "uploads"
    #: Every stage has an upload.
    STAGES = "stages"
    #: What writers left half-written in storage.
    REMAINS = "remains"


class VerifyPosition(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the next page begins: in this phase, after this name."""

    phase: VerifyPhase
    #: A blob's name in hex, an upload's id, the key of an object or a stage.
    after: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether the name is one that its phase can have."""
        try:
            if self.phase is VerifyPhase.BLOBS:
                bytes.fromhex(self.after)
            elif self.phase is VerifyPhase.UPLOADS and self.after:
                UUID(self.after)
        except ValueError:
            return False
        return "\0" not in self.after


VERIFY_START = VerifyPosition(VerifyPhase.BLOBS)


class VerifyProblemKind(StrEnum):
    """What can be wrong."""

    #: Storage has nothing where the blob should be.
    MISSING = "missing"
    #: Storage has another number of bytes than the blob.
    SIZE = "size"
    #: Other bytes than those that were stored.
    DAMAGED = "damaged"
    #: Found damaged before; its bytes were not read now, or are right by now.
    QUARANTINED = "quarantined"
    #: It was in quarantine, its bytes are right, and it is served again.
    RELEASED = "released"
    #: The SHA-256 that is remembered of the blob is not its own.
    SECOND_NAME = "second-name"
    #: Bytes in storage that nothing refers to.
    LEFTOVER = "leftover"
    #: An upload that expired before it was whole.
    STALE_UPLOAD = "stale-upload"


class VerifyProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, or was."""

    problem: VerifyProblemKind
    detail: str
    #: Nothing is left to do. A quarantine is no repair: the bytes have to be uploaded again.
    repaired: bool
    cas_id: CasIdText | None = None
    storage_key: str | None = None
    #: Whether the blob is in quarantine: not served until its bytes are uploaded again.
    quarantined: bool = False


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification reads and changes."""

    #: Read and hash every byte; else only look whether an object of the right size is there.
    read_data: bool = False
    #: Quarantine damaged blobs, release whole ones, delete what nothing refers to.
    repair: bool = False


class BlobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of cas_blob as it was when its check began."""

    cas_id: CasId
    size_bytes: int
    sha256: Sha256 | None
    quarantined: bool
    placement: Placement | None
    #: Of an inline blob: how many bytes there are, and the bytes if they are to be read.
    content_bytes: int | None
    content: bytes | None

    @property
    def storage_key(self) -> str | None:
        """None for an inline blob."""
        return self.placement.storage_key if self.placement else None


class BlobState(msgspec.Struct, frozen=True, kw_only=True):
    """A row of cas_blob as it is now; it may have changed since it was checked."""

    storage_key: str | None
    quarantined: bool
    #: Of an inline blob, the SHA-256 of its bytes in the database.
    content_sha256: bytes | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the check of one blob. Without a problem, what was checked is right."""

    record: BlobRecord
    problem: VerifyProblemKind | None = None
    detail: str = ""
    #: Some of the bytes cannot be had.
    unusable: bool = False
    bytes_read: int = 0
    #: Of a damaged inline blob, the SHA-256 of the bytes that were checked.
    content_sha256: bytes | None = None


class StaleUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that expired."""

    upload_id: UUID
    offset_bytes: int
    #: It has become a blob; its row was left only to tell the client so.
    complete: bool
    expires_at: datetime


class PageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one page of a verification found, and where the next one begins."""

    checked_blobs: int = 0
    #: Bytes that were read and hashed.
    checked_bytes: int = 0
    #: Objects and stages for which a reference was looked up.
    checked_objects: int = 0
    #: On the first page only.
    total_blobs: int | None = None
    problems: list[VerifyProblem] = []
    next: VerifyPosition | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to look at."""
        return not (self.checked_blobs or self.checked_objects or self.problems)
