"""Three-way merge of JSON values, member by member (as diff3 does line by line); no workflows.

The conflicts are settled as the caller says; those that nobody settled are settled for ours.

A list is one value: if both sides changed it there is a conflict, for a merge by position could
pair what does not belong together.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from orchestrator.documents.equality import equal
from orchestrator.documents.pointer import pointer_to
from orchestrator.errors import RuleBroken, Violation, first_listed

#: Of a value in a list of conflicts.
VALUE_BYTES_MAX = 4_096

Side: TypeAlias = Literal["ours", "theirs"]
ConflictReason: TypeAlias = Literal[
    "both-changed", "both-added", "removed-by-ours", "removed-by-theirs", "shape", "bases-differ"
]

_MESSAGES: dict[ConflictReason, str] = {
    "both-changed": "Both sides changed this, and not in the same way.",
    "both-added": "Both sides added this, and not the same.",
    "removed-by-ours": "Our side removed this, and their side changed it.",
    "removed-by-theirs": "Their side removed this, and our side changed it.",
    "shape": "One side made a map of the list of nodes, or a list of the map.",
    "bases-differ": "The sides differ here, and so do the versions that both contain.",
}


class Unknown:
    """What stands at a place where the bases of a merge are in conflict themselves.

    It is equal to nothing, so every difference between the sides at such a place is a conflict.
    """


class ResolvedValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall stand at the place of a conflict instead of what either side has."""

    value: Any


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How conflicts are settled: one by one, by their pointers, and all others for one side."""

    prefer: Side | None = None
    resolutions: dict[str, Side | ResolvedValue] = {}

    @property
    def alone(self) -> "Settlement":
        """The settlement without the other members of a request that derives from it."""
        return Settlement(prefer=self.prefer, resolutions=self.resolutions)

    def check_used(self, used: AbstractSet[str]) -> None:
        """RuleBroken if there are resolutions for places that are not in conflict."""
        unused = [
            Violation(
                pointer_to(("resolutions", pointer)),
                "no-conflict",
                f"There is no conflict at {pointer!r} to settle.",
            )
            for pointer in self.resolutions
            if pointer not in used
        ]
        if unused:
            raise RuleBroken(unused[0].message, unused)


NOT_SETTLED = Settlement()


class ConflictValue(msgspec.Struct, frozen=True):
    """What one document has at the place of a conflict; `value` is left out if it has nothing.

    A long value is left out, too: `size_bytes` says how long it is.
    """

    present: bool
    value: Any = UNSET
    size_bytes: int | UnsetType = UNSET

    def shortened(self) -> "ConflictValue":
        """Without a value that would take too much of an answer."""
        size_bytes = 0 if self.value is UNSET else len(msgspec.json.encode(self.value))
        if size_bytes <= VALUE_BYTES_MAX:
            return self
        return ConflictValue(present=True, size_bytes=size_bytes)


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


def listed_conflicts(conflicts: Iterable[Conflict]) -> list[Conflict]:
    """As many of them as one answer may list."""
    return first_listed(
        msgspec.structs.replace(
            each,
            base=each.base.shortened(),
            ours=each.ours.shortened(),
            theirs=each.theirs.shortened(),
        )
        for each in conflicts
    )


class Merger:
    """Merges values and collects the conflicts, each settled in favour of one side.

    A resolution settles the conflict at its pointer, the preferred side all others. Between the
    bases of a merge nothing settles a conflict: its place becomes Unknown. UNSET stands for what
    a side does not have.
    """

    def __init__(
        self,
        settlement: Settlement = NOT_SETTLED,
        *,
        of_bases: bool = False,
    ) -> None:
        self.of_bases = of_bases
        self.conflicts: list[Conflict] = []
        self.settled: list[Conflict] = []
        self.used: set[str] = set()
        self._settlement = settlement

    def merged(self, place: Sequence[str], base: Any, ours: Any, theirs: Any) -> Any:
        """The merged value. What only one side changed is taken from that side."""
        if equal(ours, theirs) or equal(base, theirs):
            return ours
        if equal(base, ours):
            return theirs
        if (
            isinstance(ours, dict)
            and isinstance(theirs, dict)
            and isinstance(base, dict | UnsetType | Unknown)
        ):
            return self._merged_members(place, base, ours, theirs)
        return self.settle(place, base, ours, theirs)

    def settle(
        self,
        place: Sequence[str],
        base: Any,
        ours: Any,
        theirs: Any,
        *,
        reason: ConflictReason | None = None,
        detail: str = "",
    ) -> Any:
        """Note a conflict and return what is to stand there."""
        if self.of_bases:
            return Unknown()
        reason = reason or _reason(base, ours, theirs)
        conflict = Conflict(
            pointer=pointer_to(place),
            reason=reason,
            message=_MESSAGES[reason] + detail,
            base=_found(base),
            ours=_found(ours),
            theirs=_found(theirs),
        )
        resolution = self._settlement.resolutions.get(conflict.pointer, self._settlement.prefer)
        if resolution is None:
            self.conflicts.append(conflict)
            resolution = "ours"
        else:
            self.settled.append(conflict)
            self.used.add(conflict.pointer)
        if isinstance(resolution, ResolvedValue):
            return resolution.value
        return ours if resolution == "ours" else theirs

    def _merged_members(
        self, place: Sequence[str], base: Any, ours: dict[str, Any], theirs: dict[str, Any]
    ) -> dict[str, Any]:
        old = base if isinstance(base, dict) else {}
        beside = base if isinstance(base, Unknown) else UNSET
        members = {
            key: self.merged(
                (*place, key), old.get(key, beside), ours.get(key, UNSET), theirs.get(key, UNSET)
            )
            for key in dict.fromkeys([*ours, *theirs])
        }
        return {key: value for key, value in members.items() if value is not UNSET}


def _reason(base: Any, ours: Any, theirs: Any) -> ConflictReason:
    if isinstance(base, Unknown):
        return "bases-differ"
    if ours is UNSET:
        return "removed-by-ours"
    if theirs is UNSET:
        return "removed-by-theirs"
    return "both-added" if base is UNSET else "both-changed"


def _found(value: Any) -> ConflictValue:
    if value is UNSET or _has_unknown(value):
        return ConflictValue(present=False)
    return ConflictValue(present=True, value=value)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    return isinstance(value, Unknown)
