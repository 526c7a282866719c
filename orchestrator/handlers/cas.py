"""HTTP for blobs: reads and writes raw bytes, opens transactions, calls the CAS service."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response
from litestar.params import PathParameter

from orchestrator.core.batching import Gathering
from orchestrator.core.database import Database
from orchestrator.core.digest import BlobName, CasId, parse_name
from orchestrator.errors import CorruptBlob, InvalidInput, NotFound
from orchestrator.handlers.http.digest_field import check_sha256, given_sha256, wants_sha256
from orchestrator.handlers.http.direct import Asked, RawAnswer
from orchestrator.handlers.http.problem import AnyRequest, respond
from orchestrator.handlers.http.reading import (
    Namespace,
    actor_of,
    body_chunks,
    declared_length,
    decode,
    idempotent_call,
    media_type_of,
    namespace_of,
    offloaded,
    read_json_body,
    segment,
)
from orchestrator.handlers.http.replying import etag, json_answer, location
from orchestrator.handlers.transfer.delivery import BlobDelivery, has_already
from orchestrator.jobs.storage_gate import StorageGate
from orchestrator.models.cas import BlobUpload, StoredBlob
from orchestrator.models.idempotency import Answer, IdempotentCall
from orchestrator.models.principal import Actor
from orchestrator.service.cas import CASService, InlineNeeded
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.transfer.intake import Intake, TakenBlob

CasPath = Annotated[
    str,
    PathParameter(description="A name of a blob: `blake3:…`, or `sha256:…` if that was asked for."),
]

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
    sha256: str | None = None


class CASHandler:
    """Blobs by name: direct orchestration of intake, the CAS service, and delivery."""

    def __init__(
        self,
        database: Database,
        cas: CASService,
        intake: Intake,
        delivery: BlobDelivery,
        storage: StorageGate,
        idempotency: IdempotencyService,
        *,
        missing_ids_max: int,
    ) -> None:
        self._database = database
        self._cas = cas
        self._intake = intake
        self._delivery = delivery
        self._storage = storage
        self._idempotency = idempotency
        self._missing_ids_max = missing_ids_max
        self._uploads = Gathering(
            self._upload_new, alone=self._upload_alone, key=lambda upload: upload.received.cas_id
        )

    async def upload(self, request: AnyRequest, namespace: Namespace = None) -> Response[bytes]:
        """Store the body as it is: 201 when the blob is new, 200 when it was known."""
        return respond(await self.store(request, "", namespace))

    async def store(self, request: Asked, _: str, namespace: str | None) -> Answer:
        """The same. Small blobs that come together are one commit."""
        return await self._store(request, namespace_of(request, namespace), None)

    async def put(
        self, request: AnyRequest, cas_id: CasPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Store the body under the name it must have; another content is refused."""
        namespace = namespace_of(request, namespace)
        expected = parse_name(segment(cas_id), "/cas_id")
        if (known := await self._known(request, namespace, expected)) is not None:
            return respond(_stored_answer(known, namespace))
        return respond(await self._store(request, namespace, expected))

    async def _known(
        self, request: AnyRequest, namespace: str, name: BlobName
    ) -> StoredBlob | None:
        """A large blob that this very namespace has need not be sent again."""
        if (declared_length(request) or 0) <= self._intake.inline_bytes_max:
            return None
        async with self._database.transaction() as conn:
            try:
                blob = await self._cas.get_blob(conn, namespace, name)
                await self._cas.lease(conn, namespace, blob.cas_id, blob.media_type)
            except (NotFound, CorruptBlob):
                return None
        return StoredBlob(blob=blob, created=False)

    async def _store(self, request: Asked, namespace: str, expected: BlobName | None) -> Answer:
        media_type = media_type_of(request.headers.get("content-type", ""))
        digest = given_sha256(request)
        chunks = body_chunks(request, self._intake.blob_bytes_max, "blob")
        await self._storage.admit(declared_length(request))
        async with self._intake.received(
            chunks,
            media_type,
            expected=expected or digest,
            wants_sha256=digest is not None or wants_sha256(request),
        ) as kept:
            check_sha256(digest, kept.received)
            by = actor_of(request)
            call = idempotent_call(request, kept.received.cas_id.raw) if not expected else None
            try:
                answer = await self._keep(kept, namespace, call, by)
            except InlineNeeded:
                kept.received = await self._delivery.inlined(kept.received)
                answer = await self._keep(kept, namespace, call, by)
        return answer

    async def _keep(
        self, kept: TakenBlob, namespace: str, call: IdempotentCall | None, by: Actor
    ) -> Answer:
        received = kept.received
        if call is None and received.placement is None and received.sha256 is None:
            upload = BlobUpload(namespace=namespace, received=received, by=by)
            return _stored_answer(await self._uploads(upload), namespace)
        async with self._database.transaction() as conn:
            if before := await self._idempotency.claim(conn, call):
                return before
            stored = await self._cas.upload(conn, namespace, received, by=by)
            answer = _stored_answer(stored, namespace)
            await self._idempotency.remember(conn, call, answer)
        kept.is_used = stored.used and kept.received.placement is not None
        return answer

    async def _upload_new(self, uploads: Sequence[BlobUpload]) -> list[StoredBlob | None]:
        async with self._database.write() as conn:
            return await self._cas.upload_new(conn, uploads)

    async def _upload_alone(self, upload: BlobUpload) -> StoredBlob:
        async with self._database.transaction() as conn:
            return await self._cas.upload(conn, upload.namespace, upload.received, by=upload.by)

    async def get(
        self, request: AnyRequest, cas_id: CasPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """The exact bytes; they never change, so they may be cached for ever."""
        namespace = namespace_of(request, namespace)
        name = parse_name(segment(cas_id), "/cas_id")
        if isinstance(name, CasId) and has_already(request, name):
            return await self._delivery.unchanged(namespace, name)
        return await self._delivery.answer(request, namespace, name)

    async def fetch(self, request: Asked, cas_id: str, namespace: str | None) -> RawAnswer | None:
        """The same for the whole of a small blob, which needs no stream; None for others."""
        namespace = namespace_of(request, namespace)
        return await self._delivery.answer_directly(request, namespace, cas_id)

    async def missing(self, request: AnyRequest, namespace: Namespace = None) -> Response[bytes]:
        """Which of these blobs the namespace does not have."""
        namespace = namespace_of(request, namespace)
        body = await read_json_body(request, CAS_ID_BYTES_MAX * (self._missing_ids_max + 1))
        query = await offloaded(lambda: decode(body, MissingQuery), len(body))
        if len(query.cas_ids) > self._missing_ids_max:
            message = f"At most {self._missing_ids_max} cas ids are asked for at once."
            raise InvalidInput.at("/cas_ids", "length", message)
        names = [parse_name(text, f"/cas_ids/{at}") for at, text in enumerate(query.cas_ids)]
        call = idempotent_call(request, body)
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return respond(kept)
            missing = await self._cas.missing(conn, namespace, names)
            answer = json_answer(MissingBody([str(name) for name in missing]))
            await self._idempotency.remember(conn, call, answer)
        return respond(answer)


def _stored_answer(stored: StoredBlob, namespace: str) -> Answer:
    blob = stored.blob
    body = BlobBody(
        cas_id=str(blob.cas_id),
        size_bytes=blob.size_bytes,
        media_type=blob.media_type,
        created_at=blob.created_at,
        sha256=str(blob.sha256) if blob.sha256 else None,
    )
    where = location("cas", body.cas_id, namespace)
    headers = {"ETag": etag(body.cas_id), "Location": where}
    return json_answer(body, 201 if stored.created else 200, headers)
