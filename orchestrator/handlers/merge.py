"""HTTP for comparing and merging versions: the work is done between two uses of the database."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from orchestrator.core.database import Connection, Database
from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.workflow_change import ChangeRules, Revision, merged, parsed
from orchestrator.documents.workflow_diff import WorkflowDiff, diff_workflows
from orchestrator.documents.workflow_diff_text import render_text
from orchestrator.documents.workflow_merge_value import Conflict, Side
from orchestrator.errors import DomainError
from orchestrator.handlers.http.keeping import kept_meanwhile
from orchestrator.handlers.http.precondition import (
    HashPrecondition,
    hash_guard,
    workflow_precondition,
)
from orchestrator.handlers.http.problem import AnyRequest, respond
from orchestrator.handlers.http.reading import (
    SMALL_BODY_BYTES_MAX,
    Namespace,
    TagPath,
    actor_of,
    checked_message,
    decode,
    idempotent_call,
    namespace_of,
    offloaded,
    read_json_body,
    tag_in_path,
)
from orchestrator.handlers.http.replying import json_answer
from orchestrator.handlers.version_body import (
    ChangedBody,
    changed_body,
)
from orchestrator.models.artifact import Kind, Relation
from orchestrator.models.principal import Actor
from orchestrator.models.reference import parse_reference
from orchestrator.models.version import Changed, MergeSides, Origin, Outcome, Version
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.version import VersionService

Against = Annotated[
    str,
    QueryParameter(
        description="Before: a tag, `tag@3`, `3` or `@3` of this tag, an artifact id, or a hash.",
        examples=[Example(value="release/v1.0@1")],
    ),
]
DiffFormat = Annotated[
    Literal["json", "text"], QueryParameter(description="JSON, or text for people.")
]


class MergeWorkflow(msgspec.Struct, forbid_unknown_fields=True):
    """Merge a version into the tag; the base is their nearest common ancestor if not named."""

    from_: str = msgspec.field(name="from")
    base: str | None = None
    message: str | None = None
    prefer: Side | None = None
    dry_run: bool = False


class MergedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the merge turned out to be. A dry run has a diff of what it would do, and no result."""

    outcome: Outcome
    dry_run: bool
    base_id: UUID
    ours_id: UUID
    theirs_id: UUID
    op_count: int
    settled: list[Conflict]
    result: ChangedBody | None
    diff: WorkflowDiff | None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a diff."""

    artifact_id: UUID
    kind: Kind
    version_hash: str


class DiffBody(msgspec.Struct, frozen=True, kw_only=True):
    """What changed, node by node, and the patch that turns one document into the other."""

    before: Endpoint
    after: Endpoint
    diff: WorkflowDiff
    patch: list[PatchOperation]


class MergeHandler:
    """Diffs and merges of what tags name."""

    def __init__(
        self,
        database: Database,
        versions: VersionService,
        idempotency: IdempotencyService,
        *,
        rules: ChangeRules,
        body_bytes_max: int,
    ) -> None:
        self._database = database
        self._versions = versions
        self._idempotency = idempotency
        self._rules = rules
        self._body_bytes_max = body_bytes_max

    async def diff(
        self,
        request: AnyRequest,
        tag: TagPath,
        against: Against,
        namespace: Namespace = None,
        format: DiffFormat = "json",  # noqa: A002 - its name in the query.
    ) -> Response[bytes]:
        """What changed from `against` to what the tag names, node by node."""
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        reference = parse_reference(against, tag=name, pointer="/against")
        async with self._database.connection() as conn:
            head = await self._versions.get_head(conn, space, name)
            before = await self._versions.get(conn, space, reference)
        size = len(before.content) + len(head.version.content)
        if format == "text":
            text = await offloaded(lambda: _diff_text(before, head.version), size)
            return Response(content=text, media_type="text/plain")
        body = await offloaded(lambda: _diff_body(before, head.version), size)
        return respond(json_answer(body))

    async def merge(
        self, request: AnyRequest, tag: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Merge a version into the tag; conflicts are 409 and list every place."""
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        body = await read_json_body(request, SMALL_BODY_BYTES_MAX)
        data = decode(body, MergeWorkflow)
        checked_message(data.message)
        precondition = workflow_precondition(request)
        call = idempotent_call(request, body)
        try:
            with hash_guard(precondition, name):
                async with self._database.connection() as conn:
                    if kept := await self._idempotency.find(conn, call):
                        return respond(kept)
                    sides = await self._sides(conn, space, name, data, precondition)
                size = len(sides.ours.version.content) + len(sides.theirs.content)
                revision = await offloaded(lambda: self._revision(sides, data), size)
                diff = None
                if data.dry_run:
                    diff = await offloaded(lambda: _preview(sides, revision), size)
                async with self._database.transaction() as conn:
                    if kept := await self._idempotency.claim(conn, call):
                        return respond(kept)
                    changed = None
                    if not data.dry_run:
                        by = actor_of(request)
                        changed = await self._store(conn, sides, revision, by, data.message)
                    answer = json_answer(_merged_body(sides, revision, changed, diff))
                    await self._idempotency.remember(conn, call, answer)
        except DomainError:
            kept = await kept_meanwhile(self._database, self._idempotency, call)
            if kept is None:
                raise
            return respond(kept)
        return respond(answer)

    async def _sides(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        data: MergeWorkflow,
        precondition: HashPrecondition,
    ) -> MergeSides:
        theirs = parse_reference(data.from_, tag=tag, pointer="/from")
        head = await self._versions.get_head(conn, namespace, tag)
        precondition.check(tag, head.tag_version, head.version.artifact.version_hash)
        base: Version | None = None
        if data.base is not None:
            named = parse_reference(data.base, tag=tag, pointer="/base")
            base = await self._versions.get(conn, namespace, named)
        version = await self._versions.get(conn, namespace, theirs)
        return await self._versions.get_merge_sides(conn, head, version, base)

    def _revision(self, sides: MergeSides, data: MergeWorkflow) -> Revision | None:
        if sides.outcome is not Outcome.MERGED:
            return None
        return merged(
            sides.base.content,
            sides.ours.version.content,
            sides.theirs.content,
            self._rules,
            prefer=data.prefer,
        )

    async def _store(
        self,
        conn: Connection,
        sides: MergeSides,
        revision: Revision | None,
        by: Actor,
        message: str | None,
    ) -> Changed:
        head, theirs = sides.ours, sides.theirs.artifact
        if revision is not None:
            origin = Origin(parent_id=theirs.artifact_id, relation=Relation.MERGED_FROM)
            return await self._versions.store_patch(
                conn, head, revision, by=by, message=message, origins=[origin]
            )
        target = theirs if sides.outcome is Outcome.FAST_FORWARD else head.version.artifact
        change = await self._versions.fast_forward(conn, head, target, by=by, message=message)
        return Changed(artifact=target, change=change)


