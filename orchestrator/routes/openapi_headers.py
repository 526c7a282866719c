"""The headers that operations read, and those that answers have, as they are described."""

from typing import Any

import msgspec

from orchestrator.core.digest import BLOB_NAME_PATTERN
from orchestrator.handlers.http.call import KEY_PATTERN
from orchestrator.handlers.transfer.tus import EXTENSIONS, VERSION
from orchestrator.service.transfer.checksum import ALGORITHMS


class Header(msgspec.Struct, frozen=True):
    """Of a request or of an answer; `required` of an answer: always there."""

    name: str
    description: str
    schema: dict[str, Any]
    required: bool = False


_STRING = {"type": "string"}
_NUMBER = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_ENTITY_TAG = r'(W/)?"[\x21\x23-\x7e]*"'
_ENTITY_TAGS = {
    "type": "string",
    "pattern": rf"^(\*|{_ENTITY_TAG}( *, *{_ENTITY_TAG})*)$",
}
_TEXT_BASE64 = "[A-Za-z0-9+/]{4}"


# ------------------------------------------------------------------------------------- requests

IDEMPOTENCY = Header(
    "Idempotency-Key",
    "The same key and request again is given the first answer.",
    {"type": "string", "pattern": f"^{KEY_PATTERN}$", "maxLength": 255},
)
IF_MATCH = Header(
    "If-Match",
    "Only if one of these entity tags is the current one (`*`: any), else 412.",
    _ENTITY_TAGS,
)
IF_ABSENT = Header(
    "If-None-Match",
    "`*`: only if there is no such tag, else 412. Not together with `If-Match` or "
    "`expected_version`.",
    {"type": "string", "enum": ["*"]},
)
IF_CHANGED = Header(
    "If-None-Match",
    "304 without a body if one of these entity tags is the current one.",
    _ENTITY_TAGS,
)
RANGE = Header(
    "Range", "One range of bytes, `bytes=0-1023` or `bytes=-512`; answered with 206.", _STRING
)
WANT_REPR_DIGEST = Header(
    "Want-Repr-Digest", "`sha-256=1`: `Repr-Digest` is asked for (RFC 9530).", _STRING
)
REPR_DIGEST_SENT = Header(
    "Repr-Digest",
    "`sha-256=:…:`: refused if the bytes are others (RFC 9530).",
    _STRING,
)
TUS_RESUMABLE = Header(
    "Tus-Resumable",
    f"The version of tus: `{VERSION}`.",
    {"type": "string", "enum": [VERSION]},
    required=True,
)
UPLOAD_OFFSET = Header("Upload-Offset", "Where the bytes belong.", _NUMBER, required=True)
UPLOAD_LENGTH = Header("Upload-Length", "How many bytes the whole has.", _NUMBER)
UPLOAD_LENGTH_OF_NEW = Header(
    "Upload-Length", "How many bytes the whole has; this or `Upload-Defer-Length`.", _NUMBER
)
UPLOAD_DEFER_LENGTH = Header(
    "Upload-Defer-Length",
    "`1`: the length follows later; this or `Upload-Length`.",
    {"type": "string", "enum": ["1"]},
)
UPLOAD_METADATA = Header(
    "Upload-Metadata",
    "Keys with Base64 values: `filetype` (or `contentType`, a media type), `cas_id` (the name that "
    f"the blob must have, `{BLOB_NAME_PATTERN}`), and any of the client's.",
    _STRING,
)
UPLOAD_CHECKSUM = Header(
    "Upload-Checksum",
    f"{' or '.join(f'`{each}`' for each in ALGORITHMS)}, and the Base64 of the body's.",
    {
        "type": "string",
        "pattern": f"^(sha1 ({_TEXT_BASE64}){{6}}[A-Za-z0-9+/]{{3}}="
        f"|sha256 ({_TEXT_BASE64}){{10}}[A-Za-z0-9+/]{{3}}=)$",
    },
)
METHOD_OVERRIDE = Header(
    "X-HTTP-Method-Override",
    "The method that is meant.",
    {"type": "string", "enum": ["PATCH", "DELETE"]},
    required=True,
)

# -------------------------------------------------------------------------------------- answers


def _sent(name: str, description: str, schema: dict[str, Any] | None = None) -> Header:
    return Header(name, description, schema or _STRING, required=True)


