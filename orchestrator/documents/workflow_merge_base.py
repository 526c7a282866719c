"""The one base of a merge whose sides have several: these are merged first; it finds none of them.

As git does for criss-cross merges: two bases are merged over their own base, the result with the
next base, and so on. Where bases are in conflict, the merged base is Unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.documents.workflow_merge_graph import GraphMerge
from orchestrator.documents.workflow_merge_value import Merger, Unknown
from orchestrator.documents.workflow_parts import Parts, shapes, take_apart

#: A version, or what a step before made.
Ref: TypeAlias = UUID | int


class BaseStep(NamedTuple):
    """Which two to merge over which base. Without one all that differs is in conflict."""

    ours: Ref
    theirs: Ref
    base: Ref | None


class SeveralBases(msgspec.Struct, frozen=True):
    """The contents of versions, and the steps that make one base of them."""

    contents: Mapping[UUID, bytes]
    steps: Sequence[BaseStep]


#: The content of the one base, or of what it is made of.
MergeBase: TypeAlias = bytes | SeveralBases


def size_bytes_of(base: MergeBase) -> int:
    """How much there is to read."""
    contents = [base] if isinstance(base, bytes) else base.contents.values()
    return sum(map(size_of_reading, contents))


def merged_base(several: SeveralBases) -> Parts:
    """What the last step leaves."""
    made: list[Parts] = []

    def parts_of(ref: Ref) -> Parts:
        if isinstance(ref, int):
            return made[ref]
        return take_apart(msgspec.json.decode(several.contents[ref]))

    for step in several.steps:
        ours, theirs = parts_of(step.ours), parts_of(step.theirs)
        base = _nothing_known(ours, theirs) if step.base is None else parts_of(step.base)
        made.append(merge_bases(base, ours, theirs))
    return made[-1]


def merge_bases(base: Parts, ours: Parts, theirs: Parts) -> Parts:
    """Merge two versions that both sides of a merge contain."""
    merger = Merger(of_bases=True)
    rest = merger.merged((), base.rest, ours.rest, theirs.rest)
    if len(shapes(base, ours, theirs)) > 1:
        return _nothing_known(ours, theirs)._replace(rest=rest, nodes_are_listed=None)
    return GraphMerge(merger, base, ours, theirs).merged(rest)


def _nothing_known(ours: Parts, theirs: Parts) -> Parts:
    """A base of two versions that have none: whatever one of them has, it may have had."""
    unknown: Any = Unknown()
    return ours._replace(
        nodes=dict.fromkeys(ours.nodes | theirs.nodes, unknown),
        edges=dict.fromkeys(ours.edges | theirs.edges, unknown),
        rest=unknown,
    )
