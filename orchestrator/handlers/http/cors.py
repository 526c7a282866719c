"""What pages of other origins may send and read (CORS, in the Fetch standard); which origins those
are is not known here.
"""

from orchestrator.models.idempotency import Answer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: Every request header that some operation reads, but for those that browsers set by themselves.
REQUEST_HEADERS = (
    "Accept",
    "Authorization",
    "Content-Digest",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "Repr-Digest",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Defer-Length",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Want-Repr-Digest",
    "X-Correlation-ID",
    "X-HTTP-Method-Override",
    "X-Request-ID",
)
#: Every answer header that means something to a program and that pages may not read unasked.
ANSWER_HEADERS = (
    "Accept-Patch",
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Repr-Digest",
    "Retry-After",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Defer-Length",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "WWW-Authenticate",
    "X-Correlation-ID",
)
#: The longest that a browser believes.
_PREFLIGHT_SECONDS = 7_200
_EXPOSED = (b"access-control-expose-headers", ", ".join(ANSWER_HEADERS).encode())
#: The answer to a browser that asks what a page may send. A path or method that does not exist is
#: refused when it is requested, where the page can read why.
PREFLIGHT = Answer(
    status=204,
    headers={
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
    },
    body=b"",
)


def readable_by(origin: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that let pages of this origin read an answer."""
    return ((b"access-control-allow-origin", origin.encode("latin-1")), _EXPOSED)
