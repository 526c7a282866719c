"""Three-way merge of JSON values, member by member (as diff3 does line by line); no workflows.

A list is one value: if both sides changed it there is a conflict, for a merge by position could
pair what does not belong together.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from orchestrator.documents.equality import equal
from orchestrator.documents.pointer import pointer_to

Side: TypeAlias = Literal["ours", "theirs"]
ConflictReason: TypeAlias = Literal[
    "both-changed", "both-added", "removed-by-ours", "removed-by-theirs", "shape"
]

_MESSAGES: dict[ConflictReason, str] = {
    "both-changed": "Both sides changed this, and not in the same way.",
    "both-added": "Both sides added this, and not the same.",
    "removed-by-ours": "Our side removed this, and their side changed it.",
    "removed-by-theirs": "Their side removed this, and our side changed it.",
    "shape": "One side made a map of the list of nodes, or a list of the map.",
}


class ConflictValue(msgspec.Struct, frozen=True):
    """What one document has at the place of a conflict; `value` is left out if it has nothing."""

    present: bool
    value: Any = UNSET


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A place that both sides changed.

    The pointer names a node by its id, /nodes/<id>/…, and an edge by its ends and condition,
    /edges/<from>-><to> if <condition>/…, in documents of any shape; all else by its place.
    """

    pointer: str
    reason: ConflictReason
    message: str
    base: ConflictValue
    ours: ConflictValue
    theirs: ConflictValue


class Merger:
    """Merges values and collects the conflicts, each settled in favour of one side.

    UNSET stands for what a side does not have.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self.conflicts: list[Conflict] = []

    def merged(self, place: Sequence[str], base: Any, ours: Any, theirs: Any) -> Any:
        """The merged value. What only one side changed is taken from that side."""
        if equal(ours, theirs) or equal(base, theirs):
            return ours
        if equal(base, ours):
            return theirs
        if (
            isinstance(ours, dict)
            and isinstance(theirs, dict)
            and isinstance(base, dict | UnsetType)
        ):
            return self._merged_members(place, base or {}, ours, theirs)
        return self.settled(place, base, ours, theirs)

    def settled(
        self,
        place: Sequence[str],
        base: Any,
        ours: Any,
        theirs: Any,
        *,
        reason: ConflictReason | None = None,
        detail: str = "",
    ) -> Any:
        """Note a conflict and return what the favoured side has."""
        reason = reason or _reason(base, ours, theirs)
        self.conflicts.append(
            Conflict(
                pointer=pointer_to(place),
                reason=reason,
                message=_MESSAGES[reason] + detail,
                base=_found(base),
                ours=_found(ours),
                theirs=_found(theirs),
            )
        )
        return ours if self.side == "ours" else theirs

    def _merged_members(
        self, place: Sequence[str], base: dict[str, Any], ours: dict[str, Any], theirs: Any
    ) -> dict[str, Any]:
        members = {
            key: self.merged(
                (*place, key), base.get(key, UNSET), ours.get(key, UNSET), theirs.get(key, UNSET)
            )
            for key in dict.fromkeys([*ours, *theirs])
        }
        return {key: value for key, value in members.items() if value is not UNSET}


def _reason(base: Any, ours: Any, theirs: Any) -> ConflictReason:
    if ours is UNSET:
        return "removed-by-ours"
    if theirs is UNSET:
        return "removed-by-theirs"
    return "both-added" if base is UNSET else "both-changed"


def _found(value: Any) -> ConflictValue:
    return ConflictValue(present=value is not UNSET, value=value)
