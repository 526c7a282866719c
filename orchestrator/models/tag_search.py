"""Vocabulary of questions about the tags of a namespace and what happened to them; no I/O."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasId
from orchestrator.models.tag import TagMove

#: Before and after all times.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


class NamedTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag as it is or was at a time, and what the artifact says that it names; None: deleted."""

    namespace: str
    name: str
    version: int
    cursor: int | None
    artifact_id: UUID | None
    kind: str | None
    version_hash: CasId | None
    transaction_id: UUID | None
    message: str | None
    moved_by: str
    moved_at: datetime


class TagFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which tags of a namespace: whose names begin so, who moved them last and when, what kind they
    name; as they are, or as they were at a time. Instead of those that name something, those that
    were deleted.
    """

    prefix: str = ""
    moved_by: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    kind: str | None = None
    at: datetime | None = None
    deleted: bool = False


class TagsAmong(msgspec.Struct, frozen=True, kw_only=True):
    """Which tags of a namespace are looked at, of these names or all, and how many at most."""

    rows_max: int
    names: list[str] | None = None


class MovesAmong(msgspec.Struct, frozen=True, kw_only=True):
    """Which moves of a namespace are looked at, those of these tags, those to these artifacts or
    all, and how many at most.
    """

    rows_max: int
    names: list[str] | None = None
    artifact_ids: list[UUID] | None = None


class NamedMove(TagMove, frozen=True, kw_only=True):
    """A move with the name of its tag, and what the artifact says that the tag named then."""

    name: str
    kind: str | None
    version_hash: CasId | None


class MovePosition(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the moves of a namespace, from the newest to the oldest."""

    moved_at: datetime
    name: str = ""
    seq: int = 0


class MoveFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which moves of a namespace: of tags whose names begin so, by whom, when, to what kind of
    artifact, and which were made together.
    """

    prefix: str = ""
    moved_by: str | None = None
    since: datetime = EARLIEST
    until: datetime = LATEST
    kind: str | None = None
    transaction_id: UUID | None = None
