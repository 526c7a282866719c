"""HTTP for the bytes of blobs: ranges, encodings, digests, redirects; and what damage leads to."""

from collections.abc import AsyncGenerator
from time import monotonic
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from orchestrator.core.cache import Cache
from orchestrator.core.database import Database
from orchestrator.core.digest import BlobName, CasId, Sha256, parse_name
from orchestrator.errors import CorruptBlob
from orchestrator.handlers.http.byte_range import requested_range
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.digest_field import REPR_DIGEST, repr_digest, wants_sha256
from orchestrator.handlers.http.encoding import weights_of
from orchestrator.handlers.http.precondition import check_if_match, had
from orchestrator.handlers.http.reading import segment as unquoted
from orchestrator.handlers.http.reply import (
    IMMUTABLE,
    VARY,
    EncodedAnswer,
    Reply,
    etag,
    not_modified,
    streamed,
)
from orchestrator.jobs.second_names import SecondNames
from orchestrator.models.cas import Blob, BlobContent, Placement
from orchestrator.models.idempotency import Answer
from orchestrator.service.cas import CASService
from orchestrator.service.transfer.delivery import Delivery

# Stored bytes are somebody else's: a browser must not run them in our origin.
HARMLESS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "attachment",
}
ZSTD = "zstd"
#: What makes a request one for less, or for more, than the whole blob.
SPECIAL = frozenset({"range", "if-match", "if-none-match", "want-repr-digest"})


class _Remembered(NamedTuple):
    answer: EncodedAnswer
    until: float


class BlobAnswers:
    """Answers with the bytes of a blob that the namespace holds."""

    def __init__(
        self,
        database: Database,
        cas: CASService,
        delivery: Delivery,
        second_names: SecondNames,
        *,
        redirect_bytes_min: int,
        redirect_seconds: int,
        cache_bytes_max: int,
        cache_seconds: float,
    ) -> None:
        self._database = database
        self._cas = cas
        self._delivery = delivery
        self._second_names = second_names
        self._redirect_bytes_min = redirect_bytes_min
        self._redirect_seconds = redirect_seconds
        self._remembered: Cache[tuple[str, str], _Remembered] = Cache(cache_bytes_max)
        self._cache_seconds = cache_seconds

    async def answer(self, call: Call, segment: str) -> Reply:
        """The whole, a part, or the headers of the blob of this name in the path.

        The bytes are those of their name for ever. That the namespace may see them is believed for
        `cache_seconds`: so long a blob that nothing holds any more may still be served.
        """
        if call.method != "GET" or not SPECIAL.isdisjoint(call.headers):
            return await self._special(call, parse_name(unquoted(segment), "/cas_id"))
        remembered = self._remembered.get((call.namespace, segment))
        if remembered is not None and monotonic() < remembered.until:
            return remembered.answer
        found = await self._find(call.namespace, parse_name(unquoted(segment), "/cas_id"))
        blob, headers = found.blob, {**_blob_headers(found.blob), **HARMLESS}
        if found.placement is not None:
            return await self._stream(call, blob, found.placement, None, headers)
        whole = EncodedAnswer.of(Answer(status=200, headers=headers, body=found.content or b""))
        until = monotonic() + self._cache_seconds
        self._remembered.put((call.namespace, segment), _Remembered(whole, until), len(whole.body))
        return whole

    async def answer_file(
        self, call: Call, cas_id: CasId, media_type: str, file_name: str
    ) -> Reply:
        """Answer with a file of an artifact, which a browser saves under the name of the file."""
        reply = await self._special(call, cas_id)
        assert not isinstance(reply, EncodedAnswer)
        if "Content-Disposition" in reply.headers:
            saved = quote(file_name.rpartition("/")[2], safe="")
            reply.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{saved}"
            reply.headers["Content-Type"] = media_type
        return reply

    async def _special(self, call: Call, name: BlobName) -> Reply:
        """Answer a request that asks for less, or for more, than the bytes of the whole blob."""
        found = await self._find(call.namespace, name)
        if (unchanged := _unchanged(call, found)) is not None:
            return unchanged
        if wants_sha256(call) and found.blob.sha256 is None:
            found = await self._with_sha256(found)
        blob = found.blob
        headers = {**_blob_headers(blob), **HARMLESS}
        if call.method == "HEAD":
            return _head(call, found, headers)
        part = requested_range(call, blob.size_bytes, str(blob.cas_id))
        if found.placement is not None:
            return await self._stream(call, blob, found.placement, part, headers)
        content = found.content or b""
        if part is None:
            return Answer(status=200, headers=headers, body=content)
        headers["Content-Range"] = _content_range(part, blob)
        return Answer(status=206, headers=headers, body=content[part.start : part.stop])

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
        call: Call,
        blob: Blob,
        placement: Placement,
        part: range | None,
        headers: dict[str, str],
    ) -> Reply:
        if 0 < self._redirect_bytes_min <= blob.size_bytes and placement.encoding is None:
            url = await self._delivery.presigned_url(placement, self._redirect_seconds)
            if url is not None:
                return _redirect(url, self._redirect_seconds)
        if placement.encoding is not None:
            headers |= VARY
            if _wants_packed(call, placement):
                return await self._pass_on(blob, placement, headers)
        status = 200 if part is None else 206
        if part is None:
            part = range(blob.size_bytes)
        else:
            headers["Content-Range"] = _content_range(part, blob)
        headers["Content-Length"] = str(len(part))
        pieces = self._delivery.plain(blob.cas_id, placement, part)
        guarded = self._guarded(pieces, blob.cas_id, placement)
        return await streamed(guarded, status=status, headers=headers)

    async def _pass_on(self, blob: Blob, placement: Placement, headers: dict[str, str]) -> Reply:
        """The frames as they are stored: nothing is packed or unpacked for it."""
        _describe_packed(headers, blob, placement)
        packed = self._delivery.packed(blob.cas_id, placement)
        return await streamed(self._guarded(packed, blob.cas_id, placement), headers=headers)

    async def _with_sha256(self, found: BlobContent) -> BlobContent:
        """With the second name, if it is known before the answer begins."""
        blob = found.blob
        second: Sha256 | None
        if found.placement is not None:
            second = await self._second_names.of(blob, found.placement)
        else:
            second = inline = Sha256.of(found.content or b"")
            async with self._database.connection() as conn:
                await self._cas.remember_sha256(conn, blob.cas_id, inline)
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


