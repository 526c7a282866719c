"""Rules of tags: no HTTP, no SQL, no transaction opened."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from orchestrator.core.database import Connection
from orchestrator.errors import (
    AlreadyExists,
    Contended,
    Current,
    DomainError,
    NotFound,
    NothingToRedo,
    NothingToUndo,
    VersionConflict,
    accepted,
)
from orchestrator.models.principal import Actor
from orchestrator.models.tag import (
    ALWAYS,
    SEQ_MAX,
    Action,
    Condition,
    FoundTag,
    Landing,
    Tag,
    TagChange,
    TagMove,
    TagOrder,
    TagReference,
)
from orchestrator.models.tag_search import NamedMove
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_move import TagMoveRepository
from orchestrator.telemetry import metrics
from orchestrator.telemetry.after_commit import tell

#: A tag that is absent cannot be locked: others may create and delete it in turns.
ATTEMPTS = 3


class TagService:
    """Every change is one recorded move; a write that would change nothing records nothing.

    Of many orders that expect the same version of a tag exactly one is carried out.
    """

    def __init__(self, tags: TagRepository, moves: TagMoveRepository) -> None:
        self._tags = tags
        self._moves = moves

    async def put(
        self, conn: Connection, orders: Sequence[TagOrder]
    ) -> list[TagChange | DomainError]:
        """Create, move or delete, as each order says, and why not; each tag at most once.

        One statement: an order is refused for what it found behind the lock of its tag. A tag that
        was absent could not be locked; if it appeared meanwhile, its order is tried again.
        """
        outcomes: dict[int, TagChange | DomainError] = {}
        for _ in range(ATTEMPTS):
            left = [at for at in range(len(orders)) if at not in outcomes]
            if not left:
                break
            tried = await self._tags.put(conn, [orders[at] for at in left])
            for at, found in zip(left, tried, strict=True):
                if (outcome := _outcome(conn, orders[at], found)) is not None:
                    outcomes[at] = outcome
        return [outcomes.get(at) or _changed_meanwhile(order) for at, order in enumerate(orders)]

    async def move_together(
        self, conn: Connection, orders: Sequence[TagOrder], *, wait: bool
    ) -> list[TagChange | DomainError | None]:
        """`put` for tags that must exist, as each order says, of requests that share a statement.

        If somebody else has a tag locked, or what it is to name, that is waited for for a moment,
        and then fails the statement. Without `wait` the outcome of such an order is None.
        """
        put = self._tags.put_briefly if wait else self._tags.put_unlocked
        tried = await put(conn, orders)
        return [_outcome(conn, *each) for each in zip(orders, tried, strict=True)]

    # --------------------------------------------------------------------------------- one tag

    async def create(self, conn: Connection, order: TagOrder) -> TagChange:
        """AlreadyExists when there is such a tag, whatever it names."""
        return await self._put_one(conn, replace(order, condition=Condition(absent=True)))

    async def create_or_move(self, conn: Connection, order: TagOrder) -> TagChange:
        """Of concurrent first creates one creates and the others move."""
        return await self._put_one(conn, replace(order, condition=ALWAYS))

    async def move(self, conn: Connection, order: TagOrder) -> TagChange:
        """NotFound when there is no such tag, VersionConflict when it is at another version."""
        condition = Condition(exists=True, versions=order.condition.versions)
        return await self._put_one(conn, replace(order, condition=condition))

    async def compare_and_swap(self, conn: Connection, order: TagOrder) -> bool:
        """False and nothing changed when stale; anything else that is wrong raises."""
        try:
            await self.move(conn, order)
        except VersionConflict:
            return False
        return True

    async def delete(self, conn: Connection, order: TagOrder) -> TagChange:
        """The name is free again, its history and what it named stay."""
        return await self._put_one(conn, replace(order, target_id=None))

    async def _put_one(self, conn: Connection, order: TagOrder) -> TagChange:
        (outcome,) = await self.put(conn, [order])
        return accepted(outcome)

    async def undo(self, conn: Connection, order: TagOrder) -> TagChange:
        """Back to where the current position was moved from, itself a recorded move."""
        tag, cursor = await self._locked(conn, order)
        landing = await self._moves.get_undo(conn, order.namespace, order.name, cursor)
        if landing is None:
            raise NothingToUndo(order.name, tag.version)
        return await self._step(conn, tag, landing, Action.UNDO, order)

    async def redo(self, conn: Connection, order: TagOrder) -> TagChange:
        """Forward to the newest move made from here, itself a recorded move."""
        tag, cursor = await self._locked(conn, order)
        landing = await self._moves.get_redo(conn, order.namespace, order.name, cursor)
        if landing is None:
            raise NothingToRedo(order.name, tag.version)
        return await self._step(conn, tag, landing, Action.REDO, order)

    async def _locked(self, conn: Connection, order: TagOrder) -> tuple[Tag, int]:
        tag = await self._tags.get_for_update(conn, order.namespace, order.name)
        if tag is None or tag.cursor is None:
            raise NotFound("tag", order.name)
        if (refusal := _conflict(order, tag)) is not None:
            raise refusal
        return tag, tag.cursor

    async def _step(
        self, conn: Connection, tag: Tag, landing: Landing, action: Action, order: TagOrder
    ) -> TagChange:
        change = await self._tags.step(conn, tag, landing, action, order)
        if change is None:
            raise _changed_meanwhile(order)
        tell_changed(conn, change.tag, by=order.by)
        return change

    # ----------------------------------------------------------------------------------- reads

    async def get(self, conn: Connection, namespace: str, name: str) -> Tag:
        """NotFound when there is none."""
        tag = await self._tags.get(conn, namespace, name)
        if tag is None:
            raise NotFound("tag", name)
        return tag

    async def history(
        self, conn: Connection, namespace: str, name: str, *, before: int = SEQ_MAX, limit: int
    ) -> list[NamedMove]:
        """A page of moves, newest first; a deleted tag still has them."""
        moves = await self._moves.list_moves(conn, namespace, name, before, limit)
        if not moves and before == SEQ_MAX:
            raise NotFound("tag", name)
        return moves

    async def at_version(
        self, conn: Connection, namespace: str, name: str, version: int
    ) -> TagMove:
        """The move that made this version."""
        return self._existed(await self._moves.get_move(conn, namespace, name, version), name)

    async def at_time(self, conn: Connection, namespace: str, name: str, at: datetime) -> TagMove:
        """The move that counted at this time."""
        return self._existed(await self._moves.get_move_at(conn, namespace, name, at), name)

    async def list_by_target(
        self, conn: Connection, namespace: str, target_id: UUID, *, after: str = "", limit: int
    ) -> list[TagReference]:
        """A page of the tags that name an artifact or ever did."""
        return await self._moves.list_by_target(conn, namespace, target_id, after, limit)

    async def has_named(
        self, conn: Connection, namespace: str, name: str, artifact_ids: Sequence[UUID]
    ) -> bool:
        """Whether the tag names one of these or ever did."""
        return await self._moves.get_named(conn, namespace, name, artifact_ids) is not None

    @staticmethod
    def _existed(move: TagMove | None, name: str) -> TagMove:
        if move is None or move.to_id is None:
            raise NotFound("tag", name)
        return move


_EVENTS = {
    Action.CREATE: "created tag",
    Action.MOVE: "moved tag",
    Action.UNDO: "undid tag move",
    Action.REDO: "redid tag move",
    Action.DELETE: "deleted tag",
}


def _outcome(
    conn: Connection, order: TagOrder, found: TagChange | FoundTag | None
) -> TagChange | DomainError | None:
    """What an order changed, or why nothing; None if it must be tried again."""
    if isinstance(found, TagChange):
        tell_changed(conn, found.tag, by=order.by)
        return found
    return _unchanged(order, found)


def _unchanged(order: TagOrder, found: FoundTag | None) -> TagChange | DomainError | None:
    """Why an order changed nothing; None if it can be carried out now."""
    if found is None:
        return NotFound("artifact", str(order.target_id))
    if found.is_locked:
        return None
    tag = None if found.tag is None or found.tag.target_id is None else found.tag
    if tag is None:
        must_exist = order.condition.exists or order.target_id is None
        return NotFound("tag", order.name) if must_exist else None
    if order.condition.absent:
        return AlreadyExists("tag", order.name, _current(tag))
    if (conflict := _conflict(order, tag)) is not None:
        return conflict
    is_there = tag.target_id == order.target_id
    return TagChange(tag=tag, action=None, target=found.target) if is_there else None


def _conflict(order: TagOrder, tag: Tag) -> VersionConflict | None:
    expected = order.condition.versions
    if expected is None or tag.version in expected:
        return None
    return VersionConflict("tag", tag.name, max(expected, default=0), _current(tag))


def _current(tag: Tag) -> Current:
    return Current(tag.version, artifact_id=str(tag.target_id))


def _changed_meanwhile(order: TagOrder) -> Contended:
    """What was not carried out is never acknowledged."""
    return Contended(f"The tag {order.name!r} changed meanwhile.")


def tell_changed(conn: Connection, tag: Tag, *, by: Actor) -> None:
    """What its last move did to a tag."""
    tell(
        conn,
        _EVENTS[tag.action],
        metrics.TAG_CHANGES.labels(tag.action).inc,
        by=by,
        namespace=tag.namespace,
        tag=tag.name,
        version=tag.version,
        artifact_id=None if tag.target_id is None else str(tag.target_id),
    )
