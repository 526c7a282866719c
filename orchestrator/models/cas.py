"""Vocabulary of content-addressed storage: blobs and their media types; no I/O."""

from datetime import datetime
from string import ascii_letters, digits

import msgspec

from orchestrator.core.digest import CasId, Sha256
from orchestrator.errors import InvalidInput
from orchestrator.models.principal import Actor

#: The media types of what the server itself stores. The parameter tells them apart.
WORKFLOW = "application/json;type=dag"
PATCH_OPERATIONS = "application/json;type=patch_ops"
RUN_MANIFEST = "application/json;type=run_manifest"
RUN_SNAPSHOT = "application/json;type=run_snapshot"
MANIFEST = "application/json;type=manifest"

OCTET_STREAM = "application/octet-stream"
MEDIA_TYPE_LENGTH_MAX = 255
#: What the words of HTTP consist of (RFC 9110 §5.6.2).
_TOKEN = frozenset(ascii_letters + digits + "!#$%&'*+-.^_`|~")


def parse_media_type(given: str, pointer: str = "/Content-Type") -> str:
    """What a blob says it is: of a length and letters that can be given back."""
    media_type = given.strip() or OCTET_STREAM
    if (
        len(media_type) > MEDIA_TYPE_LENGTH_MAX
        or not media_type.isascii()
        or not media_type.isprintable()
    ):
        message = f"A media type has at most {MEDIA_TYPE_LENGTH_MAX} printable ASCII characters."
        raise InvalidInput.at(pointer, "media-type", message)
    kind, _, subtype = media_type.partition(";")[0].rstrip().partition("/")
    if not kind or not subtype or not _TOKEN.issuperset(kind) or not _TOKEN.issuperset(subtype):
        message = "A media type is a type and a subtype with a slash between: text/plain."
        raise InvalidInput.at(pointer, "media-type", message)
    return media_type


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of a blob are outside the database, and how they are checked there."""

    storage_key: str
    #: An encoded `SegmentTable`.
    segments: bytes
    stored_bytes: int
    #: `zstd`, or None for the bytes as they are.
    encoding: str | None = None


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of immutable bytes with this name, without the bytes."""

    cas_id: CasId
    size_bytes: int
    media_type: str
    created_at: datetime
    inline: bool
    #: The second name, if a caller has ever requested it.
    sha256: Sha256 | None = None
    #: Its bytes are damaged or gone: it is not served, and the next upload heals it.
    quarantined: bool = False


class StoredBlob(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of storing content: the blob, and whether this call created it."""

    blob: Blob
    created: bool
    #: Whether the row points at the bytes that this call brought; else they may be deleted.
    used: bool = False


class BlobContent(msgspec.Struct, frozen=True, kw_only=True):
    """A blob with either its bytes or the place where they are."""

    blob: Blob
    content: bytes | None = None
    placement: Placement | None = None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that came in, hashed. Large ones are durable in storage by now, and have no row yet."""

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


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that the server itself reads, their name, and who brought them."""

    content: bytes
    media_type: str
    cas_id: CasId
    by: Actor
