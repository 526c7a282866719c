"""The headers and bodies of tus 1.0.0: read from requests, made from sessions; nothing is decided.

https://tus.io/protocols/resumable-upload
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha1, sha256
from typing import Any
from uuid import UUID

import msgspec

from orchestrator.core.digest import BlobName, parse_name
from orchestrator.errors import (
    ChecksumMismatch,
    InvalidInput,
    UnsupportedMediaType,
    UnsupportedProtocol,
)
from orchestrator.handlers.cas import BlobBody
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.reading import media_type_of
from orchestrator.handlers.http.replying import etag, location
from orchestrator.models.cas import Blob
from orchestrator.models.idempotency import Answer
from orchestrator.models.transfer.upload import Upload

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum"
ALGORITHMS: dict[str, Callable[[], Any]] = {
    "sha1": lambda: sha1(usedforsecurity=False),
    "sha256": sha256,
}
OFFSET_STREAM = "application/offset+octet-stream"
TUS = {"Tus-Resumable": VERSION}
#: An upload is found as it is now, never as it was.
NO_STORE = {"Cache-Control": "no-store"}
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_TYPE_KEYS = ("filetype", "contentType")


class UploadBody(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an upload. `blob` is what it became, as long as the namespace holds it."""

    upload_id: str
    namespace: str
    media_type: str
    size_bytes: int | None
    offset_bytes: int
    complete: bool
    cas_id: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    blob: BlobBody | None = None


class Metadata(msgspec.Struct, frozen=True):
    """What `Upload-Metadata` says of the blob, and all of it as it was sent."""

    text: str
    media_type: str
    expected: BlobName | None


class Checksum:
    """What `Upload-Checksum` says of the body of one request."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self._algorithm = algorithm
        self._expected = expected
        self._hash = ALGORITHMS[algorithm]()

    def update(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._hash.update(piece)

    def check(self) -> None:
        """Raise ChecksumMismatch unless the body was the one that was meant."""
        if self._hash.digest() != self._expected:
            raise ChecksumMismatch(self._algorithm)


# --------------------------------------------------------------------------------------- requests


def check_version(call: Call) -> None:
    """A request of another version is not processed at all."""
    given = call.headers.get("tus-resumable", "")
    if given != VERSION:
        raise UnsupportedProtocol(given, VERSION)


def check_content_type(call: Call) -> None:
    """Bytes of an upload come as nothing else."""
    given = call.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != OFFSET_STREAM:
        raise UnsupportedMediaType(given, [OFFSET_STREAM])


def has_body(call: Call) -> bool:
    """Whether bytes come with a creation."""
    return bool(call.declared_length) or "transfer-encoding" in call.headers


def offset_of(call: Call) -> int:
    """Where the bytes of the request belong."""
    offset = _number(call, "Upload-Offset")
    if offset is None:
        raise InvalidInput.at("/Upload-Offset", "upload-offset", "Upload-Offset is missing.")
    return offset


def length_of(call: Call) -> int | None:
    """How long the whole is, if the request says so."""
    return _number(call, "Upload-Length")


def new_length_of(call: Call) -> int | None:
    """The same for a creation, which must say it or that it is said later."""
    length, deferred = length_of(call), call.headers.get("upload-defer-length")
    if deferred not in {None, "1"}:
        message = "Upload-Defer-Length is 1, or left out."
        raise InvalidInput.at("/Upload-Defer-Length", "upload-defer-length", message)
    if (length is None) == (deferred is None):
        message = "One of Upload-Length and Upload-Defer-Length is needed."
        raise InvalidInput.at("/Upload-Length", "upload-length", message)
    return length


def metadata_of(call: Call) -> Metadata:
    """Keys that mean something here are `filetype`, `contentType` and `cas_id`."""
    text = call.headers.get("upload-metadata", "").strip()
    values: dict[str, str] = {}
    for pair in text.split(",") if text else []:
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in values:
            message = "A key has printable ASCII characters without spaces, and stands once."
            raise InvalidInput.at("/Upload-Metadata", "upload-metadata", message)
        values[key] = _decoded(key, value)
    media_type = next((values[key] for key in _TYPE_KEYS if values.get(key)), "")
    name = values.get("cas_id")
    expected = parse_name(name, "/Upload-Metadata/cas_id") if name is not None else None
    return Metadata(text, media_type_of(media_type), expected)


def checksum_of(call: Call) -> Checksum | None:
    """What the sender says of this body."""
    given = call.headers.get("upload-checksum")
    if given is None:
        return None
    algorithm, _, text = given.partition(" ")
    if algorithm not in ALGORITHMS:
        message = f"The checksum algorithm is one of {', '.join(ALGORITHMS)}."
        raise InvalidInput.at("/Upload-Checksum", "upload-checksum", message)
    digest = _base64(text)
    if digest is None or len(digest) != ALGORITHMS[algorithm]().digest_size:
        message = f"A checksum is the Base64 of the bytes of the {algorithm}."
        raise InvalidInput.at("/Upload-Checksum", "upload-checksum", message)
    return Checksum(algorithm, digest)


def said_at_creation(call: Call) -> bytes:
    """What makes a creation another one than the one before."""
    names = ("upload-length", "upload-defer-length", "upload-metadata", "want-repr-digest")
    return "\n".join(call.headers.get(name, "") for name in names).encode()


def _number(call: Call, name: str) -> int | None:
    given = call.headers.get(name.lower())
    if given is None:
        return None
    if not _LENGTH.fullmatch(given):
        message = f"{name} is a whole number from 0 on."
        raise InvalidInput.at(f"/{name}", name.lower(), message)
    return int(given)


def _decoded(key: str, value: str) -> str:
    raw = _base64(value.strip())
    if raw is None:
        message = f"The value of {key!r} is not Base64."
        raise InvalidInput.at("/Upload-Metadata", "upload-metadata", message)
    return raw.decode("utf-8", "replace")


def _base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


# ---------------------------------------------------------------------------------------- answers


def progress_headers(upload: Upload) -> dict[str, str]:
    """What every answer about an upload has; with the blob, once there is one."""
    headers = {
        **TUS,
        **NO_STORE,
        "Upload-Offset": str(upload.offset_bytes),
        "Upload-Expires": format_datetime(upload.expires_at, usegmt=True),
    }
    if upload.cas_id is not None:
        headers["Content-Location"] = location("cas", str(upload.cas_id), upload.namespace)
        headers["ETag"] = etag(upload.cas_id)
    return headers


def state_headers(upload: Upload) -> dict[str, str]:
    """All that is known, for somebody who asks for it."""
    headers = progress_headers(upload)
    if upload.size_bytes is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(upload.size_bytes)
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    return headers


def state_body(upload: Upload, blob: Blob | None) -> UploadBody:
    """The same as JSON."""
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
        blob=_blob_body(blob) if blob else None,
    )


def empty(headers: Mapping[str, str]) -> Answer:
    """An answer that is all headers."""
    return Answer(status=204, headers=dict(headers), body=b"")


def _blob_body(blob: Blob) -> BlobBody:
    return BlobBody(
        cas_id=str(blob.cas_id),
        size_bytes=blob.size_bytes,
        media_type=blob.media_type,
        created_at=blob.created_at,
        sha256=str(blob.sha256) if blob.sha256 else None,
    )


def upload_id_of(text: str) -> UUID | None:
    """The id in a route; None for what no upload is named."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def refusal_headers(error: Exception) -> dict[str, str]:
    """A refusal says which protocol it is of, too."""
    version = {"Tus-Version": VERSION} if isinstance(error, UnsupportedProtocol) else {}
    return {**TUS, **version}
