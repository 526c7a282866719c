"""HTTP for chains of versions: patches, cherry-picks, reverts, compaction.

Each write reads its head, computes the change without a transaction, and stores it in one.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from uuid import UUID

from litestar import Response
from litestar.params import PathParameter, QueryParameter

from orchestrator.core.database import Connection, Database
from orchestrator.documents.canonical import JSONValue, parse
from orchestrator.documents.merge_patch import merge_patch_operations
from orchestrator.documents.patch import parse_operations
from orchestrator.documents.workflow_change import (
    PATCH_DEPTH_MAX,
    ChangeRules,
    Revision,
    merged,
    parsed,
    patched,
)
from orchestrator.documents.workflow_merge_value import Side
from orchestrator.errors import DomainError, InvalidInput, UnsupportedMediaType
from orchestrator.handlers.http.keeping import kept_meanwhile
from orchestrator.handlers.http.paging import Cursor, Limit, Page, after, encoded
from orchestrator.handlers.http.precondition import (
    HashPrecondition,
    hash_guard,
    none_match,
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
    read_body,
    read_json_body,
    segment,
    tag_in_path,
)
from orchestrator.handlers.http.replying import etag, json_answer, not_modified, spliced
from orchestrator.handlers.version_body import (
    SEQ_DIGITS_MAX,
    CherryPick,
    CompactedBody,
    CompactWorkflow,
    Revert,
    VersionItem,
    changed_body,
    version_item,
)
from orchestrator.models.artifact import Relation
from orchestrator.models.reference import Reference, parse_reference
from orchestrator.models.tag import TagChange
from orchestrator.models.version import Head, Origin, Version
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.version import VersionService

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

SeqPath = Annotated[
    str, PathParameter(description="A position in the chain: 0 is the base, n the n-th patch.")
]
MessageQuery = Annotated[str | None, QueryParameter(description="Why; shown in the history.")]


class VersionHandler:
    """Direct orchestration: the change is computed between two uses of the database."""

    def __init__(
        self,
        database: Database,
        versions: VersionService,
        idempotency: IdempotencyService,
        *,
        rules: ChangeRules,
        body_bytes_max: int,
        operations_max: int,
    ) -> None:
        self._database = database
        self._versions = versions
        self._idempotency = idempotency
        self._rules = rules
        self._body_bytes_max = body_bytes_max
        self._operations_max = operations_max

    # ------------------------------------------------------------------------------- patching

    async def patch(
        self,
        request: AnyRequest,
        tag: TagPath,
        namespace: Namespace = None,
        message: MessageQuery = None,
    ) -> Response[bytes]:
        """Apply an RFC 6902 or RFC 7396 patch to the version that the tag names."""
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in {JSON_PATCH, MERGE_PATCH}:
            raise UnsupportedMediaType(given, [JSON_PATCH, MERGE_PATCH])
        body = await read_body(request, self._body_bytes_max)
        # A value stands two levels deeper in a patch than in the document that it is put into.
        document = await offloaded(
            lambda: parse(body, bytes_max=len(body), kind="patch", depth_max=PATCH_DEPTH_MAX),
            len(body),
        )

        async def make(_: Connection, head: Head) -> Callable[[], Revision]:
            return lambda: self._patched(head, given, document)

        return await self._change(request, tag, namespace, body, message, make)

    def _patched(self, head: Head, media_type: str, document: JSONValue) -> Revision:
        content = head.version.content
        if media_type == JSON_PATCH:
            operations = parse_operations(document, operations_max=self._operations_max)
            return patched(content, operations, self._rules)
        changes = merge_patch_operations(parsed(content), document)
        if not changes:
            raise InvalidInput.at("", "operations-min", "The merge patch changes nothing.")
        if len(changes) > self._operations_max:
            message = (
                f"A patch has at most {self._operations_max} operations; this merge patch "
                f"amounts to {len(changes)}."
            )
            raise InvalidInput.at("", "operations-max", message)
        return patched(content, changes, self._rules)

    async def cherry_pick(
        self, request: AnyRequest, tag: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Make the change that made a version again, on what the tag names."""
        body = await read_json_body(request, SMALL_BODY_BYTES_MAX)
        data = decode(body, CherryPick)
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        picked = parse_reference(data.version, tag=name, pointer="/version")
        origins: list[Origin] = []

        async def make(conn: Connection, head: Head) -> Callable[[], Revision]:
            theirs = await self._versions.get(conn, space, picked)
            base = await self._versions.get_before(conn, space, theirs, picked)
            picked_id = theirs.artifact.artifact_id
            origins.append(Origin(parent_id=picked_id, relation=Relation.CHERRY_PICKED_FROM))
            return lambda: self._merged(base, head, theirs, data.prefer)

        return await self._change(request, tag, namespace, body, data.message, make, origins)

    async def revert(
        self, request: AnyRequest, tag: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Take back the change that made a version, wherever in the history it is."""
        body = await read_json_body(request, SMALL_BODY_BYTES_MAX)
        data = decode(body, Revert)
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        if (data.seq is None) == (data.version is None):
            raise InvalidInput.at("/seq", "one-of", "Name either a seq or a version.")
        origins: list[Origin] = []

        async def make(conn: Connection, head: Head) -> Callable[[], Revision]:
            wanted: Reference | None = None
            if data.version is not None:
                wanted = parse_reference(data.version, tag=name, pointer="/version")
                reverted = await self._versions.get(conn, space, wanted)
            else:
                reverted = await self._versions.get_at_seq(
                    conn, space, head.version.artifact, data.seq or 0
                )
            before = await self._versions.get_before(conn, space, reverted, wanted)
            reverted_id = reverted.artifact.artifact_id
            origins.append(Origin(parent_id=reverted_id, relation=Relation.REVERT_OF))
            return lambda: self._merged(reverted, head, before, data.prefer)

        return await self._change(request, tag, namespace, body, data.message, make, origins)

    def _merged(self, base: Version, head: Head, theirs: Version, prefer: Side | None) -> Revision:
        return merged(
            base.content, head.version.content, theirs.content, self._rules, prefer=prefer
        )

    async def _change(
        self,
        request: AnyRequest,
        tag: str,
        namespace: str | None,
        body: bytes,
        message: str | None,
        make: Callable[[Connection, Head], Awaitable[Callable[[], Revision]]],
        origins: Sequence[Origin] = (),
    ) -> Response[bytes]:
        """Read the head, compute the revision, store it if the tag is still there."""
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        message = checked_message(message)
        precondition = workflow_precondition(request)
        call = idempotent_call(request, body)
        try:
            with hash_guard(precondition, name):
                async with self._database.connection() as conn:
                    if kept := await self._idempotency.find(conn, call):
                        return respond(kept)
                    head = await self._head(conn, space, name, precondition)
                    compute = await make(conn, head)
                size = len(head.version.content) + len(body)
                revision = await offloaded(compute, size)
                async with self._database.transaction() as conn:
                    if kept := await self._idempotency.claim(conn, call):
                        return respond(kept)
                    changed = await self._versions.store_patch(
                        conn,
                        head,
                        revision,
                        by=actor_of(request),
                        message=message,
                        origins=origins,
                    )
                    result = changed_body(changed)
                    answer = json_answer(result, headers={"ETag": etag(result.version_hash)})
                    await self._idempotency.remember(conn, call, answer)
        except DomainError:
            kept = await kept_meanwhile(self._database, self._idempotency, call)
            if kept is None:
                raise
            return respond(kept)
        return respond(answer)

    async def _head(
        self, conn: Connection, namespace: str, tag: str, precondition: HashPrecondition
    ) -> Head:
        head = await self._versions.get_head(conn, namespace, tag)
        precondition.check(tag, head.tag_version, head.version.artifact.version_hash)
        return head

    # --------------------------------------------------------------------------------- chains

    async def list_versions(
        self,
        request: AnyRequest,
        tag: TagPath,
        namespace: Namespace = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response[bytes]:
        """The chain below the tag, newest first: who made each version, when and how."""
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        start: UUID | None = after(cursor, UUID, None)
        async with self._database.connection() as conn:
            top = await self._versions.find(conn, space, Reference(text=name, tag=name))
            if start is not None:
                at = Reference(text=str(start), artifact_id=start)
                top = await self._versions.find(conn, space, at)
            found = await self._versions.list_versions(conn, space, top, limit=limit + 1)
        items = [version_item(each) for each in found[:limit]]
        following = encoded(found[limit].artifact_id) if len(found) > limit else None
        return respond(json_answer(Page[VersionItem](items, following)))

    async def get_version(
        self,
        request: AnyRequest,
        tag: TagPath,
        seq: SeqPath,
        namespace: Namespace = None,
    ) -> Response[bytes]:
        """The workflow at a position of the chain: 0 is the base, n the n-th patch on it."""
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        position = parse_seq(segment(seq))
        async with self._database.connection() as conn:
            head = await self._versions.get_head(conn, space, name)
            version = await self._versions.get_at_seq(conn, space, head.version.artifact, position)
        item = version_item(version.artifact)
        if none_match(request, item.version_hash):
            return respond(not_modified({"ETag": etag(item.version_hash)}))
        body = spliced(item, "workflow", version.content)
        return respond(json_answer(body, headers={"ETag": etag(item.version_hash)}))

    async def compact(
        self, request: AnyRequest, tag: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """One version equal to the chain's head; the chain stays, the tag moves if asked."""
        space, name = namespace_of(request, namespace), tag_in_path(tag)
        body = await read_json_body(request, SMALL_BODY_BYTES_MAX)
        data = decode(body, CompactWorkflow)
        message, by = checked_message(data.message), actor_of(request)
        precondition = workflow_precondition(request)
        call = idempotent_call(request, body)
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return respond(kept)
            with hash_guard(precondition, name):
                head = await self._head(conn, space, name, precondition)
                artifact, created = await self._versions.compact(conn, head, by=by)
                change: TagChange | None = None
                if data.move:
                    change = await self._versions.move(conn, head, artifact, by=by, message=message)
            result = CompactedBody(
                artifact_id=artifact.artifact_id,
                version_hash=str(artifact.version_hash),
                compacted_from=head.version.artifact.artifact_id,
                original_depth=head.version.artifact.depth,
                created=created,
                tag=name,
                tag_version=change.tag.version if change else head.tag_version,
                moved=change is not None,
            )
            answer = json_answer(result)
            await self._idempotency.remember(conn, call, answer)
        return respond(answer)


def parse_seq(text: str) -> int:
    """A position in a chain."""
    if not (text.isascii() and text.isdecimal() and len(text) <= SEQ_DIGITS_MAX):
        raise InvalidInput.at("/seq", "range", "A position in a chain is a number from 0 on.")
    return int(text)
