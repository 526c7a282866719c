"""Cycles in a directed graph of numbers; it knows no workflows, and no function recurses.

A graph is a list: at the place of each node, the nodes that it leads to.
"""

from collections.abc import Iterator


def has_an_order(successors: list[list[int]]) -> bool:
    """Whether there is no cycle (Kahn 1962): in a third of the time that it takes to find one."""
    before = [0] * len(successors)
    for targets in successors:
        for target in targets:
            before[target] += 1
    free = [node for node, count in enumerate(before) if count == 0]
    for node in free:
        for target in successors[node]:
            before[target] -= 1
            if before[target] == 0:
                free.append(target)
    return len(free) == len(successors)


def knots(successors: list[list[int]]) -> Iterator[list[int]]:
    """The strongly connected components that hold a cycle (Gabow 2000, with a stack of its own)."""
    # One more node leads to all others, so one search finds them all.
    origin, done = len(successors), len(successors) + 2
    number = [0] * origin + [1]
    numbers_count = 1
    path, boundaries = [origin], [origin]
    trail: list[tuple[int, Iterator[int]]] = [(origin, iter(range(origin)))]
    while trail:
        node, untried = trail[-1]
        for successor in untried:
            if number[successor] == 0:
                numbers_count += 1
                number[successor] = numbers_count
                path.append(successor)
                boundaries.append(successor)
                trail.append((successor, iter(successors[successor])))
                break
            while number[boundaries[-1]] > number[successor]:
                boundaries.pop()
        else:
            trail.pop()
            if boundaries[-1] == node:
                boundaries.pop()
                members = _cut(path, node)
                for member in members:
                    number[member] = done
                if len(members) > 1 or (node != origin and node in successors[node]):
                    yield members


def _cut(path: list[int], node: int) -> list[int]:
    """Take the node and all after it off the end of the path."""
    members = [path.pop()]
    while members[-1] != node:
        members.append(path.pop())
    return members


def shortest_cycle(successors: list[list[int]], members: list[int]) -> list[int]:
    """The shortest cycle through the member that the document lists first."""
    first, inside = min(members), set(members)
    came_from: dict[int, int] = {}
    queue = [first]
    for node in queue:
        for successor in successors[node]:
            if successor in inside and successor not in came_from:
                came_from[successor] = node
                queue.append(successor)
        if first in came_from:
            break
    backwards = [came_from[first]]
    while backwards[-1] != first:
        backwards.append(came_from[backwards[-1]])
    return backwards[::-1]
