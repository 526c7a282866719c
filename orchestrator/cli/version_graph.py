"""Draws a history as `git log --graph` does; pure text, it knows neither versions nor servers.

A lane is a vertical line that leads down to one node, and no two lead to the same one. Lane n is
drawn in column 2n, and a line that crosses to the next lane in the column between the two.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def in_lines(
    head: Node, parents: Mapping[Node, Sequence[Node]]
) -> Iterator[tuple[Node, list[Node]]]:
    """The head and all that it comes from, each with its parents and before them.

    A line that was merged in is followed to its beginning before the rest goes on. So lines of
    history stay together, and the order depends on no clock.
    """
    children: Counter[Node] = Counter()
    reached = [head]
    for node in reached:  # It grows while it is walked.
        for parent in _once(parents.get(node, ())):
            children[parent] += 1
            if children[parent] == 1:
                reached.append(parent)
    ready = [head]
    while ready:
        node = ready.pop()
        found = _once(parents.get(node, ()))
        yield node, found
        children.subtract(found)
        ready += [parent for parent in found if not children[parent]]


def _once(nodes: Iterable[Node]) -> list[Node]:
    return list(dict.fromkeys(nodes))


def rails(history: Iterable[tuple[Node, Sequence[Node]]]) -> Iterator[tuple[str, Node | None]]:
    """The beginning of each line, and the node on that line if there is one.

    Nodes come with their parents, and before them.
    """
    lanes: list[Node] = []
    for node, parents in history:
        if node not in lanes:
            lanes.append(node)
        at = lanes.index(node)
        yield _row(range(len(lanes)), {2 * at: "*"}), node
        for row in _lead_on(lanes, at, _once(parents)):
            yield row, None


def _lead_on(lanes: list[Node], at: int, parents: list[Node]) -> Iterator[str]:
    """Let the lane of a node lead to its parents instead."""
    new = [parent for parent in parents if parent not in lanes]
    known = [parent for parent in parents if parent in lanes]
    if new:
        lanes[at] = new[0]
    for parent in reversed(new[1:]):
        lanes.insert(at + 1, parent)
        yield _row(range(at + 1), {2 * lane + 1: "\\" for lane in range(at, len(lanes) - 1)})
    last = None if new or not known else known.pop()
    for parent in known:
        yield from _link(len(lanes), at, lanes.index(parent))
    if last is not None:
        there = lanes.index(last)
        yield from _join(lanes, min(at, there), max(at, there), last)
    elif not new:
        del lanes[at]
        if at < len(lanes):
            yield _row(range(at), _shifted_left(at, len(lanes)))


def _link(count: int, source: int, target: int) -> Iterator[str]:
    """From one lane to another; both go on, and so do those that are crossed."""
    if target < source:
        columns, mark = range(2 * source - 1, 2 * target, -2), "/"
    else:
        columns, mark = range(2 * source + 1, 2 * target, 2), "\\"
    for column in columns:
        yield _row(range(count), {column: mark})


def _join(lanes: list[Node], left: int, right: int, parent: Node) -> Iterator[str]:
    """Two lanes become the left one; those beyond the right one move up to fill the gap."""
    lanes[left] = parent
    del lanes[right]
    yield _row(range(right), {2 * right - 1: "/", **_shifted_left(right, len(lanes))})
    yield from _link(len(lanes), right - 1, left)


def _shifted_left(first: int, count: int) -> dict[int, str]:
    return {2 * lane + 1: "/" for lane in range(first, count)}


def _row(straight: Iterable[int], marks: Mapping[int, str]) -> str:
    """One line: these lanes go straight down, and marks stand in their columns."""
    columns = {**{2 * lane: "|" for lane in straight}, **marks}
    return "".join(columns.get(column, " ") for column in range(max(columns, default=-1) + 1))
