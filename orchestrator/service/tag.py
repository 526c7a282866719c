"""Rules of tags: no HTTP, no SQL, no transaction opened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from orchestrator.core.database import Connection
from orchestrator.errors import DomainError, NotFound, VersionConflict, accepted
from orchestrator.errors_change import MovedTag, NothingToRedo, NothingToUndo, TagsMoved
from orchestrator.models.tag import (
    ALWAYS,
    SEQ_MAX,
    Action,
    Condition,
    Landing,
    Step,
    Tag,
    TagChange,
    TagMove,
    TagOrder,
    TagReference,
    TagStanding,
)
from orchestrator.models.tag_search import NamedMove
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_move import TagMoveRepository
from orchestrator.repository.tag_step import TagStepRepository
from orchestrator.service.tag_outcome import (
    changed_meanwhile,
    locked_of,
    outcome_of,
    tell_changed,
)

#: A tag that is absent cannot be locked: others may create and delete it in turns.
ATTEMPTS = 3


class TagService:
    """Every change is one recorded move; a write that would change nothing records nothing.

    Of many orders that expect the same version of a tag exactly one is carried out.
    """

    def __init__(
        self, tags: TagRepository, moves: TagMoveRepository, steps: TagStepRepository
    ) -> None:
        self._tags = tags
        self._moves = moves
        self._steps = steps

    async def put(
        self, conn: Connection, orders: Sequence[TagOrder], transaction_id: UUID | None = None
    ) -> list[TagChange | DomainError]:
        """Create, move, delete, undo or redo, as each order says, and why not; each tag at most
        once.

        One statement: an order is refused for what it found behind the lock of its tag. A tag that
        was absent could not be locked; if it appeared meanwhile, its order is tried again. Steps
        go on from the tags that it has locked.
        """
        outcomes: dict[int, TagChange | DomainError] = {}
        locked: dict[int, Tag] = {}
        for _ in range(ATTEMPTS):
            left = [at for at in range(len(orders)) if at not in outcomes and at not in locked]
            if not left:
                break
            tried = await self._tags.put(conn, [orders[at] for at in left], transaction_id)
            for at, found in zip(left, tried, strict=True):
                if orders[at].step is not None:
                    tag = locked_of(orders[at], found)
                    if isinstance(tag, Tag):
                        locked[at] = tag
                    else:
                        outcomes[at] = tag
                elif (outcome := outcome_of(conn, orders[at], found)) is not None:
                    outcomes[at] = outcome
        if locked:
            wanted = [(orders[at], tag) for at, tag in locked.items()]
            outcomes |= zip(locked, await self._walk(conn, wanted, transaction_id), strict=True)
        return [outcomes.get(at) or changed_meanwhile(order) for at, order in enumerate(orders)]

    async def move_together(
        self, conn: Connection, orders: Sequence[TagOrder], *, wait: bool
    ) -> list[TagChange | DomainError | None]:
        """`put` for tags that must exist, as each order says, of requests that share a statement.

        If somebody else has a tag locked, or what it is to name, that is waited for for a moment,
        and then fails the statement. Without `wait` the outcome of such an order is None.
        """
        put = self._tags.put_briefly if wait else self._tags.put_unlocked
        tried = await put(conn, orders)
        return [outcome_of(conn, *each) for each in zip(orders, tried, strict=True)]

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
        """Back to where the current position was moved from, itself a recorded move; a tag that
        was deleted is there again.
        """
        return await self._put_one(conn, replace(order, step=Action.UNDO))

    async def redo(self, conn: Connection, order: TagOrder) -> TagChange:
        """Forward to the newest move made from here, itself a recorded move."""
        return await self._put_one(conn, replace(order, step=Action.REDO))

    async def _walk(
        self,
        conn: Connection,
        wanted: Sequence[tuple[TagOrder, Tag]],
        transaction_id: UUID | None,
    ) -> list[TagChange | DomainError]:
        """Undo and redo of tags that are locked: one statement to find where each kind leads."""
        landings: list[Landing | None] = [None] * len(wanted)
        for step, find in (
            (Action.UNDO, self._steps.list_undo),
            (Action.REDO, self._steps.list_redo),
        ):
            places = [at for at, (order, _) in enumerate(wanted) if order.step is step]
            if places:
                found = await find(conn, [wanted[at][1] for at in places])
                for at, landing in zip(places, found, strict=True):
                    landings[at] = landing
        steps = {
            at: Step(tag=tag, landing=landing, order=order)
            for at, ((order, tag), landing) in enumerate(zip(wanted, landings, strict=True))
            if landing is not None
        }
        changes = await self._step(conn, list(steps.values()), transaction_id)
        done = dict(zip(steps, changes, strict=True))
        return [done.get(at) or _nothing(*each) for at, each in enumerate(wanted)]

    async def _step(
        self, conn: Connection, steps: Sequence[Step], transaction_id: UUID | None
    ) -> list[TagChange]:
        """All of them: their tags are locked."""
        if not steps:
            return []
        changes = await self._steps.step(conn, steps, transaction_id)
        for step, change in zip(steps, changes, strict=True):
            tell_changed(conn, change.tag, by=step.order.by)
        return changes

    # ----------------------------------------------------------------------------- transactions

    async def take_back(
        self,
        conn: Connection,
        moves: Sequence[NamedMove],
        like: TagOrder,
        expected: Mapping[str, int],
        transaction_id: UUID,
    ) -> list[TagChange]:
        """Return each tag to where it stood before its move.

        If some have moved since, or are not at the expected version, nothing is done, and TagsMoved
        names all of these. `like` has the namespace, message and actor for all of them.
        """
        orders = [
            replace(
                like,
                name=move.name,
                step=Action.DELETE if move.from_id is None else Action.UNDO,
            )
            for move in moves
        ]
        found = await self._tags.put(conn, orders)
        tags = [each.tag for each in found if each is not None and each.tag is not None]
        elsewhere = [
            MovedTag(tag.name, move.seq, tag.version, tag.target_id)
            for move, tag in zip(moves, tags, strict=True)
            if not _stands_at(tag, move) or expected.get(tag.name, tag.version) != tag.version
        ]
        if elsewhere:
            raise TagsMoved(elsewhere)
        steps = [
            Step(
                tag=tag,
                landing=Landing(seq=move.parent_seq, target_id=move.from_id),
                order=order,
            )
            for order, tag, move in zip(orders, tags, moves, strict=True)
        ]
        return await self._step(conn, steps, transaction_id)

    # ----------------------------------------------------------------------------------- reads

    async def get(self, conn: Connection, namespace: str, name: str) -> Tag:
        """NotFound when there is none."""
        tag = await self._tags.get(conn, namespace, name)
        if tag is None:
            raise NotFound("tag", name)
        return tag

    async def get_standing(self, conn: Connection, namespace: str, name: str) -> TagStanding:
        """A tag with its target, and where undo and redo would lead; NotFound if there is none."""
        standing = await self._steps.get_standing(conn, namespace, name)
        if standing is None:
            raise NotFound("tag", name)
        return standing

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


def _nothing(order: TagOrder, tag: Tag) -> DomainError:
    """A step that leads nowhere."""
    refusal = NothingToUndo if order.step is Action.UNDO else NothingToRedo
    return refusal(order.name, tag.version)


def _stands_at(tag: Tag, move: TagMove) -> bool:
    """Whether a tag is as the move left it. A create or a move may have been left since, and
    stood on again; what is no node of the tree must have been the last.
    """
    if move.action in {Action.CREATE, Action.MOVE}:
        return tag.cursor == move.seq and tag.target_id is not None
    return tag.version == move.seq
