"""HTTP for tags: reads requests, opens transactions, calls the tag and artifact services itself."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from litestar import Response

from orchestrator.core.batching import Batcher
from orchestrator.core.database import Connection, Database
from orchestrator.errors import DomainError, InvalidInput, NotFound, accepted
from orchestrator.handlers.http.direct import Asked
from orchestrator.handlers.http.paging import Cursor, Limit, Page, after, page_of, tag_after
from orchestrator.handlers.http.precondition import none_match, precondition_guard, tag_precondition
from orchestrator.handlers.http.problem import AnyRequest, respond
from orchestrator.handlers.http.reading import (
    SMALL_BODY_BYTES_MAX,
    Namespace,
    TagPath,
    TagTime,
    TagVersion,
    actor_of,
    checked_message,
    decode,
    idempotent_call,
    namespace_of,
    parse_id,
    read_json_body,
    tag_in_path,
    time_travel,
)
from orchestrator.handlers.http.replying import etag, json_answer, not_modified
from orchestrator.handlers.tag_body import (
    MoveTag,
    PutTag,
    StepTag,
    TagBody,
    TagItem,
    Version,
    deleted_body,
    tag_answer,
    tag_body,
    tag_item,
)
from orchestrator.models.artifact import Artifact
from orchestrator.models.idempotency import Answer
from orchestrator.models.reference import Reference, parse_reference
from orchestrator.models.tag import Tag, TagChange, TagMove, TagOrder
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.idempotency import IdempotencyService
from orchestrator.service.tag import SEQ_MAX, TagService
from orchestrator.service.version import VersionService

#: Besides a length, what tells that a body comes.
HAS_BODY = {"content-type", "transfer-encoding"}


class TagHandler:
    """The focused tag resource: direct orchestration of tags and artifacts."""

    def __init__(
        self,
        database: Database,
        *,
        tags: TagService,
        artifacts: ArtifactService,
        versions: VersionService,
        idempotency: IdempotencyService,
        body_bytes_max: int,
    ) -> None:
        self._database = database
        self._tags = tags
        self._artifacts = artifacts
        self._versions = versions
        self._idempotency = idempotency
        self._body_bytes_max = body_bytes_max
        self._moves = Batcher(self._move_together, key=lambda order: (order.namespace, order.name))

    async def get(
        self,
        request: AnyRequest,
        name: TagPath,
        namespace: Namespace = None,
        version: TagVersion = None,
        at: TagTime = None,
    ) -> Response[bytes]:
        """What the tag names now, named at a version, or named at a time."""
        namespace, tag = namespace_of(request, namespace), tag_in_path(name)
        moment = time_travel(version, at)
        async with self._database.connection() as conn:
            if moment is not None:
                body = await self._past(conn, namespace, tag, moment)
            else:
                body = await self._current(conn, namespace, tag)
        if none_match(request, str(body.version)):
            return respond(not_modified({"ETag": etag(body.version)}))
        return respond(json_answer(body, headers={"ETag": etag(body.version)}))

    async def put(
        self, request: AnyRequest, name: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Create or move: 201 when the tag was created, 200 otherwise."""
        namespace, tag = namespace_of(request, namespace), tag_in_path(name)
        data = decode(await read_json_body(request, SMALL_BODY_BYTES_MAX), PutTag)
        source, message = _source(tag, data), checked_message(data.message)
        precondition = tag_precondition(request)
        async with self._database.transaction() as conn:
            artifact = await self._versions.find(conn, namespace, source, locked=True)
            with precondition_guard(precondition):
                order = TagOrder(
                    namespace=namespace,
                    name=tag,
                    target_id=artifact.artifact_id,
                    message=message,
                    by=actor_of(request),
                    condition=precondition.condition,
                )
                (outcome,) = await self._tags.put(conn, [order])
                change = accepted(outcome)
        return respond(tag_answer(change))

    async def delete(
        self, request: AnyRequest, name: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Free the name; its history and what it named stay."""
        namespace, tag = namespace_of(request, namespace), tag_in_path(name)
        precondition = tag_precondition(request)
        async with self._database.transaction() as conn:
            with precondition_guard(precondition):
                order = TagOrder(
                    namespace=namespace,
                    name=tag,
                    by=actor_of(request),
                    condition=precondition.on_existing,
                )
                change = await self._tags.delete(conn, order)
        return respond(json_answer(deleted_body(change.tag)))

    async def move(
        self, request: AnyRequest, name: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Move a tag that exists; a stale `expected_version` is 409 and changes nothing."""
        return respond(await self.move_directly(request, name, namespace))

    async def move_directly(self, request: Asked, name: str, namespace: str | None) -> Answer:
        """The same. Moves that come together, of one version at most each, are one commit."""
        namespace, tag = namespace_of(request, namespace), tag_in_path(name)
        body = await read_json_body(request, SMALL_BODY_BYTES_MAX)
        data = decode(body, MoveTag)
        target_id = parse_id(data.artifact_id, "/artifact_id")
        message = checked_message(data.message)
        precondition = tag_precondition(request, data.expected_version)
        call = idempotent_call(request, body)
        order = TagOrder(
            namespace=namespace,
            name=tag,
            target_id=target_id,
            message=message,
            by=actor_of(request),
            condition=precondition.on_existing,
        )
        if call is None and precondition.header is None:
            return tag_answer(await self._moves(order))
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return kept
            with precondition_guard(precondition):
                change = await self._tags.move(conn, order)
            answer = tag_answer(change)
            await self._idempotency.remember(conn, call, answer)
        return answer

    async def _move_together(self, orders: Sequence[TagOrder]) -> list[TagChange | DomainError]:
        async with self._database.write() as conn:
            return await self._tags.put(conn, orders)

    async def undo(
        self, request: AnyRequest, name: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Back to where the tag was moved from; 409 at its first target."""
        return await self._step(request, name, namespace, self._tags.undo)

    async def redo(
        self, request: AnyRequest, name: TagPath, namespace: Namespace = None
    ) -> Response[bytes]:
        """Forward to the newest move made from here; 409 when nothing was undone."""
        return await self._step(request, name, namespace, self._tags.redo)

    async def _step(
        self,
        request: AnyRequest,
        name: str,
        namespace: str | None,
        step: Callable[[Connection, TagOrder], Awaitable[TagChange]],
    ) -> Response[bytes]:
        namespace, tag = namespace_of(request, namespace), tag_in_path(name)
        body = b"{}"
        if request.headers.get("content-length", "0") != "0" or HAS_BODY & request.headers.keys():
            body = await read_json_body(request, SMALL_BODY_BYTES_MAX) or b"{}"
        data = decode(body, StepTag)
        message = checked_message(data.message)
        precondition = tag_precondition(request, data.expected_version)
        call = idempotent_call(request, body)
        async with self._database.transaction() as conn:
            if kept := await self._idempotency.claim(conn, call):
                return respond(kept)
            with precondition_guard(precondition):
                order = TagOrder(
                    namespace=namespace,
                    name=tag,
                    message=message,
                    by=actor_of(request),
                    condition=precondition.on_existing,
                )
                change = await step(conn, order)
            answer = tag_answer(change)
            await self._idempotency.remember(conn, call, answer)
        return respond(answer)

    async def history(
        self,
        request: AnyRequest,
        name: TagPath,
        namespace: Namespace = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response[bytes]:
        """Every move of the name, newest first; also of a tag that was deleted."""
        namespace, tag = namespace_of(request, namespace), tag_in_path(name)
        before = after(cursor, Version, SEQ_MAX)
        async with self._database.connection() as conn:
            moves = await self._tags.history(conn, namespace, tag, before=before, limit=limit + 1)
        items, following = page_of(moves, limit, lambda move: move.seq)
        return respond(json_answer(Page[TagMove](items, following)))

    async def list_tags(
        self,
        request: AnyRequest,
        namespace: Namespace = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response[bytes]:
        """The tags of a namespace by name."""
        namespace = namespace_of(request, namespace)
        start = tag_after(cursor)
        async with self._database.connection() as conn:
            tags = await self._tags.list_by_name(conn, namespace, after=start, limit=limit + 1)
        shown, following = page_of(tags, limit, lambda tag: tag.name)
        return respond(json_answer(Page[TagItem]([tag_item(tag) for tag in shown], following)))

    async def _artifact_of(self, conn: Connection, tag: Tag) -> Artifact:
        if tag.target_id is None:
            raise NotFound("tag", tag.name)
        return await self._artifacts.get_by_id(conn, tag.namespace, tag.target_id)

    async def _current(self, conn: Connection, namespace: str, name: str) -> TagBody:
        tag = await self._tags.get(conn, namespace, name)
        return tag_body(tag, await self._artifact_of(conn, tag))

    async def _past(
        self, conn: Connection, namespace: str, name: str, moment: int | datetime
    ) -> TagBody:
        if isinstance(moment, int):
            move = await self._tags.at_version(conn, namespace, name, moment)
        else:
            move = await self._tags.at_time(conn, namespace, name, moment)
        if move.to_id is None:
            raise NotFound("tag", name)
        artifact = await self._artifacts.get_by_id(conn, namespace, move.to_id)
        return TagBody(
            namespace=namespace,
            name=name,
            version=move.seq,
            artifact_id=artifact.artifact_id,
            kind=artifact.kind,
            version_hash=str(artifact.version_hash) if artifact.version_hash else None,
            message=move.message,
            moved_by=move.moved_by,
            moved_at=move.moved_at,
        )


def _source(tag: str, data: PutTag) -> Reference:
    if (data.artifact_id is None) == (data.from_ is None):
        raise InvalidInput.at("/artifact_id", "one-of", "Name either an artifact_id or a from.")
    if data.artifact_id is not None:
        wanted = parse_id(data.artifact_id, "/artifact_id")
        return Reference(text=data.artifact_id, artifact_id=wanted)
    return parse_reference(data.from_ or "", tag=tag, pointer="/from")
