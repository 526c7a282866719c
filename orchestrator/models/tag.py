"""Vocabulary of tags: movable pointers and their recorded moves; no I/O."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasId
from orchestrator.models.artifact import Kind
from orchestrator.models.principal import Actor


class Action(StrEnum):
    """What a recorded move did."""

    CREATE = "create"
    MOVE = "move"
    UNDO = "undo"
    REDO = "redo"
    DELETE = "delete"


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A named pointer and its last move.

    `version` counts the moves of the name for ever, through deletes. `cursor` is the create or
    move on which undo and redo stand. `target_id` is None once the tag is deleted: the row stays
    so that an old version number can never come back.
    """

    namespace: str
    name: str
    target_id: UUID | None
    version: int
    cursor: int | None
    protected: bool
    action: Action
    from_id: UUID | None
    parent_seq: int | None
    message: str | None
    moved_by: str
    moved_at: datetime


class TagOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request wants a tag to point; `expected` is the version it must be at, if any."""

    namespace: str
    name: str
    target_id: UUID
    message: str | None
    by: Actor
    expected: int | None = None


class TagMove(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded change. `parent_seq` is where the tag stood when it was made."""

    seq: int
    action: Action
    from_id: UUID | None
    to_id: UUID | None
    parent_seq: int | None
    message: str | None
    moved_by: str
    moved_at: datetime


class Landing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an undo or redo would land: the create or move to stand on, and its target."""

    seq: int
    target_id: UUID


class TagReference(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that names an artifact, or did: since and until which of its versions."""

    name: str
    current: bool
    first_version: int
    last_version: int
    last_moved_at: datetime


class TagChange(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a write: the tag now, and what was done (None: it was there already)."""

    tag: Tag
    action: Action | None


class MovedTag(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a move, with what the artifact says that the tag names now."""

    change: TagChange
    artifact_id: UUID
    kind: Kind
    version_hash: CasId | None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold of a tag before a write: to be absent, or to exist at one of some versions.

    `versions` None accepts any; `exists` without versions asks only that there is such a tag.
    """

    absent: bool = False
    exists: bool = False
    versions: frozenset[int] | None = None


#: No condition: create the tag, or move it from wherever it is.
ALWAYS = Condition()
