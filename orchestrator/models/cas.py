"""Vocabulary of content-addressed storage: blobs and their media types; no I/O."""

from datetime import datetime

import msgspec

from orchestrator.digest import CasId

#: What the server itself stores; the parameter tells workflows from operations (one list).
WORKFLOW = "application/json;type=dag"
PATCH_OPERATIONS = "application/json;type=patch_ops"
RUN_MANIFEST = "application/json;type=run_manifest"
RUN_SNAPSHOT = "application/json;type=run_snapshot"
MEDIA_TYPES = frozenset({WORKFLOW, PATCH_OPERATIONS, RUN_MANIFEST, RUN_SNAPSHOT})

OCTET_STREAM = "application/octet-stream"


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable bytes by name: everything but the bytes. Exactly one place holds them."""

    cas_id: CasId
    size_bytes: int
    media_type: str
    created_at: datetime
    inline: bool


class StoredBlob(msgspec.Struct, frozen=True, kw_only=True):
    """What a store of content found: the blob, and whether this call brought it."""

    blob: Blob
    created: bool


class BlobContent(msgspec.Struct, frozen=True, kw_only=True):
    """A blob with its bytes, verified against its name."""

    blob: Blob
    content: bytes
