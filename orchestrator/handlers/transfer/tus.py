"""The words of tus 1.0.0: headers read from requests and made from sessions; nothing is decided.

https://tus.io/protocols/resumable-upload
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from email.utils import format_datetime

import msgspec

from orchestrator.core.digest import BlobName, parse_name
from orchestrator.errors import InvalidInput
from orchestrator.errors_request import UnsupportedMediaType
from orchestrator.errors_upload import UnsupportedProtocol
from orchestrator.handlers.http.call import LENGTH_DIGITS_MAX, Call
from orchestrator.handlers.http.reply import etag, location
from orchestrator.models.cas import parse_media_type
from orchestrator.models.idempotency import Answer
from orchestrator.models.transfer.upload import Upload
from orchestrator.service.transfer.checksum import ALGORITHMS, BodyChecksum

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum"
OFFSET_STREAM = "application/offset+octet-stream"
TUS = {"Tus-Resumable": VERSION}
#: An upload is found as it is now, never as it was.
NO_STORE = {"Cache-Control": "no-store"}
#: Over every limit, as is each number of more digits than can be stored.
BEYOND = 10**LENGTH_DIGITS_MAX
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_TYPE_KEYS = ("filetype", "contentType")


class Metadata(msgspec.Struct, frozen=True):
    """What `Upload-Metadata` says of the blob, and all of it as it was sent."""

    text: str
    media_type: str
    expected: BlobName | None


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
    """How long the whole of a new upload is; the request must say it, or that it says it later."""
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
    return Metadata(text, parse_media_type(media_type), expected)


def checksum_of(call: Call) -> BodyChecksum | None:
    """What the sender says of this body."""
    given = call.headers.get("upload-checksum")
    if given is None:
        return None
    algorithm, _, text = given.partition(" ")
    if algorithm not in ALGORITHMS:
        message = f"The checksum algorithm is one of {', '.join(ALGORITHMS)}."
        raise InvalidInput.at("/Upload-Checksum", "upload-checksum", message)
    digest = _base64(text)
    if digest is None or len(digest) != BodyChecksum.size_bytes(algorithm):
        message = f"A checksum is the Base64 of the bytes of the {algorithm}."
        raise InvalidInput.at("/Upload-Checksum", "upload-checksum", message)
    return BodyChecksum(algorithm, digest)


def said_at_creation(call: Call) -> bytes:
    """What makes a creation another one than the one before."""
    names = ("upload-length", "upload-defer-length", "upload-metadata", "want-repr-digest")
    return "\n".join(call.headers.get(name, "") for name in names).encode()


def _number(call: Call, name: str) -> int | None:
    given = call.headers.get(name.lower())
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal()):
        message = f"{name} is a whole number from 0 on."
        raise InvalidInput.at(f"/{name}", name.lower(), message)
    return int(given) if len(given.lstrip("0")) <= LENGTH_DIGITS_MAX else BEYOND


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


def empty(headers: Mapping[str, str]) -> Answer:
    """An answer that is all headers."""
    return Answer(status=204, headers=dict(headers), body=b"")


def refusal_headers(error: Exception) -> dict[str, str]:
    """A refusal says which protocol it is of, too."""
    version = {"Tus-Version": VERSION} if isinstance(error, UnsupportedProtocol) else {}
    return {**TUS, **version}
