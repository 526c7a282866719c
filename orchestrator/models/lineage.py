"""Vocabulary of a walk along lineage, page by page; no I/O."""

from enum import StrEnum
from uuid import UUID

import msgspec

from orchestrator.models.artifact import LineageEdge


class Direction(StrEnum):
    """Where a walk leads: to what an artifact came from, to what came of it, or first the one and
    then the other.
    """

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class LineageStep(msgspec.Struct, frozen=True, kw_only=True):
    """An edge as a walk meets it; `leads_on` if there are edges beyond its farther end."""

    child_id: UUID
    parent_id: UUID
    relation: str
    leads_on: bool


class LineagePosition(msgspec.Struct, frozen=True, kw_only=True):
    """Where a walk stands: the edge that was listed last, and the artifacts that wait. `up` says
    which way it goes.

    The near end of an edge is the one that the walk came from. An artifact waits with its distance
    from the start; the first is `near_id` itself if it may have more edges. If too many wait to be
    listed, `waiting` is None, and the next page walks from the start again.
    """

    up: bool
    near_id: UUID
    far_id: UUID
    relation: str
    waiting: tuple[tuple[UUID, int], ...] | None


class LineagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Edges, and from where to go on if there are more. It is `truncated` if an artifact on it has
    edges that are farther away than was asked for.
    """

    edges: list[LineageEdge]
    position: LineagePosition | None
    truncated: bool
