"""HTTP for blobs: reads and writes raw bytes, opens transactions, calls the CAS service."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from litestar.params import PathParameter

from orchestrator.core.batching import Batcher
from orchestrator.core.database import Connection, Database
from orchestrator.core.digest import BlobName, BlobNameText, parse_name
from orchestrator.errors import CorruptBlob, InvalidInput, NotFound
from orchestrator.handlers.cas_body import MissingBody, MissingQuery, blob_body
from orchestrator.handlers.http.body import decode
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.digest_field import check_sha256, given_sha256, wants_sha256
from orchestrator.handlers.http.reading import segment
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import Reply, etag, json_answer, location
from orchestrator.handlers.transfer.delivery import BlobAnswers
from orchestrator.jobs.write_gate import WriteGate
from orchestrator.models.cas import BlobUpload, StoredBlob, parse_media_type
from orchestrator.models.idempotency import Answer, IdempotentCall
from orchestrator.service.cas import CASService, InlineNeeded
from orchestrator.service.transfer.delivery import Delivery
from orchestrator.service.transfer.intake import Intake, TakenBlob

CasPath = Annotated[
    BlobNameText,
    PathParameter(description="A name of a blob: `blake3:…`, or `sha256:…` if that was asked for."),
]

#: A cas id in a list, with room for spaces around it.
CAS_ID_BYTES_MAX = 128


class CASHandler:
    """Blobs by name: direct orchestration of intake, the CAS service, and delivery."""

    def __init__(
        self,
        database: Database,
        cas: CASService,
        intake: Intake,
        delivery: Delivery,
        answers: BlobAnswers,
        gate: WriteGate,
        replay: Replay,
        computing: Computing,
        *,
        missing_ids_max: int,
    ) -> None:
        self._database = database
        self._cas = cas
        self._intake = intake
        self._delivery = delivery
        self._answers = answers
        self._gate = gate
        self._replay = replay
        self._computing = computing
        self._missing_ids_max = missing_ids_max
        self._uploads = Batcher(
            self._upload_new,
            alone=self._upload_alone,
            key=lambda upload: upload.received.cas_id,
            wait_seconds_max=database.acquire_seconds_max,
        )

    async def upload(self, call: Call) -> Answer:
        """Store the body as it is: 201 when the blob is new, 200 when it was known."""
        return await self._store(call, None)

    async def put(self, call: Call, cas_id: CasPath) -> Answer:
        """Store the body under the name it must have; another content is refused."""
        expected = parse_name(segment(cas_id), "/cas_id")
        if (known := await self._known(call, expected)) is not None:
            return _stored_answer(known, call.namespace)
        return await self._store(call, expected)

    async def _known(self, call: Call, name: BlobName) -> StoredBlob | None:
        """A large blob that this very namespace has need not be sent again."""
        if (call.declared_length or 0) <= self._intake.inline_bytes_max:
            return None
        async with self._database.transaction(of=call.namespace) as conn:
            try:
                blob = await self._cas.get_blob(conn, call.namespace, name)
                await self._cas.lease(conn, call.namespace, blob.cas_id, blob.media_type)
            except (NotFound, CorruptBlob):
                return None
        return StoredBlob(blob=blob, created=False)

    async def _store(self, call: Call, expected: BlobName | None) -> Answer:
        media_type = parse_media_type(call.headers.get("content-type", ""))
        digest = given_sha256(call)
        chunks = call.chunks(self._intake.blob_bytes_max, "blob")
        length = call.declared_length
        if length is not None and length <= self._intake.inline_bytes_max:
            self._gate.admit_inline(length)
        else:
            await self._gate.admit(length)
        async with self._intake.received(
            chunks,
            media_type,
            expected=expected or digest,
            wants_sha256=digest is not None or wants_sha256(call),
        ) as taken:
            check_sha256(digest, taken.received)
            # A PUT is the same request each time without a key.
            repeated = call.idempotent(taken.received.cas_id.raw) if expected is None else None
            try:
                answer = await self._commit(taken, call, repeated)
            except InlineNeeded:
                with call.pausing():
                    taken.received = await self._delivery.inlined(taken.received)
                answer = await self._commit(taken, call, repeated)
        return answer

    async def _commit(
        self, taken: TakenBlob, call: Call, repeated: IdempotentCall | None
    ) -> Answer:
        """The rows. Small blobs that come together are one commit."""
        received, namespace = taken.received, call.namespace
        if repeated is None and received.placement is None and received.sha256 is None:
            upload = BlobUpload(namespace=namespace, received=received, by=call.by)
            return _stored_answer(await self._uploads(upload), namespace)
        is_used = False

        async def make(conn: Connection) -> Answer:
            nonlocal is_used
            stored = await self._cas.upload(conn, namespace, received, by=call.by)
            is_used = stored.used
            return _stored_answer(stored, namespace)

        answer = await self._replay.once(call, repeated, make)
        taken.is_used = is_used and received.placement is not None
        return answer

    async def _upload_new(
        self, uploads: Sequence[BlobUpload], deadline: float
    ) -> list[StoredBlob | None]:
        async with self._database.write(deadline=deadline) as conn:
            return await self._cas.upload_new(conn, uploads)

    async def _upload_alone(self, upload: BlobUpload, deadline: float) -> StoredBlob:
        async with self._database.transaction(of=upload.namespace, deadline=deadline) as conn:
            return await self._cas.upload(conn, upload.namespace, upload.received, by=upload.by)

    async def get(self, call: Call, cas_id: CasPath) -> Reply:
        """The exact bytes; they never change, so they may be cached for ever."""
        return await self._answers.answer(call, cas_id)

    async def missing(self, call: Call) -> Answer:
        """Which of these blobs the namespace does not have."""
        body = await call.read_json(CAS_ID_BYTES_MAX * (self._missing_ids_max + 1))
        query = await self._computing.run(call, partial(decode, body, MissingQuery), len(body))
        if len(query.cas_ids) > self._missing_ids_max:
            message = f"At most {self._missing_ids_max} cas ids are asked for at once."
            raise InvalidInput.at("/cas_ids", "length", message)
        names = [parse_name(text, f"/cas_ids/{at}") for at, text in enumerate(query.cas_ids)]

        async def make(conn: Connection) -> Answer:
            missing = await self._cas.missing(conn, call.namespace, names)
            return json_answer(MissingBody([str(name) for name in missing]))

        repeated = call.idempotent(body)
        if repeated is None:  # Nothing is written.
            async with self._database.connection() as conn:
                return await make(conn)
        return await self._replay.once(call, repeated, make)


def _stored_answer(stored: StoredBlob, namespace: str) -> Answer:
    body = blob_body(stored.blob)
    where = location("cas", body.cas_id, namespace)
    headers = {"ETag": etag(body.cas_id), "Location": where}
    return json_answer(body, 201 if stored.created else 200, headers)
