"""HTTP for the bytes of blobs: ranges, encodings, digests, redirects; and what damage leads to."""

from collections.abc import AsyncGenerator
from hashlib import sha256
from time import monotonic
from typing import NamedTuple

import msgspec
from litestar import Response

from orchestrator.core.cache import Cache
from orchestrator.core.database import Database
from orchestrator.core.digest import BlobName, CasId, Sha256, parse_name
from orchestrator.core.threads import in_thread
from orchestrator.errors import CorruptBlob
from orchestrator.handlers.http.byte_range import requested_range
from orchestrator.handlers.http.digest_field import REPR_DIGEST, repr_digest, wants_sha256
from orchestrator.handlers.http.direct import Asked, RawAnswer
from orchestrator.handlers.http.precondition import none_match
from orchestrator.handlers.http.problem import respond
from orchestrator.handlers.http.reading import segment as unquoted
from orchestrator.handlers.http.replying import etag, not_modified
from orchestrator.handlers.http.streaming import streamed
from orchestrator.models.cas import Blob, BlobContent, Placement, Received
from orchestrator.models.idempotency import Answer
from orchestrator.service.cas import CASService
from orchestrator.service.transfer.delivery import Delivery

IMMUTABLE = "private, max-age=31536000, immutable"
# Stored bytes are somebody else's: a browser must not run them in our origin.
HARMLESS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "attachment",
}
ZSTD = "zstd"
#: What makes a request one for less, or for more, than the whole blob.
SPECIAL = frozenset({"range", "if-none-match", "want-repr-digest"})


class _Remembered(NamedTuple):
    answer: RawAnswer
    until: float


class BlobDelivery:
    """Answers with the bytes of a blob that the namespace holds."""

    def __init__(
        self,
        database: Database,
        cas: CASService,
        delivery: Delivery,
        *,
        redirect_bytes_min: int,
        redirect_seconds: int,
        cache_bytes_max: int,
        cache_seconds: float,
    ) -> None:
        self._database = database
        self._cas = cas
        self._delivery = delivery
        self._redirect_bytes_min = redirect_bytes_min
        self._redirect_seconds = redirect_seconds
        self._remembered: Cache[tuple[str, str], _Remembered] = Cache(cache_bytes_max)
        self._cache_seconds = cache_seconds

    async def answer_directly(
        self, request: Asked, namespace: str, segment: str
    ) -> RawAnswer | None:
        """The whole of a small blob; None for anything else.

        The bytes are those of their name for ever. That the namespace may see them is believed for
        `cache_seconds`: so long a blob that nothing holds any more may still be served.
        """
        if not SPECIAL.isdisjoint(request.headers):
            return None
        remembered = self._remembered.get((namespace, segment))
        if remembered is not None and monotonic() < remembered.until:
            return remembered.answer
        name = parse_name(unquoted(segment), "/cas_id")
        found = await self._find(namespace, name)
        if found.content is None:
            return None
        answer = RawAnswer.of(_whole(found.blob, found.content))
        until = monotonic() + self._cache_seconds
        self._remembered.put((namespace, segment), _Remembered(answer, until), len(answer.body))
        return answer

    async def unchanged(self, namespace: str, cas_id: CasId) -> Response[bytes]:
        """304 for somebody who has it, if he may have it."""
        async with self._database.connection() as conn:
            blob = await self._cas.get_blob(conn, namespace, cas_id)
        return respond(not_modified(_blob_headers(blob)))

    async def answer(self, request: Asked, namespace: str, name: BlobName) -> Response[bytes]:
        """The whole, a part, or the headers of the blob."""
        found = await self._find(namespace, name)
        if wants_sha256(request) and found.blob.sha256 is None:
            found = await self._with_sha256(found)
        blob = found.blob
        if has_already(request, blob.cas_id):
            return respond(not_modified(_blob_headers(blob)))
        headers = {**_blob_headers(blob), **HARMLESS}
        if request.scope["method"] == "HEAD":
            return _head(request, found, headers)
        part = requested_range(request, blob.size_bytes, str(blob.cas_id))
        if found.placement is not None:
            return await self._stream(request, blob, found.placement, part, headers)
        content = found.content or b""
        if part is None:
            return Response(content=content, media_type=None, headers=headers)
        headers["Content-Range"] = _content_range(part, blob)
        return Response(
            content=content[part.start : part.stop],
            status_code=206,
            media_type=None,
            headers=headers,
        )

    async def inlined(self, received: Received) -> Received:
        """The same bytes, in memory."""
        assert received.placement is not None
        content = await self._delivery.whole(
            received.cas_id, received.placement, received.size_bytes
        )
        return msgspec.structs.replace(received, content=content, placement=None)

    async def _find(self, namespace: str, name: BlobName) -> BlobContent:
        try:
            async with self._database.connection() as conn:
                return await self._cas.get_content(conn, namespace, name)
        except CorruptBlob as error:
            damaged = parse_name(error.cas_id)
            if isinstance(damaged, CasId):
                await self._quarantine(damaged, None)
            raise

    async def _stream(
        self,
        request: Asked,
        blob: Blob,
        placement: Placement,
        part: range | None,
        headers: dict[str, str],
    ) -> Response[bytes]:
        if 0 < self._redirect_bytes_min <= blob.size_bytes and placement.encoding is None:
            url = await self._delivery.presigned_url(placement, self._redirect_seconds)
            if url is not None:
                return _redirect(url, self._redirect_seconds)
        if placement.encoding is not None:
            headers["Vary"] = "Accept-Encoding"
            if "range" not in request.headers and _accepts_zstd(request):
                return await self._pass_on(blob, placement, headers)
        status = 200 if part is None else 206
        if part is None:
            part = range(blob.size_bytes)
        else:
            headers["Content-Range"] = _content_range(part, blob)
        headers["Content-Length"] = str(len(part))
        pieces = self._delivery.plain(blob.cas_id, placement, part)
        guarded = self._guarded(pieces, blob.cas_id, placement)
        return await streamed(guarded, status_code=status, headers=headers)

    async def _pass_on(
        self, blob: Blob, placement: Placement, headers: dict[str, str]
    ) -> Response[bytes]:
        """The frames as they are stored: nothing is packed or unpacked for it."""
        _describe_packed(headers, blob, placement)
        packed = self._delivery.packed(blob.cas_id, placement)
        return await streamed(self._guarded(packed, blob.cas_id, placement), headers=headers)

    async def _with_sha256(self, found: BlobContent) -> BlobContent:
        """Compute the second name once, from verified bytes, and remember it."""
        blob, digest = found.blob, sha256()
        if found.placement is None:
            digest.update(found.content or b"")
        else:
            everything = range(blob.size_bytes)
            pieces = self._delivery.plain(blob.cas_id, found.placement, everything)
            async for piece in self._guarded(pieces, blob.cas_id, found.placement):
                await in_thread(digest.update, piece)
        second = Sha256(digest.digest())
        async with self._database.connection() as conn:
            await self._cas.remember_sha256(conn, blob.cas_id, second)
        return msgspec.structs.replace(found, blob=msgspec.structs.replace(blob, sha256=second))

    async def _guarded(
        self, pieces: AsyncGenerator[bytes, None], cas_id: CasId, placement: Placement
    ) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in pieces:
                yield piece
        except CorruptBlob:
            await self._quarantine(cas_id, placement.storage_key)
            raise
        finally:
            await pieces.aclose()

    async def _quarantine(self, cas_id: CasId, storage_key: str | None) -> None:
        async with self._database.connection() as conn:
            await self._cas.quarantine(conn, cas_id, storage_key)


