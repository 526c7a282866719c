"""Vocabulary of tags: movable pointers and their recorded moves; no I/O."""

from enum import StrEnum
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasId
from orchestrator.core.moment import Moment
from orchestrator.models.principal import Actor

#: After the last version of a tag, for pages.
SEQ_MAX = 2**63 - 1


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
    move on which undo and redo stand; None: before the first. `target_id` is None once the tag is
    deleted: the row stays so that an old version number can never come back.
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
    moved_at: Moment


class TagMove(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded change. `parent_seq` is where the tag stood before it, `cursor` where it stood
    after it; moves that were made together have a `transaction_id`.
    """

    seq: int
    action: Action
    from_id: UUID | None
    to_id: UUID | None
    parent_seq: int | None
    cursor: int | None
    message: str | None
    moved_by: str
    moved_at: Moment
    transaction_id: UUID | None


class Landing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an undo or redo would land: the create or move to stand on, and its target.

    Without a target the tag was not there. `message` is that of the create or move.
    """

    seq: int | None
    target_id: UUID | None
    message: str | None = None


class TagReference(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that names an artifact, or did: since and until which of its versions."""

    name: str
    current: bool
    first_version: int
    last_version: int
    last_moved_at: Moment


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold of a tag before a write: to be absent, or to exist at one of some versions.

    `versions` None accepts any; `exists` without versions asks only that there is such a tag.
    """

    absent: bool = False
    exists: bool = False
    versions: frozenset[int] | None = None


#: No condition: create the tag, or move it from wherever it is.
ALWAYS = Condition()


class TagOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants of a tag: that it names this artifact, on a condition.

    A delete has no target, nor has a `step`, an undo or a redo: where it leads is what the history
    says. To take a create back is a step, too, a delete.
    """

    namespace: str
    name: str
    target_id: UUID | None = None
    message: str | None = None
    by: Actor
    condition: Condition = ALWAYS
    step: Action | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that is locked, and where the order of a step leads it."""

    tag: Tag
    landing: Landing
    order: TagOrder


class TagTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What the artifact says that a tag names."""

    artifact_id: UUID
    kind: str
    version_hash: CasId | None


class TagStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A tag and its target, the transaction of its last move, and where undo and redo lead."""

    tag: Tag
    target: TagTarget
    transaction_id: UUID | None
    undo: Landing | None
    redo: Landing | None


class TagChange(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a write: the tag now and its target (None: the tag is deleted), and what was
    done (None: it was like that already).
    """

    tag: Tag
    action: Action | None
    target: TagTarget | None

    @property
    def replaced_id(self) -> UUID | None:
        """The artifact that the tag named before this change of it."""
        return None if self.action is None else self.tag.from_id

    @property
    def before_id(self) -> UUID | None:
        """The artifact that the tag named before, whether this changed it or not."""
        return self.tag.target_id if self.action is None else self.tag.from_id


class FoundTag(msgspec.Struct, frozen=True, kw_only=True):
    """What an order that changed nothing found behind the tag's lock: the tag, if there is one,
    and the target that the order names; or that somebody else has one of the two locked.
    """

    tag: Tag | None
    target: TagTarget | None
    is_locked: bool = False
