"""Vocabulary of questions about the tags of a namespace and what happened to them; no I/O."""

from datetime import UTC, datetime

import msgspec

from orchestrator.core.digest import CasId
from orchestrator.models.tag import TagMove

#: Before and after all times.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


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
    """Which moves of a namespace: of tags whose names begin so, by whom, and when."""

    prefix: str = ""
    moved_by: str | None = None
    since: datetime = EARLIEST
    until: datetime = LATEST
