"""Vocabulary of content-addressed storage: blobs and their media types; no I/O."""

from datetime import datetime

import msgspec

from orchestrator.core.digest import CasId, Sha256
from orchestrator.models.principal import Actor

#: What the server itself stores; the parameter tells workflows from operations (one list).
WORKFLOW = "application/json;type=dag"
PATCH_OPERATIONS = "application/json;type=patch_ops"
RUN_MANIFEST = "application/json;type=run_manifest"
RUN_SNAPSHOT = "application/json;type=run_snapshot"
MEDIA_TYPES = frozenset({WORKFLOW, PATCH_OPERATIONS, RUN_MANIFEST, RUN_SNAPSHOT})

OCTET_STREAM = "application/octet-stream"


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of a blob are outside the database, and how they are checked there."""

    storage_key: str
    #: An encoded `SegmentTable`.
    segments: bytes
    stored_bytes: int
    #: `zstd`, or None for the bytes as they are.
    encoding: str | None = None


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable bytes by name: everything but the bytes. Exactly one place holds them."""

    cas_id: CasId
    size_bytes: int
    media_type: str
    created_at: datetime
    inline: bool
    #: The second name, if anybody has asked for it.
    sha256: Sha256 | None = None
    #: Known to be damaged or gone: not served, and healed by the next upload.
    quarantined: bool = False


class StoredBlob(msgspec.Struct, frozen=True, kw_only=True):
    """What a store of content found: the blob, and whether this call brought it."""

    blob: Blob
    created: bool
    #: Whether the blob is now where the bytes came to; else they may be thrown away.
    used: bool = False


class BlobContent(msgspec.Struct, frozen=True, kw_only=True):
    """A blob with its bytes, or with the place where they are: one of the two."""

    blob: Blob
    content: bytes | None = None
    placement: Placement | None = None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that came in, hashed; large ones are durable in storage already, without a row yet."""

    cas_id: CasId
    size_bytes: int
    media_type: str
    sha256: Sha256 | None = None
    content: bytes | None = None
    placement: Placement | None = None


class BlobUpload(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a namespace is to have, and who sent them."""

    namespace: str
    received: Received
    by: Actor
