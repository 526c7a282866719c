"""The refusals of resumable uploads; no HTTP here."""

from orchestrator.errors import DomainError


class UploadConflict(DomainError):
    """A resumable upload is not where the request thinks; nothing of the request was stored."""

    def __init__(self, upload_id: str, detail: str, offset_bytes: int | None = None) -> None:
        super().__init__(detail)
        self.upload_id = upload_id
        if offset_bytes is not None:
            self.offset_bytes = offset_bytes


class TooManyUploads(DomainError):
    """There are as many unfinished uploads as there may be, in a place that the sentence names."""

    def __init__(self, place: str, limit: int) -> None:
        super().__init__(f"{place} has at most {limit} uploads that are not complete.")
        self.limit = limit


class UnsupportedProtocol(DomainError):
    """The request uses a version of the upload protocol that this server does not speak."""

    def __init__(self, given: str, supported: str) -> None:
        named = f"version {given!r}" if given else "no version"
        super().__init__(f"This is tus {supported}; the request names {named} in Tus-Resumable.")
        self.given, self.supported = given, supported


class ChecksumMismatch(DomainError):
    """The bytes of a request are not those that its checksum was made of; none was stored."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"The body does not have the {algorithm} that Upload-Checksum says.")
        self.algorithm = algorithm
