"""Outcomes of operations on tags: refusals, and what is reported of changes. No SQL, no HTTP."""

from orchestrator.core.database import Connection
from orchestrator.errors import (
    AlreadyExists,
    Contended,
    Current,
    DomainError,
    NotFound,
    VersionConflict,
)
from orchestrator.models.principal import Actor
from orchestrator.models.tag import Action, FoundTag, Tag, TagChange, TagOrder
from orchestrator.telemetry import metrics
from orchestrator.telemetry.after_commit import tell

_EVENTS = {
    Action.CREATE: "created tag",
    Action.MOVE: "moved tag",
    Action.UNDO: "undid tag move",
    Action.REDO: "redid tag move",
    Action.DELETE: "deleted tag",
}


def outcome_of(
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
        return AlreadyExists("tag", order.name, current_of(tag))
    if (conflict := conflict_of(order, tag)) is not None:
        return conflict
    is_there = tag.target_id == order.target_id
    return TagChange(tag=tag, action=None, target=found.target) if is_there else None


def locked_of(order: TagOrder, found: TagChange | FoundTag | None) -> Tag | DomainError:
    """The tag of a step, which may be deleted, or why the step is refused."""
    tag = found.tag if found is not None else None
    return NotFound("tag", order.name) if tag is None else conflict_of(order, tag) or tag


def conflict_of(order: TagOrder, tag: Tag) -> VersionConflict | None:
    """The refusal of an order that expects other versions."""
    expected = order.condition.versions
    if expected is None or tag.version in expected:
        return None
    return VersionConflict("tag", tag.name, max(expected, default=0), current_of(tag))


def current_of(tag: Tag) -> Current:
    """How the tag stands, for a refusal that says so."""
    return Current(tag.version, artifact_id=None if tag.target_id is None else str(tag.target_id))


def changed_meanwhile(order: TagOrder) -> Contended:
    """The refusal of an order that was not carried out because the tag changed meanwhile."""
    return Contended(f"The tag {order.name!r} changed meanwhile.")


def tell_changed(conn: Connection, tag: Tag, *, by: Actor) -> None:
    """Report what its last move did to a tag."""
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
