"""HTTP for new artifacts of any kind: direct orchestration of blobs, catalogue and tags."""

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import NamedTuple

from orchestrator.core.batching import Batcher
from orchestrator.core.cache import Cache
from orchestrator.core.database import Connection, Database
from orchestrator.core.digest import BlobName
from orchestrator.documents.artifact_content import new_manifest
from orchestrator.documents.artifact_draft import ArtifactLimits
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.errors import Contended, InvalidInput, accepted
from orchestrator.handlers.artifact_body import created_body
from orchestrator.handlers.artifact_request import ReadArtifact, read_artifact
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.precondition import (
    ANYWHERE,
    Precondition,
    precondition_guard,
    tag_precondition,
)
from orchestrator.handlers.http.reading import checked_message
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import json_answer, location
from orchestrator.models.artifact_manifest import (
    ArtifactDraft,
    CreatedArtifact,
    NamedBlobs,
    NewManifest,
    WantedArtifact,
)
from orchestrator.models.cas import MANIFEST, Blob
from orchestrator.models.idempotency import Answer
from orchestrator.models.tag import Condition
from orchestrator.service.artifact_join import ArtifactJoinService
from orchestrator.service.artifact_manifest import ArtifactManifestService
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService

#: The memory for what is remembered of blobs: in all, and for one.
SEEN_BYTES_MAX = 1024 * 1024
SEEN_BYTES = 512


class _Seen(NamedTuple):
    blob: Blob
    until: float


class ArtifactCreateHandler:
    """What the blobs are is read first; then the manifest, the artifact, its edges, and the move of
    the tag are one commit.
    """

    def __init__(
        self,
        database: Database,
        *,
        cas: CASService,
        manifests: ArtifactManifestService,
        references: BlobReferenceService,
        joins: ArtifactJoinService,
        tags: TagService,
        replay: Replay,
        computing: Computing,
        body_bytes_max: int,
        body_values_max: int,
        limits: ArtifactLimits,
        cache_seconds: float,
    ) -> None:
        self._database = database
        self._cas = cas
        self._manifests = manifests
        self._references = references
        self._joins = joins
        self._tags = tags
        self._replay = replay
        self._computing = computing
        self._body_bytes_max = body_bytes_max
        self._read = partial(read_artifact, values_max=body_values_max, limits=limits)
        self._cache_seconds = cache_seconds
        self._seen: Cache[tuple[str, BlobName], _Seen] = Cache(SEEN_BYTES_MAX)
        self._creations = Batcher(
            self._create_new,
            alone=self._create_alone,
            key=lambda wanted: (wanted.new.namespace, wanted.tag or wanted.new.cas_id),
            wait_seconds_max=database.acquire_seconds_max,
        )

    async def create(self, call: Call) -> Answer:
        """201 for an artifact that is new, 200 for one that was there."""
        body = await call.read_json(self._body_bytes_max)
        data = await self._computing.run(call, partial(self._read, body), size_of_reading(body))
        message = checked_message(data.message)
        precondition = _precondition(call, data)
        repeated = call.idempotent(body)
        if (first := await self._replay.first_answer(call, repeated)) is not None:
            return first
        wanted = WantedArtifact(
            new=await self._manifest(call, data.draft, len(body)),
            parents=data.draft.parents,
            retain=data.retain,
            tag=data.tag,
            message=message,
            condition=precondition.condition,
        )
        if repeated is None and precondition == ANYWHERE and _is_plain(wanted):
            # Creates that come together and demand nothing are one commit.
            return _created_answer(await self._creations(wanted))

        async def make(conn: Connection) -> Answer:
            with precondition_guard(precondition):
                return _created_answer(await self._create(conn, wanted))

        return await self._replay.once(call, repeated, make)

    async def _manifest(self, call: Call, draft: ArtifactDraft, size_bytes: int) -> NewManifest:
        """The artifact with what its blobs are."""
        blobs = await self._blobs(call, [file.blob for file in draft.files])
        work = partial(new_manifest, draft, blobs, call.namespace, call.by)
        return await self._computing.run(call, work, size_bytes)

    async def _blobs(self, call: Call, names: Sequence[BlobName]) -> dict[BlobName, Blob]:
        """Those that the namespace can see. What a blob is never changes; that it can be seen is
        believed for a short time, as where blobs are fetched.
        """
        now, namespace = monotonic(), call.namespace
        found: dict[BlobName, Blob] = {}
        for name in names:
            seen = self._seen.get((namespace, name))
            if seen is not None and now < seen.until:
                found[name] = seen.blob
        unknown = [name for name in names if name not in found]
        if not unknown:
            return found
        async with self._database.connection(deadline=call.deadline(self._database)) as conn:
            visible = await self._cas.list_visible(conn, namespace, unknown)
        until = now + self._cache_seconds
        for name, blob in visible.items():
            self._seen.put((namespace, name), _Seen(blob, until), SEEN_BYTES)
        return found | visible

    async def _create_new(
        self, wanted: Sequence[WantedArtifact], deadline: float
    ) -> list[CreatedArtifact | None]:
        async with self._database.write(deadline=deadline) as conn:
            return await self._joins.create_new(conn, wanted)

    async def _create_alone(self, wanted: WantedArtifact, deadline: float) -> CreatedArtifact:
        async with self._database.transaction(of=wanted.new.namespace, deadline=deadline) as conn:
            return await self._create(conn, wanted)

    async def _create(self, conn: Connection, wanted: WantedArtifact) -> CreatedArtifact:
        new, by = wanted.new, wanted.new.by
        await self._cas.store_content(conn, new.content, MANIFEST, by=by, cas_id=new.cas_id)
        try:
            ((artifact, is_new),) = await self._manifests.find_or_create(conn, [new])
        except Contended:
            self._seen = Cache(SEEN_BYTES_MAX)  # A blob that was seen is gone.
            raise
        named = NamedBlobs(artifact=artifact, names=new.references, is_new=is_new, by=by)
        (missing,) = await self._references.refer(conn, [named])
        await self._manifests.link(conn, artifact, wanted.parents, is_new=is_new, by=by)
        if wanted.retain is not None:
            await self._manifests.retain(conn, artifact, retained=wanted.retain, by=by)
        change = None
        if wanted.tag is not None:
            (outcome,) = await self._tags.put(conn, [wanted.order(artifact.artifact_id)])
            change = accepted(outcome)
        details = await self._manifests.describe(conn, artifact, new.content)
        return CreatedArtifact(details=details, is_new=is_new, change=change, missing_blobs=missing)


def _is_plain(wanted: WantedArtifact) -> bool:
    return not wanted.parents and not wanted.new.references and wanted.retain is None


def _precondition(call: Call, data: ReadArtifact) -> Precondition:
    found = tag_precondition(call, data.expected_version)
    if not data.absent:
        return found
    if found != ANYWHERE:
        message = "A tag cannot be absent and be what a header demands."
        raise InvalidInput.at("/absent", "absent", message)
    return Precondition(Condition(absent=True))


def _created_answer(created: CreatedArtifact) -> Answer:
    """201 with its address when the artifact is new, 200 otherwise."""
    body = created_body(created)
    where = location("artifacts", str(body.artifact_id), body.namespace)
    return json_answer(body, 201 if created.is_new else 200, {"Location": where})
