"""HTTP for new artifacts of any kind: direct orchestration of blobs, catalogue and tags."""

from collections.abc import Sequence
from functools import partial

from orchestrator.core.database import Connection, Database
from orchestrator.documents.artifact_draft import ArtifactLimits
from orchestrator.errors import InvalidInput, accepted
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
from orchestrator.handlers.tag_body import TagChangeBody, change_body
from orchestrator.models.artifact_manifest import ArtifactDetails, ArtifactDraft, NewManifest
from orchestrator.models.cas import MANIFEST
from orchestrator.models.idempotency import Answer
from orchestrator.models.tag import Condition, TagOrder
from orchestrator.service.artifact_manifest import ArtifactManifestService, new_manifest
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService


class ArtifactCreateHandler:
    """What the blobs are is read first; then one transaction stores the manifest, the artifact,
    its edges, and the move of the tag.
    """

    def __init__(
        self,
        database: Database,
        *,
        cas: CASService,
        manifests: ArtifactManifestService,
        references: BlobReferenceService,
        tags: TagService,
        replay: Replay,
        computing: Computing,
        body_bytes_max: int,
        body_values_max: int,
        limits: ArtifactLimits,
    ) -> None:
        self._database = database
        self._cas = cas
        self._manifests = manifests
        self._references = references
        self._tags = tags
        self._replay = replay
        self._computing = computing
        self._body_bytes_max = body_bytes_max
        self._read = partial(read_artifact, values_max=body_values_max, limits=limits)

    async def create(self, call: Call) -> Answer:
        """201 for an artifact that is new, 200 for one that was there."""
        body = await call.read_json(self._body_bytes_max)
        data = await self._computing.run(call, partial(self._read, body), len(body))
        message = checked_message(data.message)
        precondition = _precondition(call, data)
        repeated = call.idempotent(body)
        if (first := await self._replay.first_answer(repeated)) is not None:
            return first
        new = await self._manifest(call, data.draft, len(body))

        async def make(conn: Connection) -> Answer:
            await self._cas.store_content(
                conn, new.content, MANIFEST, by=call.by, cas_id=new.cas_id
            )
            ((artifact, is_new),) = await self._manifests.find_or_create(conn, [new])
            missing = await self._references.refer(
                conn, artifact, new.references, is_new=is_new, by=call.by
            )
            await self._manifests.link(
                conn, artifact, data.draft.parents, is_new=is_new, by=call.by
            )
            if data.retain is not None:
                await self._manifests.retain(conn, artifact, retained=data.retain, by=call.by)
            tag = None
            if data.tag is not None:
                order = TagOrder(
                    namespace=call.namespace,
                    name=data.tag,
                    target_id=artifact.artifact_id,
                    message=message,
                    by=call.by,
                    condition=precondition.condition,
                )
                tag = await self._put(conn, order, precondition)
            details = await self._manifests.describe(conn, artifact, new.content)
            return _created_answer(details, tag, missing, is_new=is_new)

        return await self._replay.once(call.namespace, repeated, make)

    async def _manifest(self, call: Call, draft: ArtifactDraft, size_bytes: int) -> NewManifest:
        """The artifact with what its blobs are."""
        async with self._database.connection() as conn:
            names = [file.blob for file in draft.files]
            blobs = await self._cas.list_visible(conn, call.namespace, names)
        work = partial(new_manifest, draft, blobs, call.namespace, call.by)
        return await self._computing.run(call, work, size_bytes)

    async def _put(
        self, conn: Connection, order: TagOrder, precondition: Precondition
    ) -> TagChangeBody:
        with precondition_guard(precondition):
            (outcome,) = await self._tags.put(conn, [order])
            return change_body(accepted(outcome))


def _precondition(call: Call, data: ReadArtifact) -> Precondition:
    found = tag_precondition(call, data.expected_version)
    if not data.absent:
        return found
    if found != ANYWHERE:
        message = "A tag cannot be absent and be what a header demands."
        raise InvalidInput.at("/absent", "absent", message)
    return Precondition(Condition(absent=True))


def _created_answer(
    details: ArtifactDetails, tag: TagChangeBody | None, missing: Sequence[str], *, is_new: bool
) -> Answer:
    """201 with its address when the artifact is new, 200 otherwise."""
    body = created_body(details, is_new=is_new, tag=tag, missing=missing)
    where = location("artifacts", str(body.artifact_id), body.namespace)
    return json_answer(body, 201 if is_new else 200, {"Location": where})
