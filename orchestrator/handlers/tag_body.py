"""The bodies of tags over HTTP, and how they are made from tags; no requests are read here."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType, structs

from orchestrator.core.digest import CasId, CasIdText
from orchestrator.core.moment import Moment
from orchestrator.errors import NotFound
from orchestrator.handlers.http.body import MessageText, Version
from orchestrator.handlers.http.reply import etag, json_answer, location
from orchestrator.models.artifact import Artifact
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import IdText, NamespaceText, TagText
from orchestrator.models.reference import ReferenceText
from orchestrator.models.tag import (
    Action,
    Landing,
    Tag,
    TagChange,
    TagMove,
    TagStanding,
    TagTarget,
)
from orchestrator.models.tag_search import NamedMove, NamedTag


class PutTag(msgspec.Struct, forbid_unknown_fields=True):
    """Name this artifact, or what `from` names: another tag, a version of it, a hash."""

    artifact_id: IdText | None = None
    from_: ReferenceText | None = msgspec.field(name="from", default=None)
    message: MessageText | None = None


class MoveTag(msgspec.Struct, forbid_unknown_fields=True):
    """Name this artifact, or what `from` names, if the tag is still at the expected version."""

    artifact_id: IdText | None = None
    from_: ReferenceText | None = msgspec.field(name="from", default=None)
    message: MessageText | None = None
    expected_version: Version | None = None


class StepTag(msgspec.Struct, forbid_unknown_fields=True):
    """Undo or redo, if the tag is still at the expected version."""

    message: MessageText | None = None
    expected_version: Version | None = None


class TagBody(msgspec.Struct, frozen=True, kw_only=True):
    """A tag as it stands, or stood at the requested version or time. `cursor` is the version at
    which undo and redo stand.
    """

    namespace: NamespaceText
    name: TagText
    version: int
    cursor: int | None
    artifact_id: UUID
    kind: str
    version_hash: CasIdText | None
    message: str | None
    moved_by: str
    moved_at: Moment


class StepTo(msgspec.Struct, frozen=True, kw_only=True):
    """Where an undo or a redo leads: a create or move of the tag, and what it named."""

    version: int
    artifact_id: UUID
    message: str | None


class TagDetails(TagBody, frozen=True, kw_only=True):
    """A tag with the transaction of its last move; as it stands now also with where undo and redo
    lead.
    """

    transaction_id: UUID | None
    undo_to: StepTo | UnsetType = UNSET
    redo_to: StepTo | UnsetType = UNSET


class TagChangeBody(TagBody, frozen=True, kw_only=True):
    """A tag after a write, and what the write did: null when it was there already."""

    action: Action | None


# The next two repeat members of the first: in JSON members have the order in which they stand here.


class DeletedTagBody(msgspec.Struct, frozen=True, kw_only=True):
    """The name that is free again; `version` is the one its deletion was recorded under, and undo
    of it leads to `cursor`.
    """

    namespace: NamespaceText
    name: TagText
    version: int
    cursor: int | None
    action: Action
    artifact_id: None
    message: str | None
    moved_by: str
    moved_at: Moment


class TagItem(msgspec.Struct, frozen=True, kw_only=True):
    """A tag in a list, as it is or was at the requested time; without an artifact it is deleted."""

    namespace: NamespaceText
    name: TagText
    version: int
    cursor: int | None
    artifact_id: UUID | None
    kind: str | None
    version_hash: CasIdText | None
    transaction_id: UUID | None
    message: str | None
    moved_by: str
    moved_at: Moment


class HistoryItem(msgspec.Struct, frozen=True, kw_only=True):
    """A move of a tag. `seq` is an older name of `version`. The tag stood at `parent_seq` before it
    and at `cursor` after it; kind and version hash are those of the target.
    """

    version: int
    seq: int
    action: Action
    from_id: UUID | None
    to_id: UUID | None
    parent_seq: int | None
    cursor: int | None
    transaction_id: UUID | None
    kind: str | None
    version_hash: CasIdText | None
    message: str | None
    moved_by: str
    moved_at: Moment


class MoveItem(msgspec.Struct, frozen=True, kw_only=True):
    """A move in a list of those of all tags; kind and version hash are those of its target."""

    namespace: NamespaceText
    name: TagText
    version: int
    action: Action
    from_id: UUID | None
    to_id: UUID | None
    transaction_id: UUID | None
    kind: str | None
    version_hash: CasIdText | None
    message: str | None
    moved_by: str
    moved_at: Moment


def tag_body(tag: Tag, target: Artifact | TagTarget) -> TagBody:
    """The tag with what its artifact says."""
    return _body(target, tag.namespace, tag.name, tag.version, tag)


def tag_details(standing: TagStanding) -> TagDetails:
    """The tag as it stands, and where its undo and redo lead."""
    return TagDetails(
        **structs.asdict(tag_body(standing.tag, standing.target)),
        transaction_id=standing.transaction_id,
        undo_to=_step_to(standing.undo),
        redo_to=_step_to(standing.redo),
    )


def _step_to(landing: Landing | None) -> StepTo | UnsetType:
    if landing is None or landing.seq is None or landing.target_id is None:
        return UNSET
    return StepTo(version=landing.seq, artifact_id=landing.target_id, message=landing.message)


def past_body(name: str, move: TagMove, target: Artifact) -> TagDetails:
    """The tag as a move left it."""
    body = _body(target, target.namespace, name, move.seq, move)
    return TagDetails(**msgspec.structs.asdict(body), transaction_id=move.transaction_id)


def _body(
    target: Artifact | TagTarget, namespace: str, name: str, version: int, last: Tag | TagMove
) -> TagBody:
    return TagBody(
        namespace=namespace,
        name=name,
        version=version,
        cursor=last.cursor,
        artifact_id=target.artifact_id,
        kind=target.kind,
        version_hash=_text(target.version_hash),
        message=last.message,
        moved_by=last.moved_by,
        moved_at=last.moved_at,
    )


def change_body(change: TagChange) -> TagChangeBody:
    """The tag after a write."""
    if change.target is None:
        raise NotFound("tag", change.tag.name)
    body = tag_body(change.tag, change.target)
    return TagChangeBody(**structs.asdict(body), action=change.action)


def deleted_body(tag: Tag) -> DeletedTagBody:
    """What is left to say of a deleted tag."""
    return DeletedTagBody(
        namespace=tag.namespace,
        name=tag.name,
        version=tag.version,
        cursor=tag.cursor,
        action=tag.action,
        artifact_id=None,
        message=tag.message,
        moved_by=tag.moved_by,
        moved_at=tag.moved_at,
    )


def tag_item(tag: NamedTag) -> TagItem:
    """The tag in a list."""
    return TagItem(**structs.asdict(tag) | {"version_hash": _text(tag.version_hash)})


def history_item(move: NamedMove) -> HistoryItem:
    """The move in the history of its tag."""
    return HistoryItem(seq=move.seq, parent_seq=move.parent_seq, cursor=move.cursor, **_moved(move))


def move_item(namespace: str, move: NamedMove) -> MoveItem:
    """The move in a list."""
    return MoveItem(namespace=namespace, name=move.name, **_moved(move))


def _moved(move: NamedMove) -> dict[str, Any]:
    """What every list shows of a move."""
    return {
        "version": move.seq,
        "action": move.action,
        "from_id": move.from_id,
        "to_id": move.to_id,
        "transaction_id": move.transaction_id,
        "kind": move.kind,
        "version_hash": _text(move.version_hash),
        "message": move.message,
        "moved_by": move.moved_by,
        "moved_at": move.moved_at,
    }


def _text(version_hash: CasId | None) -> str | None:
    return str(version_hash) if version_hash else None


def tag_answer(change: TagChange) -> Answer:
    """201 with its address when the tag was created, 200 otherwise."""
    tag = change.tag
    body = change_body(change)
    if change.action is Action.CREATE:
        where = location("tags", tag.name, tag.namespace)
        return json_answer(body, 201, {"ETag": etag(tag.version), "Location": where})
    return json_answer(body, headers={"ETag": etag(tag.version)})
