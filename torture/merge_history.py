"""Random histories of a workflow, and three models that say what their merges must not lose.

Branches are changed at random, and merged into each other, often crosswise, so that many merges
have several bases. Each model judges each place of each merge that is not in conflict:

- *Changes since the bases.* What a side has, and no base, is a change of that side: it must be in
  the result. What a side has as all bases have it is no change.
- *One place alone.* The bases are merged as single values, and then the sides over that: the result
  must be the same.
- *Last writers* (the mark-merge of Monotone). Each place remembers which versions wrote it last. A
  side that contains the last writers of the other side decided later, and must win. This holds
  where values are never used twice: it does not see that a side went back to what it had.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from orchestrator.documents.canonical import canonicalise
from orchestrator.documents.workflow_merge import WorkflowMerge, merge_workflows
from orchestrator.documents.workflow_merge_base import SeveralBases, merged_base
from orchestrator.documents.workflow_merge_value import ResolvedValue, Settlement
from orchestrator.service.merge_base import MergeLimits, plan_steps

ROUNDS = 30
BRANCHES = 3
NODES = 4
ABSENT = "(absent)"

#: Where something stands: the tokens of a conflict's pointer.
Place = tuple[str, ...]
Places = dict[Place, Any]


@dataclass(frozen=True)
class Version:
    """A document, what it was made from, and who wrote each place last."""

    number: int
    document: Any
    parents: tuple[int, ...]
    history: frozenset[int]
    writers: Mapping[Place, frozenset[int]]
    places: Places


@dataclass
class History:
    """Branches of one workflow. `fresh`: no value is used twice, and no node is removed."""

    chance: random.Random
    fresh: bool
    versions: list[Version] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    values: int = 0
    bases: dict[tuple[Place, tuple[int, ...]], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = self.add({"m": {}, "nodes": [{"id": "n0", "type": "t"}], "edges": []}, (), {})
        self.heads = [first.number] * BRANCHES

    def add(
        self, document: Any, parents: tuple[int, ...], writers: Mapping[Place, frozenset[int]]
    ) -> Version:
        """A new version; `writers` are those of the places that were not just taken over."""
        number = len(self.versions)
        history = frozenset({number}).union(*(self.versions[each].history for each in parents))
        version = Version(number, document, parents, history, writers, places_of(document))
        self.versions.append(version)
        return version

    def value(self) -> int:
        """One that no place had before, or one of few."""
        self.values += 1
        return self.values if self.fresh else self.chance.randrange(3)

    def edit(self, branch: int) -> None:
        """Change a few places of a branch."""
        before = self.versions[self.heads[branch]]
        document = msgspec.json.decode(canonicalise(before.document))
        for _ in range(self.chance.randint(1, 3)):
            self._edit_once(document)
        after = places_of(document)
        number = frozenset({len(self.versions)})
        writers = dict(before.writers)
        for place in before.places.keys() | after.keys():
            if before.places.get(place, ABSENT) != after.get(place, ABSENT):
                writers[place] = number
        self.heads[branch] = self.add(document, (before.number,), writers).number

    def _edit_once(self, document: Any) -> None:
        chance, nodes, edges = self.chance, document["nodes"], document["edges"]
        if not nodes:  # Two sides removed one each: a server refuses that.
            nodes.append({"id": "n0", "type": "t"})
        kind = chance.choice(["member", "member", "node", "add", "edge", "remove", "cut"])
        node = chance.choice(nodes)
        if kind == "member":
            document["m"][f"k{chance.randrange(4)}"] = self.value()
        elif kind == "node" or self.fresh:
            node[chance.choice(["v", "w"])] = self.value()
        elif kind == "add":
            id_ = f"n{chance.randrange(NODES)}"
            if all(each["id"] != id_ for each in nodes):
                nodes.insert(chance.randrange(len(nodes) + 1), {"id": id_, "type": "t"})
        elif kind == "remove" and len(nodes) > 1:
            nodes.remove(node)
            edges[:] = [each for each in edges if node["id"] not in (each["from"], each["to"])]
        elif kind == "edge":
            source, target = sorted((node["id"], chance.choice(nodes)["id"]))
            edges[:] = [e for e in edges if (e["from"], e["to"]) != (source, target)]
            if source != target:
                edges.append({"from": source, "to": target, "label": self.value()})
        elif kind == "cut" and edges:
            edges.remove(chance.choice(edges))

    def merge(self, branch: int, theirs: int) -> "Merge | None":
        """Merge a version into a branch; None if one side contains the other."""
        ours, other = self.versions[self.heads[branch]], self.versions[theirs]
        if other.number in ours.history:
            return None
        if ours.number in other.history:
            self.heads[branch] = other.number
            return None
        bases = self.nearest(ours.history, other.history)
        base = self._base_of(bases)
        result = merge_workflows(base, ours.document, other.document)
        settlement = Settlement(
            resolutions={
                each.pointer: ResolvedValue(self.value())
                if self.fresh
                else self.chance.choice(["ours", "theirs"])
                for each in result.conflicts
            }
        )
        settled = merge_workflows(base, ours.document, other.document, settlement)
        made = [self.versions[each] for each in bases]
        merge = Merge(self, ours, other, made, result, settlement)
        self.heads[branch] = self._merged(merge, settled.document).number
        return merge

    def nearest(self, ours: frozenset[int], theirs: frozenset[int]) -> tuple[int, ...]:
        """Those in both histories that are in the history of no other one."""
        common, found = ours & theirs, []
        while common:
            found.append(max(common))
            common -= self.versions[found[-1]].history
        return tuple(sorted(found))

    def base_at(self, place: Place, versions: tuple[int, ...]) -> Any:
        """What several bases make of a place; if they are in conflict, what is equal to nothing."""
        key = (place, versions)
        if key not in self.bases:
            first, *others = (self.versions[each] for each in versions)
            value, contained = first.places.get(place, ABSENT), first.history
            for other in others:
                nearest = self.nearest(contained, other.history)
                base = self.base_at(place, nearest) if nearest else object()
                value = merged_value(base, value, other.places.get(place, ABSENT))
                contained |= other.history
            self.bases[key] = value
        return self.bases[key]

    def _base_of(self, bases: tuple[int, ...]) -> Any:
        if len(bases) == 1:
            return self.versions[bases[0]].document
        parents = {
            UUID(int=each.number): [UUID(int=parent) for parent in each.parents]
            for each in self.versions
        }
        steps = plan_steps(parents, [UUID(int=each) for each in bases], MergeLimits().steps_max)
        if steps is None:
            return {}
        contents = {UUID(int=each.number): canonicalise(each.document) for each in self.versions}
        return merged_base(SeveralBases(contents, steps))

    def _merged(self, merge: "Merge", document: Any) -> Version:
        """The version that the merge made, and who wrote what is in it."""
        number = frozenset({len(self.versions)})
        sides = (merge.ours, merge.theirs)
        after, writers = places_of(document), {}
        for place in merge.places() | merge.ours.writers.keys() | merge.theirs.writers.keys():
            wrote = [each.writers.get(place, frozenset()) for each in sides]
            ours, theirs = (each.places.get(place, ABSENT) for each in sides)
            if merge.is_in_conflict(place):
                writers[place] = number
            elif ours == theirs:
                writers[place] = wrote[0] | wrote[1]
            else:
                writers[place] = wrote[after.get(place, ABSENT) != ours]
        return self.add(document, (merge.ours.number, merge.theirs.number), writers)


@dataclass(frozen=True)
class Merge:
    """A merge as it was asked for, before its conflicts were settled."""

    history: History
    ours: Version
    theirs: Version
    bases: list[Version]
    result: WorkflowMerge
    settlement: Settlement

    def places(self) -> set[Place]:
        """Wherever a version that takes part has something."""
        sides = (self.ours, self.theirs, *self.bases)
        found = {place for side in sides for place in side.places}
        return found | places_of(self.result.document).keys()

    def is_in_conflict(self, place: Place) -> bool:
        """Whether the place, what it is in, or an end of the edge that it is in, is listed."""
        listed = {tuple(each.pointer.split("/")[1:]) for each in self.result.conflicts}
        inside = {place[:length] for length in range(1, len(place) + 1)}
        if place[0] == "edges":
            inside |= {("nodes", id_) for id_ in place[1].split("->")}
        return not listed.isdisjoint(inside)

    def wrong(self) -> Iterator[str]:
        """What the models say against it."""
        after = places_of(self.result.document)
        for place in self.places():
            if not self.is_in_conflict(place):
                sides = (self.ours, self.theirs)
                ours, theirs = (side.places.get(place, ABSENT) for side in sides)
                result = after.get(place, ABSENT)
                bases = [each.places.get(place, ABSENT) for each in self.bases]
                yield from self._judge(place, ours, theirs, result, bases)

    def _judge(
        self, place: Place, ours: Any, theirs: Any, result: Any, bases: list[Any]
    ) -> Iterator[str]:
        what = f"{'/'.join(place)}: bases {bases}, ours {ours}, theirs {theirs}, result {result}"
        if result not in (ours, theirs):
            yield f"neither side has this: {what}"
        elif ours != theirs:
            if (ours not in bases or set(bases) == {theirs}) and result != ours:
                yield f"a change of ours is lost: {what}"
            if (theirs not in bases or set(bases) == {ours}) and result != theirs:
                yield f"a change of theirs is lost: {what}"
            base = self.history.base_at(place, tuple(each.number for each in self.bases))
            if result != merged_value(base, ours, theirs):
                yield f"the place alone is merged otherwise: {what}"
            if self.history.fresh:
                winner = later(place, self.ours, self.theirs)
                if winner is None or result != winner.places.get(place, ABSENT):
                    yield f"this was not decided later: {what}"


def merged_value(base: Any, ours: Any, theirs: Any) -> Any:
    """A three-way merge of one value; an own object, which is equal to nothing, for a conflict."""
    if theirs in (ours, base):
        return ours
    return theirs if ours == base else object()


def later(place: Place, one: Version, other: Version) -> Version | None:
    """Which of them decided about the place later, if one contains the decision of the other."""
    for side, rest in ((one, other), (other, one)):
        if rest.writers.get(place, frozenset()) <= side.history:
            return side
    return None


def places_of(document: Any) -> Places:
    """Every value of a document by its place; nodes and edges by their names."""
    places: Places = {("m", key): value for key, value in document["m"].items()}
    for node in document["nodes"]:
        places |= {("nodes", node["id"], key): value for key, value in node.items()}
    for edge in document["edges"]:
        name = f"{edge['from']}->{edge['to']}"
        places |= {("edges", name, key): value for key, value in edge.items()}
    return places


def crossed(history: History) -> Iterator[Merge]:
    """Change and merge branches, often both into each other as they were before."""
    chance = history.chance
    for _ in range(ROUNDS):
        for branch in range(BRANCHES):
            if chance.random() < 0.5:
                history.edit(branch)
        one, other = chance.sample(range(BRANCHES), 2)
        before = history.heads[one]
        pairs = [(one, history.heads[other])]
        if chance.random() < 0.6:
            pairs.append((other, before))
        for branch, theirs in pairs:
            if (merge := history.merge(branch, theirs)) is not None:
                yield merge
