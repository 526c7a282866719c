"""The refusals of changes to tags and versions, and of merges; no HTTP here."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from orchestrator.errors import DomainError


class MovedTag(msgspec.Struct, frozen=True):
    """A tag that is not where a transaction left it."""

    name: str
    version: int
    current_version: int
    current_artifact_id: UUID | None


class TagsMoved(DomainError):
    """What is to be taken back is no longer there: all tags that have moved since. They are at most
    as many as a transaction has operations.
    """

    def __init__(self, tags: Sequence[MovedTag]) -> None:
        names = ", ".join(repr(tag.name) for tag in tags[:3])
        more = f" and {len(tags) - 3} more" if len(tags) > 3 else ""
        super().__init__(f"Not where the transaction left them: {names}{more}.")
        self.tags, self.tags_count = list(tags), len(tags)


class AlreadyReverted(DomainError):
    """A transaction is taken back once."""

    def __init__(self, transaction_id: UUID) -> None:
        super().__init__(
            f"The transaction {transaction_id} was reverted already: to bring it back, revert "
            "the transaction that reverted it."
        )
        self.transaction_id = transaction_id


class NothingToUndo(DomainError):
    """The tag stands at the root of its moves."""

    def __init__(self, key: str, version: int) -> None:
        super().__init__(f"The tag {key!r} stands at its first target: there is nothing to undo.")
        self.key, self.current_version = key, version


class NothingToRedo(DomainError):
    """Nothing was undone from where the tag stands."""

    def __init__(self, key: str, version: int) -> None:
        super().__init__(f"Nothing was undone from where the tag {key!r} stands now.")
        self.key, self.current_version = key, version


class NothingToCompact(DomainError):
    """The tag names a whole version already: there are no patches to compact."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The tag {key!r} names a version without patches.")
        self.key = key


class NoCommonAncestor(DomainError):
    """Two versions share no history, so nothing tells what each side changed."""

    def __init__(self, ours: str, theirs: str) -> None:
        super().__init__(f"{ours} and {theirs} have no common ancestor: name a base.")
        self.ours, self.theirs = ours, theirs


class TooManyBases(DomainError):
    """Two versions have several nearest common ancestors, and to merge those first is too much."""

    def __init__(self, ours: str, theirs: str, bases: Sequence[str]) -> None:
        super().__init__(
            f"{ours} and {theirs} have several nearest common ancestors, and it would take too "
            "much to merge these first: name a base."
        )
        self.ours, self.theirs, self.bases = ours, theirs, list(bases)


class MergeConflict(DomainError):
    """Both sides changed the same places; nothing was stored. The first of them are listed."""

    def __init__(self, conflicts: Sequence[Any], count: int) -> None:
        places = "One place" if count == 1 else f"{count} places"
        super().__init__(f"{places} cannot be merged; settle them, or say whom to prefer.")
        self.conflicts, self.conflicts_count = list(conflicts), count
