"""HTTP for blobs: reads and writes raw bytes, opens transactions, calls the CAS service."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response
from litestar.params import PathParameter

from orchestrator.database import Database
from orchestrator.digest import CasId
from orchestrator.errors import InvalidInput
from orchestrator.handlers.byte_range import requested_range
from orchestrator.handlers.precondition import none_match
from orchestrator.handlers.problem import AnyRequest, respond
from orchestrator.handlers.reading import (
    Namespace,
    decode,
    idempotent_call,
    namespace_of,
    offloaded,
    read_body,
    read_json_body,
    segment,
)
from orchestrator.handlers.replying import etag, json_answer, location, not_modified
from orchestrator.models.cas import OCTET_STREAM, Blob, StoredBlob
from orchestrator.models.idempotency import Answer
from orchestrator.service.cas import CASService
from orchestrator.service.idempotency import IdempotencyService

MEDIA_TYPE_LENGTH_MAX = 255
CasPath = Annotated[str, PathParameter(description="The name of a blob: `blake3:…`.")]
IMMUTABLE = "private, max-age=31536000, immutable"
# Stored bytes are somebody else's: a browser must not run them in our origin.
HARMLESS = {"Content-Security-Policy": "default-src 'none'; sandbox"}


#: A cas id in a list, with room for spaces around it.
CAS_ID_BYTES_MAX = 128


class MissingQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The question which of these blobs would have to be uploaded."""

    cas_ids: list[str]


class MissingBody(msgspec.Struct, frozen=True):
    """Those that would, in the order asked."""

    missing: list[str]


class BlobBody(msgspec.Struct, frozen=True, kw_only=True):
    """A blob without its bytes."""

    cas_id: str
    size_bytes: int
    media_type: str
    created_at: datetime


class CASHandler:
    """Blobs by name: direct orchestration of the CAS service."""

    def __init__(
        self,
        database: Database,
        cas: CASService,
        idempotency: IdempotencyService,
        *,
        missing_ids_max: int,
    ) -> None:
        self._database = database
        self._cas = cas
        self._idempotency = idempotency
        self._missing_ids_max = missing_ids_max

    async def upload(self, request: AnyRequest, namespace: Namespace = None) -> Response[bytes]:
        """Store the body as it is: 201 when the blob is new, 200 when it was known."""
        return await self._store(request, namespace, None)

    async def put(
        self, request: AnyRequest, cas_id: CasPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Store the body under the name it must have; another content is refused."""
        return await self._store(request, namespace, CasId.parse(segment(cas_id), "/cas_id"))

    async def _store(
        self, request: AnyRequest, namespace: str | None, expected: CasId | None
    ) -> Response[bytes]:
        namespace = namespace_of(request, namespace)
        media_type = _media_type(request)
        content = await read_body(request, self._cas.inline_bytes_max, "blob")
        actual = await offloaded(lambda: self._cas.compute_hash(content), len(content))
        self._cas.check_name(expected or actual, actual)
        call = idempotent_call(request, content) if expected is None else None
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return respond(kept)
            stored = await self._cas.upload(conn, namespace, content, media_type, cas_id=actual)
            answer = _stored_answer(stored, namespace)
            await self._idempotency.keep(conn, call, answer)
        return respond(answer)

    async def get(
        self, request: AnyRequest, cas_id: CasPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """The exact bytes; they never change, so they may be cached for ever."""
        namespace = namespace_of(request, namespace)
        name = CasId.parse(segment(cas_id), "/cas_id")
        if none_match(request, str(name)) or request.scope["method"] == "HEAD":
            async with self._database.connection() as conn:
                blob = await self._cas.get_blob(conn, namespace, name)
            headers = _blob_headers(blob)
            if none_match(request, str(name)):
                return not_modified(headers)
            return Response(
                content=b"",
                media_type=None,
                headers={**headers, **HARMLESS, "Content-Length": str(blob.size_bytes)},
            )
        async with self._database.connection() as conn:
            found = await self._cas.get_content(conn, namespace, name)
        headers = {**_blob_headers(found.blob), **HARMLESS}
        part = requested_range(request, found.blob.size_bytes, str(name))
        if part is None:
            return Response(content=found.content, media_type=None, headers=headers)
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{found.blob.size_bytes}"
        content = found.content[part.start : part.stop]
        return Response(content=content, status_code=206, media_type=None, headers=headers)

    async def missing(self, request: AnyRequest, namespace: Namespace = None) -> Response[bytes]:
        """Which of these blobs the namespace does not have."""
        namespace = namespace_of(request, namespace)
        body = await read_json_body(request, CAS_ID_BYTES_MAX * (self._missing_ids_max + 1))
        query = await offloaded(lambda: decode(body, MissingQuery), len(body))
        if len(query.cas_ids) > self._missing_ids_max:
            message = f"At most {self._missing_ids_max} cas ids are asked for at once."
            raise InvalidInput.at("/cas_ids", "length", message)
        names = [CasId.parse(text, f"/cas_ids/{at}") for at, text in enumerate(query.cas_ids)]
        call = idempotent_call(request, body)
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return respond(kept)
            missing = await self._cas.missing(conn, namespace, names)
            answer = json_answer(MissingBody([str(cas_id) for cas_id in missing]))
            await self._idempotency.keep(conn, call, answer)
        return respond(answer)


def _media_type(request: AnyRequest) -> str:
    given = request.headers.get("content-type", "").strip() or OCTET_STREAM
    if len(given) > MEDIA_TYPE_LENGTH_MAX or not given.isascii() or not given.isprintable():
        message = f"A media type has at most {MEDIA_TYPE_LENGTH_MAX} printable ASCII characters."
        raise InvalidInput.at("/Content-Type", "media-type", message)
    return given


def _stored_answer(stored: StoredBlob, namespace: str) -> Answer:
    blob = stored.blob
    body = BlobBody(
        cas_id=str(blob.cas_id),
        size_bytes=blob.size_bytes,
        media_type=blob.media_type,
        created_at=blob.created_at,
    )
    where = location("cas", body.cas_id, namespace)
    return json_answer(
        body, 201 if stored.created else 200, {"ETag": etag(body.cas_id), "Location": where}
    )


def _blob_headers(blob: Blob) -> dict[str, str]:
    # The type is given as it came: the framework would add a charset of its own to some.
    return {
        "Content-Type": blob.media_type,
        "ETag": etag(blob.cas_id),
        "Cache-Control": IMMUTABLE,
        "Accept-Ranges": "bytes",
    }