def has_already(request: Asked, cas_id: CasId) -> bool:
    """Whether the caller says that he has the blob, in one encoding or the other."""
    return none_match(request, str(cas_id)) or none_match(request, f"{cas_id};{ZSTD}")


def _whole(blob: Blob, content: bytes) -> Answer:
    return Answer(status=200, headers={**_blob_headers(blob), **HARMLESS}, body=content)


def _redirect(url: str, seconds: int) -> Response[bytes]:
    headers = {"Location": url, "Cache-Control": f"private, max-age={seconds // 2}"}
    return Response(content=b"", status_code=307, headers=headers, media_type="text/plain")


def _head(request: Asked, found: BlobContent, headers: dict[str, str]) -> Response[bytes]:
    """What the GET would say."""
    headers["Content-Length"] = str(found.blob.size_bytes)
    if found.placement is not None and found.placement.encoding is not None:
        headers["Vary"] = "Accept-Encoding"
        if _accepts_zstd(request):
            _describe_packed(headers, found.blob, found.placement)
    return Response(content=b"", media_type=None, headers=headers)


def _describe_packed(headers: dict[str, str], blob: Blob, placement: Placement) -> None:
    """Another representation has another strong entity tag (RFC 9110 §8.8.3.3), and the digest of
    the plain bytes is not its own.
    """
    headers["Content-Encoding"] = ZSTD
    headers["Content-Length"] = str(placement.stored_bytes)
    headers["ETag"] = etag(f"{blob.cas_id};{ZSTD}")
    headers.pop(REPR_DIGEST, None)


def _content_range(part: range, blob: Blob) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{blob.size_bytes}"


def _accepts_zstd(request: Asked) -> bool:
    """`Accept-Encoding` (RFC 9110 §12.5.3); what is not named is not asked for."""
    for each in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = each.partition(";")
        if coding.strip().lower() == ZSTD:
            return weight.strip().lower() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _blob_headers(blob: Blob) -> dict[str, str]:
    # The type is given as it came: the framework would add a charset of its own to some.
    headers = {
        "Content-Type": blob.media_type,
        "ETag": etag(blob.cas_id),
        "Cache-Control": IMMUTABLE,
        "Accept-Ranges": "bytes",
    }
    if blob.sha256 is not None:
        headers[REPR_DIGEST] = repr_digest(blob.sha256)
    return headers
