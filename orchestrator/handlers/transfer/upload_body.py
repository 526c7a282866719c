"""The body of answers about uploads."""

import msgspec

from orchestrator.core.digest import CasIdText
from orchestrator.core.moment import Moment
from orchestrator.handlers.cas_body import BlobBody, blob_body
from orchestrator.models.cas import Blob
from orchestrator.models.name import IdText, NamespaceText
from orchestrator.models.transfer.upload import Upload


class UploadBody(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an upload. `blob` is what it became, as long as the namespace holds it."""

    upload_id: IdText
    namespace: NamespaceText
    media_type: str
    size_bytes: int | None
    offset_bytes: int
    complete: bool
    cas_id: CasIdText | None
    created_by: str
    created_at: Moment
    expires_at: Moment
    blob: BlobBody | None = None


def state_body(upload: Upload, blob: Blob | None) -> UploadBody:
    """The state as JSON; with the blob, if the namespace holds it."""
    return UploadBody(
        upload_id=str(upload.upload_id),
        namespace=upload.namespace,
        media_type=upload.media_type,
        size_bytes=upload.size_bytes,
        offset_bytes=upload.offset_bytes,
        complete=upload.cas_id is not None,
        cas_id=str(upload.cas_id) if upload.cas_id else None,
        created_by=upload.created_by,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
        blob=blob_body(blob) if blob else None,
    )