def _preview(sides: MergeSides, revision: Revision | None) -> WorkflowDiff:
    """What the merge would change on our side."""
    ours = parsed(sides.ours.version.content)
    if revision is not None:
        return diff_workflows(ours, revision.workflow.document)
    if sides.outcome is Outcome.FAST_FORWARD:
        return diff_workflows(ours, parsed(sides.theirs.content))
    return diff_workflows(ours, ours)


def _merged_body(
    sides: MergeSides,
    revision: Revision | None,
    changed: Changed | None,
    diff: WorkflowDiff | None,
) -> MergedBody:
    return MergedBody(
        outcome=sides.outcome,
        dry_run=changed is None,
        base_id=sides.base.artifact.artifact_id,
        ours_id=sides.ours.version.artifact.artifact_id,
        theirs_id=sides.theirs.artifact.artifact_id,
        op_count=len(revision.operations) if revision else 0,
        settled=list(revision.settled) if revision else [],
        result=changed_body(changed) if changed else None,
        diff=diff,
    )


def _diff_body(before: Version, after: Version) -> DiffBody:
    old, new = parsed(before.content), parsed(after.content)
    return DiffBody(
        before=_endpoint(before),
        after=_endpoint(after),
        diff=diff_workflows(old, new),
        patch=list(patch_between(old, new)),
    )


def _diff_text(before: Version, after: Version) -> bytes:
    diff = diff_workflows(parsed(before.content), parsed(after.content))
    return render_text(diff, colour=False).encode()


def _endpoint(version: Version) -> Endpoint:
    artifact = version.artifact
    return Endpoint(
        artifact_id=artifact.artifact_id,
        kind=artifact.kind,
        version_hash=str(artifact.version_hash),
    )