def _unchanged(call: Call, found: BlobContent) -> Answer | None:
    """304 if the caller has the blob, in one encoding or the other, with the headers of the answer
    that he has; None if it is to be sent. Raises PreconditionFailed if `If-Match` does not list
    what would be sent.
    """
    blob, placement = found.blob, found.placement
    plain, packed = str(blob.cas_id), f"{blob.cas_id};{ZSTD}"
    is_packed = placement is not None and _wants_packed(call, placement)
    check_if_match(call, packed if is_packed else plain, "blob", plain, coded=False)
    known = had(call, *((packed, plain) if is_packed else (plain, packed)))
    if known is None:
        return None
    headers = _blob_headers(blob)
    if placement is not None and placement.encoding is not None:
        headers |= VARY
    if known == packed:
        headers["ETag"] = etag(packed)
        headers.pop(REPR_DIGEST, None)
    return not_modified(headers)


def _wants_packed(call: Call, placement: Placement) -> bool:
    """Whether the frames are sent as they are stored; a range is one of the plain bytes."""
    whole = call.method == "HEAD" or "range" not in call.headers
    return placement.encoding is not None and whole and _accepts_zstd(call)


def _redirect(url: str, seconds: int) -> Answer:
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Location": url,
        "Cache-Control": f"private, max-age={seconds // 2}",
    }
    return Answer(status=307, headers=headers, body=b"")


def _head(call: Call, found: BlobContent, headers: dict[str, str]) -> Answer:
    """What the GET would say."""
    headers["Content-Length"] = str(found.blob.size_bytes)
    if found.placement is not None and found.placement.encoding is not None:
        headers |= VARY
        if _wants_packed(call, found.placement):
            _describe_packed(headers, found.blob, found.placement)
    return Answer(status=200, headers=headers, body=b"")


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


def _accepts_zstd(call: Call) -> bool:
    """What is not named is not asked for."""
    return weights_of(call.headers.get("accept-encoding", "")).get(ZSTD, 0.0) > 0


def _blob_headers(blob: Blob) -> dict[str, str]:
    # The type is given as it came: the framework would add a charset of its own to some.
    headers = {
        "Content-Type": blob.media_type,
        "ETag": etag(blob.cas_id),
        **IMMUTABLE,
        "Accept-Ranges": "bytes",
    }
    if blob.sha256 is not None:
        headers[REPR_DIGEST] = repr_digest(blob.sha256)
    return headers