#: What every answer has, problems too.
OF_EVERY_ANSWER = (
    _sent("X-Correlation-ID", "The caller's, or a new one; it is in the server's log."),
    _sent("X-Content-Type-Options", "A browser must not guess.", {"enum": ["nosniff"]}),
    _sent("Referrer-Policy", "Addresses are not passed on.", {"enum": ["no-referrer"]}),
    _sent("Content-Security-Policy", "A browser must not show the answer in another page."),
    _sent("Cache-Control", "Who may store the answer, and for how long; else `no-cache`."),
)
_STRONG = {"type": "string", "pattern": r'^"[\x21\x23-\x7e]+"$'}
ETAG = _sent("ETag", "The entity tag, for `If-None-Match` and `If-Match`.", _STRONG)
ETAG_OF_CHANGED = Header("ETag", "The version hash; not of a dry run.", _STRONG)
LOCATION = _sent("Location", "The address of what was made.")
WWW_AUTHENTICATE = _sent("WWW-Authenticate", "A bearer token is needed.")
ALLOW = _sent("Allow", "The methods that the path has.")
MAY_ACCEPT_PATCH = Header("Accept-Patch", "The types of patches that the path reads.", _STRING)
RETRY_AFTER = _sent("Retry-After", "Seconds to wait.", _NUMBER)
MAY_RETRY_AFTER = Header(
    "Retry-After", "Seconds to wait; only where it is safe to send the request again.", _NUMBER
)
NO_STORE = _sent("Cache-Control", "It is as it is now.", {"enum": ["no-store"]})
VARY = Header("Vary", "`Accept-Encoding`, if it decided the encoding.", _STRING)
CONTENT_ENCODING = Header("Content-Encoding", "How the body is compressed, if it is.", _STRING)
LINK = Header("Link", '`<…>; rel="next"`: the next page, if there is one (RFC 8288).', _STRING)
CONTENT_RANGE = _sent("Content-Range", "Which bytes of how many.")
CONTENT_RANGE_OF_NOTHING = _sent("Content-Range", "How many bytes there are: `bytes */5`.")
#: Of what is read again and again.
OF_READ = (ETAG, VARY, CONTENT_ENCODING)
_IMMUTABLE = _sent("Cache-Control", "It never changes: `immutable`.")
OF_IMMUTABLE = (*OF_READ, _IMMUTABLE)
OF_VERSIONED = (
    *OF_READ,
    _sent("Cache-Control", "With `version` it never changes: `immutable`; else `no-cache`."),
)
OF_BLOBS_UNCHANGED = (
    ETAG,
    _IMMUTABLE,
    VARY,
    _sent("Accept-Ranges", "Parts of a blob can be read.", {"enum": ["bytes"]}),
    Header("Repr-Digest", "The SHA-256, if it is known (RFC 9530).", _STRING),
)
_OF_BYTES = (
    *OF_BLOBS_UNCHANGED,
    _sent("Content-Security-Policy", "A browser must not run the bytes."),
    CONTENT_ENCODING,
)
OF_BLOBS = (
    *_OF_BYTES,
    _sent("Content-Disposition", "A browser must not show them.", {"enum": ["attachment"]}),
)
OF_FILES = (
    *_OF_BYTES,
    _sent("Content-Disposition", "A browser must not show them; under which name to save them."),
)

TUS_VERSION = _sent("Tus-Resumable", "The version of tus.", {"enum": [VERSION]})
OF_UPLOAD_PROBLEMS = (
    Header("Tus-Resumable", "The version of tus, unless the request was not of it.", _STRING),
    Header("Tus-Version", "The versions that there are, if it was of another.", _STRING),
)
OF_TUS_OPTIONS = (
    _sent("Allow", "The methods that the path has."),
    MAY_ACCEPT_PATCH,
    TUS_VERSION,
    _sent("Tus-Version", "The versions that there are.", {"enum": [VERSION]}),
    _sent("Tus-Extension", "Its extensions.", {"enum": [EXTENSIONS]}),
    _sent("Tus-Max-Size", "How many bytes an upload may have.", _NUMBER),
    _sent("Tus-Checksum-Algorithm", "For `Upload-Checksum`."),
)
OF_UPLOADS = (
    TUS_VERSION,
    NO_STORE,
    Header("Upload-Offset", "How many bytes are durable.", _NUMBER),
    Header("Upload-Expires", "When it ends if no more bytes come.", _STRING),
    Header("Content-Location", "The blob that it became.", _STRING),
    Header("ETag", "The cas id of that blob.", _STRONG),
)
OF_UPLOAD_STATE = (
    *OF_UPLOADS,
    Header("Upload-Length", "How many bytes the whole has.", _NUMBER),
    Header("Upload-Defer-Length", "`1`: the length is not known yet.", {"enum": ["1"]}),
    Header("Upload-Metadata", "As it was sent.", _STRING),
)
