"""The bodies of requests and answers about blobs."""

import msgspec

from orchestrator.core.digest import BlobNameText, CasIdText
from orchestrator.core.moment import Moment
from orchestrator.models.cas import Blob


class BlobBody(msgspec.Struct, frozen=True, kw_only=True):
    """A blob without its bytes."""

    cas_id: CasIdText
    size_bytes: int
    media_type: str
    created_at: Moment
    sha256: BlobNameText | None = None


class MissingQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The question which of these blobs would have to be uploaded."""

    cas_ids: list[BlobNameText]


class MissingBody(msgspec.Struct, frozen=True):
    """Those that would, in the order of the request."""

    missing: list[BlobNameText]


def blob_body(blob: Blob) -> BlobBody:
    """The blob with its names as text."""
    return BlobBody(
        cas_id=str(blob.cas_id),
        size_bytes=blob.size_bytes,
        media_type=blob.media_type,
        created_at=blob.created_at,
        sha256=str(blob.sha256) if blob.sha256 else None,
    )
