"""Vocabulary of what a version was made from; no I/O."""

from uuid import UUID

import msgspec

from orchestrator.models.artifact import Artifact


class Ancestor(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a history: its document, and the places of those it was made from, which come
    later. `is_cut`: it was made from others, too, which are not there.
    """

    content: bytes
    parents: tuple[int, ...]
    is_cut: bool = False


class PastVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a history, and what it was made from: first what it was made on."""

    artifact: Artifact
    parents: tuple[UUID, ...]
    size_bytes: int
    message: str | None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A version and those before it, newest first, and the same as a computation takes them.

    It is `truncated` if there are more than the limits allow.
    """

    versions: list[PastVersion]
    ancestors: list[Ancestor]
    truncated: bool

    @property
    def size_bytes(self) -> int:
        """How much a computation reads."""
        return sum(len(each.content) for each in self.ancestors)
