"""HTTP for tags: reads requests, opens transactions, calls the tag and artifact services itself."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from msgspec.structs import replace

from orchestrator.core.batching import Batcher
from orchestrator.core.database import Connection, Database
from orchestrator.errors import Current, DomainError, Locked, NotFound, accepted
from orchestrator.handlers.http.body import Version, decode
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed
from orchestrator.handlers.http.paging import Cursor, Limit, Page, after, page_of
from orchestrator.handlers.http.precondition import (
    Precondition,
    check_if_match,
    precondition_guard,
    tag_precondition,
    unchanged,
)
from orchestrator.handlers.http.reading import (
    SMALL_BODY_BYTES_MAX,
    ExpectedVersion,
    MessageQuery,
    TagPath,
    TagTime,
    TagVersion,
    checked_message,
    message_in_query,
    read_small,
    tag_in_path,
    time_travel,
)
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import IMMUTABLE, NONE, etag, json_answer
from orchestrator.handlers.tag_body import (
    HistoryItem,
    MoveTag,
    PutTag,
    StepTag,
    TagDetails,
    deleted_body,
    history_item,
    past_body,
    tag_answer,
    tag_details,
)
from orchestrator.handlers.transaction_request import read_source
from orchestrator.models.idempotency import Answer
from orchestrator.models.tag import SEQ_MAX, TagChange, TagOrder
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.tag import TagService
from orchestrator.service.version import VersionService

Step: TypeAlias = Callable[[Connection, TagOrder], Awaitable[TagChange]]


class TagHandler:
    """The focused tag resource: direct orchestration of tags and artifacts."""

    def __init__(
        self,
        database: Database,
        *,
        tags: TagService,
        artifacts: ArtifactService,
        versions: VersionService,
        replay: Replay,
    ) -> None:
        self._database = database
        self._tags = tags
        self._artifacts = artifacts
        self._versions = versions
        self._replay = replay
        self._moves = Batcher(
            self._move_together,
            alone=self._move_alone,
            key=lambda order: (order.namespace, order.name),
            wait_seconds_max=database.acquire_seconds_max,
        )

    async def get(
        self, call: Call, name: TagPath, version: TagVersion = None, at: TagTime = None
    ) -> Answer:
        """What the tag names now, named at a version, or named at a time."""
        tag, moment = tag_in_path(name), time_travel(version, at)
        async with self._database.connection() as conn:
            if moment is not None:
                body = await self._past(conn, call.namespace, tag, moment)
            else:
                body = await self._current(conn, call.namespace, tag)
        current = Current(body.version, artifact_id=str(body.artifact_id))
        check_if_match(call, str(body.version), "tag", tag, current)
        headers = IMMUTABLE if version is not None else NONE
        if (same := unchanged(call, str(body.version), headers)) is not None:
            return same
        return json_answer(body, headers={"ETag": etag(body.version), **headers})

    async def put(self, call: Call, name: TagPath) -> Answer:
        """Create or move: 201 when the tag was created, 200 otherwise."""
        tag = tag_in_path(name)
        data = decode(await call.read_json(SMALL_BODY_BYTES_MAX), PutTag)
        source = read_source(tag, data.artifact_id, data.from_)
        message = checked_message(data.message)
        precondition = tag_precondition(call)
        async with self._database.transaction(of=call.namespace) as conn:
            artifact = await self._versions.find(conn, call.namespace, source, locked=True)
            order = TagOrder(
                namespace=call.namespace,
                name=tag,
                target_id=artifact.artifact_id,
                message=message,
                by=call.by,
                condition=precondition.condition,
            )
            with precondition_guard(precondition):
                (outcome,) = await self._tags.put(conn, [order])
                change = accepted(outcome)
        return tag_answer(change)

    async def delete(
        self,
        call: Call,
        name: TagPath,
        message: MessageQuery = None,
        expected_version: ExpectedVersion = None,
    ) -> Answer:
        """Free the name; its history and what it named stay."""
        precondition = tag_precondition(call, expected_version)
        why = message_in_query(call, message)
        order = _order_on_existing(call, tag_in_path(name), precondition, why)
        async with self._database.transaction(of=call.namespace) as conn:
            with precondition_guard(precondition):
                change = await self._tags.delete(conn, order)
        return json_answer(deleted_body(change.tag))

    async def move(self, call: Call, name: TagPath) -> Answer:
        """Move a tag that exists; a stale `expected_version` is 409 and changes nothing."""
        tag = tag_in_path(name)
        body = await call.read_json(SMALL_BODY_BYTES_MAX)
        data = decode(body, MoveTag)
        source = read_source(tag, data.artifact_id, data.from_)
        message = checked_message(data.message)
        precondition = tag_precondition(call, data.expected_version)
        order = _order_on_existing(call, tag, precondition, message, source.artifact_id)
        repeated = call.idempotent(body)
        if repeated is None and precondition.header is None and source.artifact_id is not None:
            # Moves that come together are one commit.
            return tag_answer(await self._moves(order))

        async def make(conn: Connection) -> Answer:
            target_id = source.artifact_id
            if target_id is None:
                found = await self._versions.find(conn, call.namespace, source, locked=True)
                target_id = found.artifact_id
            with precondition_guard(precondition):
                return tag_answer(await self._tags.move(conn, replace(order, target_id=target_id)))

        return await self._replay.once(call, repeated, make)

    async def _move_together(
        self, orders: Sequence[TagOrder], deadline: float
    ) -> list[TagChange | DomainError | None]:
        try:
            async with self._database.write(deadline=deadline) as conn:
                return await self._tags.move_together(conn, orders, wait=True)
        except Locked:  # The others go without what is locked.
            async with self._database.write(deadline=deadline) as conn:
                return await self._tags.move_together(conn, orders, wait=False)

    async def _move_alone(self, order: TagOrder, deadline: float) -> TagChange:
        async with self._database.write(of=order.namespace, deadline=deadline) as conn:
            return await self._tags.move(conn, order)

    async def undo(self, call: Call, name: TagPath) -> Answer:
        """Back to where the tag was moved from; 409 at its first target."""
        return await self._step(call, name, self._tags.undo)

    async def redo(self, call: Call, name: TagPath) -> Answer:
        """Forward to the newest move made from here; 409 when nothing was undone."""
        return await self._step(call, name, self._tags.redo)

    async def _step(self, call: Call, name: str, step: Step) -> Answer:
        tag = tag_in_path(name)
        body = await read_small(call)
        data = decode(body, StepTag)
        message = checked_message(data.message)
        precondition = tag_precondition(call, data.expected_version)
        order = _order_on_existing(call, tag, precondition, message)

        async def make(conn: Connection) -> Answer:
            with precondition_guard(precondition):
                return tag_answer(await step(conn, order))

        return await self._replay.once(call, call.idempotent(body), make)

    async def history(
        self, call: Call, name: TagPath, limit: Limit = 100, cursor: Cursor = None
    ) -> Answer:
        """Every move of the name, newest first; also of a tag that was deleted."""
        tag, before = tag_in_path(name), after(cursor, Version, SEQ_MAX)
        async with self._database.connection() as conn:
            moves = await self._tags.history(
                conn, call.namespace, tag, before=before, limit=limit + 1
            )
        shown, following = page_of(moves, limit, lambda move: move.seq)
        return listed(call, Page[HistoryItem]([history_item(move) for move in shown], following))

    async def _current(self, conn: Connection, namespace: str, name: str) -> TagDetails:
        return tag_details(await self._tags.get_standing(conn, namespace, name))

    async def _past(
        self, conn: Connection, namespace: str, name: str, moment: int | datetime
    ) -> TagDetails:
        if isinstance(moment, int):
            move = await self._tags.at_version(conn, namespace, name, moment)
        else:
            move = await self._tags.at_time(conn, namespace, name, moment)
        if move.to_id is None:
            raise NotFound("tag", name)
        artifact = await self._artifacts.get_by_id(conn, namespace, move.to_id)
        return past_body(name, move, artifact)


def _order_on_existing(
    call: Call,
    name: str,
    precondition: Precondition,
    message: str | None = None,
    target_id: UUID | None = None,
) -> TagOrder:
    return TagOrder(
        namespace=call.namespace,
        name=name,
        target_id=target_id,
        message=message,
        by=call.by,
        condition=precondition.on_existing,
    )
