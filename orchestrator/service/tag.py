"""Rules of tags: no HTTP, no SQL, no transaction opened."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.errors import (
    AlreadyExists,
    Current,
    NotFound,
    NothingToRedo,
    NothingToUndo,
    StorageUnavailable,
    VersionConflict,
)
from orchestrator.models.principal import Actor
from orchestrator.models.tag import (
    ALWAYS,
    Action,
    Condition,
    Landing,
    Tag,
    TagChange,
    TagMove,
    TagReference,
)
from orchestrator.repository.tag import TagRepository
from orchestrator.telemetry import metrics
from orchestrator.telemetry.after_commit import tell

#: After the last seq, for pages.
SEQ_MAX = 2**63 - 1


class TagService:
    """Every change is one recorded move; a write that would change nothing records nothing.

    `expected` is the set of versions at which the tag may be; None accepts any. Of many that
    expect the same version exactly one wins.
    """

    def __init__(self, tags: TagRepository) -> None:
        self._tags = tags

    async def create(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        by: Actor,
        message: str | None = None,
    ) -> TagChange:
        """AlreadyExists when there is such a tag, whatever it names."""
        tag = await self._tags.put(
            conn, namespace, name, target_id, moved_by=by.name, message=message, only_create=True
        )
        if tag is None:
            current = await self.get(conn, namespace, name)
            raise AlreadyExists("tag", name, _current(current))
        return _changed(conn, tag, by)

    async def create_or_move(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        by: Actor,
        message: str | None = None,
    ) -> TagChange:
        """One upsert: of concurrent first creates one creates and the others move."""
        tag = await self._tags.put(
            conn, namespace, name, target_id, moved_by=by.name, message=message
        )
        if tag is None:
            return TagChange(tag=await self.get(conn, namespace, name), action=None)
        return _changed(conn, tag, by)

    async def move(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        by: Actor,
        message: str | None = None,
        expected: Collection[int] | None = None,
    ) -> TagChange:
        """NotFound when there is no such tag, VersionConflict when it is at another version."""

        async def attempt() -> Tag | None:
            return await self._tags.compare_and_swap(
                conn,
                namespace,
                name,
                target_id,
                moved_by=by.name,
                message=message,
                expected=expected,
            )

        tag = await attempt()
        if tag is None:
            current = await self._refused(conn, namespace, name, expected)
            if current.target_id == target_id:
                return TagChange(tag=current, action=None)
            tag = await attempt()
        return _changed(conn, _moved(tag, name), by)

    async def put(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        target_id: UUID,
        *,
        by: Actor,
        message: str | None = None,
        condition: Condition = ALWAYS,
    ) -> TagChange:
        """Create, move, or whichever fits, as the condition says."""
        if condition.absent:
            return await self.create(conn, namespace, name, target_id, by=by, message=message)
        if condition.exists:
            versions = condition.versions
            return await self.move(
                conn, namespace, name, target_id, by=by, message=message, expected=versions
            )
        return await self.create_or_move(conn, namespace, name, target_id, by=by, message=message)

    async def compare_and_swap(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        expected_version: int,
        target_id: UUID,
        *,
        by: Actor,
        message: str | None = None,
    ) -> bool:
        """False and nothing changed when stale; anything else that is wrong raises."""
        try:
            await self.move(
                conn,
                namespace,
                name,
                target_id,
                by=by,
                message=message,
                expected=(expected_version,),
            )
        except VersionConflict:
            return False
        return True

    async def undo(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        *,
        by: Actor,
        message: str | None = None,
        expected: Collection[int] | None = None,
    ) -> TagChange:
        """Back to where the current position was moved from, itself a recorded move."""
        tag, cursor = await self._locked(conn, namespace, name, expected)
        landing = await self._tags.get_undo(conn, namespace, name, cursor)
        if landing is None:
            raise NothingToUndo(name, tag.version)
        return await self._step(conn, tag, landing, Action.UNDO, by, message)

    async def redo(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        *,
        by: Actor,
        message: str | None = None,
        expected: Collection[int] | None = None,
    ) -> TagChange:
        """Forward to the newest move made from here, itself a recorded move."""
        tag, cursor = await self._locked(conn, namespace, name, expected)
        landing = await self._tags.get_redo(conn, namespace, name, cursor)
        if landing is None:
            raise NothingToRedo(name, tag.version)
        return await self._step(conn, tag, landing, Action.REDO, by, message)

    async def delete(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        *,
        by: Actor,
        message: str | None = None,
        expected: Collection[int] | None = None,
    ) -> TagChange:
        """The name is free again, its history and what it named stay."""

        async def attempt() -> Tag | None:
            return await self._tags.delete(
                conn, namespace, name, moved_by=by.name, message=message, expected=expected
            )

        tag = await attempt()
        if tag is None:
            await self._refused(conn, namespace, name, expected)
            tag = await attempt()
        return _changed(conn, _moved(tag, name), by)

    async def get(self, conn: Connection, namespace: str, name: str) -> Tag:
        """NotFound when there is none."""
        tag = await self._tags.get(conn, namespace, name)
        if tag is None:
            raise NotFound("tag", name)
        return tag

    async def list_by_name(
        self, conn: Connection, namespace: str, *, after: str = "", limit: int
    ) -> list[Tag]:
        """A page of tags in the order of their names."""
        return await self._tags.list_by_namespace(conn, namespace, after, limit)

    async def history(
        self, conn: Connection, namespace: str, name: str, *, before: int = SEQ_MAX, limit: int
    ) -> list[TagMove]:
        """A page of moves, newest first; a deleted tag still has them."""
        moves = await self._tags.list_moves(conn, namespace, name, before, limit)
        if not moves and before == SEQ_MAX:
            raise NotFound("tag", name)
        return moves

    async def at_version(
        self, conn: Connection, namespace: str, name: str, version: int
    ) -> TagMove:
        """The move that made this version."""
        return self._existed(await self._tags.get_move(conn, namespace, name, version), name)

    async def at_time(self, conn: Connection, namespace: str, name: str, at: datetime) -> TagMove:
        """The move that counted at this time."""
        return self._existed(await self._tags.get_move_at(conn, namespace, name, at), name)

    async def list_by_target(
        self, conn: Connection, namespace: str, target_id: UUID, *, after: str = "", limit: int
    ) -> list[TagReference]:
        """A page of the tags that name an artifact or ever did."""
        return await self._tags.list_by_target(conn, namespace, target_id, after, limit)

    @staticmethod
    def _existed(move: TagMove | None, name: str) -> TagMove:
        if move is None or move.to_id is None:
            raise NotFound("tag", name)
        return move

    async def _refused(
        self, conn: Connection, namespace: str, name: str, expected: Collection[int] | None
    ) -> Tag:
        """Why a write did not take place; the tag, locked, if it could take place now.

        Without the lock, a tag that arrives at the expected version between the write and the
        look would read as if the write had moved it.
        """
        current = await self._tags.get_for_update(conn, namespace, name)
        if current is None:
            raise NotFound("tag", name)
        _check_expected(current, expected)
        return current

    async def _locked(
        self, conn: Connection, namespace: str, name: str, expected: Collection[int] | None
    ) -> tuple[Tag, int]:
        tag = await self._tags.get_for_update(conn, namespace, name)
        if tag is None or tag.cursor is None:
            raise NotFound("tag", name)
        _check_expected(tag, expected)
        return tag, tag.cursor

    async def _step(
        self,
        conn: Connection,
        tag: Tag,
        landing: Landing,
        action: Action,
        by: Actor,
        message: str | None,
    ) -> TagChange:
        moved = await self._tags.step(conn, tag, landing, action, moved_by=by.name, message=message)
        return _changed(conn, _moved(moved, tag.name), by)


_EVENTS = {
    Action.CREATE: "created tag",
    Action.MOVE: "moved tag",
    Action.UNDO: "undid tag move",
    Action.REDO: "redid tag move",
    Action.DELETE: "deleted tag",
}


def _moved(tag: Tag | None, name: str) -> Tag:
    """A write on a row that is locked takes place; one that did not is never acknowledged."""
    if tag is None:
        raise StorageUnavailable(f"The tag {name!r} changed although it was locked.")
    return tag


def _changed(conn: Connection, tag: Tag, by: Actor) -> TagChange:
    tell_changed(conn, tag, by=by)
    return TagChange(tag=tag, action=tag.action)


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


def _check_expected(tag: Tag, expected: Collection[int] | None) -> None:
    if expected is not None and tag.version not in expected:
        raise VersionConflict("tag", tag.name, max(expected, default=0), _current(tag))


def _current(tag: Tag) -> Current:
    return Current(tag.version, artifact_id=str(tag.target_id))
