"""Which nodes of a workflow were only given another id; a rename is never guessed between two."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from orchestrator.documents.equality import fingerprint
from orchestrator.documents.workflow_parts import Parts

# How many edges away a neighbour may be to tell nodes of equal content apart.
ROUNDS = 3

Labels: TypeAlias = dict[str, int]
Neighbours: TypeAlias = dict[str, list[tuple[str, bool, str, str]]]


def renamed_nodes(before: Parts, after: Parts) -> dict[str, str]:
    """From old id to new id, for nodes with equal content and consistently rewired edges.

    Each node is labelled by its content, and then, round after round, by its label and those of its
    neighbours (Weisfeiler and Leman 1968). Two nodes are the same if no third one has their label.
    The nodes that are left may have gained or lost edges: for them a content that no third node has
    is enough, if they have a neighbour in common.
    """
    gone = {id_: node for id_, node in before.nodes.items() if id_ not in after.nodes}
    new = {id_: node for id_, node in after.nodes.items() if id_ not in before.nodes}
    if not gone or not new:
        return {}
    numbers: dict[Any, int] = {}
    gone_neighbours, new_neighbours = _neighbours(gone, before), _neighbours(new, after)
    gone_rounds = _label_rounds(gone, gone_neighbours, numbers)
    new_rounds = _label_rounds(new, new_neighbours, numbers)
    found: dict[str, str] = {}
    for round_ in range(ROUNDS, 0, -1):
        found |= _unique_pairs(gone_rounds[round_], new_rounds[round_], found)
    for old_id, new_id in _unique_pairs(gone_rounds[0], new_rounds[0], found).items():
        old_around = _around(gone_neighbours[old_id], gone_rounds[0], numbers)
        new_around = _around(new_neighbours[new_id], new_rounds[0], numbers)
        if set(old_around) & set(new_around) or old_around == new_around:
            found[old_id] = new_id
    return {id_: found[id_] for id_ in gone if id_ in found}


def _neighbours(nodes: Iterable[str], parts: Parts) -> Neighbours:
    neighbours: Neighbours = {id_: [] for id_ in nodes}
    for source, target, condition in parts.edges:
        arrow = condition is not None, condition or ""
        if source in neighbours:
            neighbours[source].append(("to", *arrow, target))
        if target in neighbours:
            neighbours[target].append(("from", *arrow, source))
    return neighbours


def _label_rounds(
    nodes: dict[str, dict[str, Any]], neighbours: Neighbours, numbers: dict[Any, int]
) -> list[Labels]:
    """The labels after each round: numbers that are equal on both sides for what is equal."""
    contents = ({**node, "id": None} for node in nodes.values())
    labels = {
        id_: numbers.setdefault(fingerprint(content), len(numbers))
        for id_, content in zip(nodes, contents, strict=True)
    }
    rounds = [labels]
    for _ in range(ROUNDS):
        labels = {
            id_: numbers.setdefault(
                (label, *_around(neighbours[id_], labels, numbers)), len(numbers)
            )
            for id_, label in labels.items()
        }
        rounds.append(labels)
    return rounds


def _around(
    neighbours: list[tuple[str, bool, str, str]], labels: Labels, numbers: dict[Any, int]
) -> list[tuple[str, bool, str, int]]:
    """The neighbours by label; one that kept its id has the id for a label."""
    return sorted(
        (direction, is_conditional, condition, _label(id_, labels, numbers))
        for direction, is_conditional, condition, id_ in neighbours
    )


def _label(id_: str, labels: Labels, numbers: dict[Any, int]) -> int:
    return labels[id_] if id_ in labels else numbers.setdefault(id_, len(numbers))


def _unique_pairs(gone: Labels, new: Labels, found: dict[str, str]) -> dict[str, str]:
    """Pair the nodes, not found yet, that are alone on their side with a label."""
    taken = set(found.values())
    gone_by_label = _by_label(gone, lambda id_: id_ not in found)
    new_by_label = _by_label(new, lambda id_: id_ not in taken)
    return {
        old_ids[0]: new_by_label[label][0]
        for label, old_ids in gone_by_label.items()
        if len(old_ids) == 1 and len(new_by_label.get(label, ())) == 1
    }


def _by_label(labels: Labels, is_wanted: Callable[[str], bool]) -> dict[int, list[str]]:
    ids: defaultdict[int, list[str]] = defaultdict(list)
    for id_, label in labels.items():
        if is_wanted(id_):
            ids[label].append(id_)
    return dict(ids)
