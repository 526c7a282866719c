"""The JSON Patch (RFC 6902) from one JSON value to another; it knows no workflows.

Items of a list are known by their `id` if all have one, else by their content. Moves are found with
a longest increasing subsequence, in O(n log n). The shortest edit script would take quadratic time:
the patch is exact and small, but not always the smallest.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal, fingerprint
from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.pointer import escaped

# To align two lists costs a few microseconds for each item; a longer list is replaced as a whole.
ITEMS_ALIGNED_MAX = 500_000
# Each operation on a list shifts the items behind it. A patch that would shift more than this many
# in one list (a tenth of a second) replaces the list.
ITEMS_SHIFTED_MAX = 250_000_000


class _Alignment(NamedTuple):
    """For each item after, the index of the item before that it comes from; and changed items."""

    origins: list[int | None]
    changed: list[int]


def patch_between(
    before: JSONValue, after: JSONValue, path: str = ""
) -> tuple[PatchOperation, ...]:
    """Operations that turn `before`, which stands at the path, into `after`."""
    return tuple(_operations(path, before, after))


def _operations(path: str, before: JSONValue, after: JSONValue) -> Iterator[PatchOperation]:
    if isinstance(before, dict) and isinstance(after, dict):
        if not equal(before, after):
            yield from _member_operations(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        if not equal(before, after):
            yield from _item_operations(path, before, after)
    elif not equal(before, after):
        yield PatchOperation(op="replace", path=path, value=after)


def _member_operations(
    path: str, before: dict[str, Any], after: dict[str, Any]
) -> Iterator[PatchOperation]:
    for key in sorted(before.keys() | after.keys()):
        place = f"{path}/{escaped(key)}"
        if key not in after:
            yield PatchOperation(op="remove", path=place)
        elif key not in before:
            yield PatchOperation(op="add", path=place, value=after[key])
        else:
            yield from _operations(place, before[key], after[key])


def _item_operations(path: str, before: list[Any], after: list[Any]) -> Iterator[PatchOperation]:
    if max(len(before), len(after)) > ITEMS_ALIGNED_MAX:
        yield PatchOperation(op="replace", path=path, value=after)
        return
    identified = _ids(before), _ids(after)
    if identified[0] is not None and identified[1] is not None:
        origins, changed = _aligned_by_id(identified[0], identified[1])
    else:
        origins, changed = _aligned_by_content(before, after)
    operations = _rearrangement(path, len(before), origins, after)
    if operations is None:
        yield PatchOperation(op="replace", path=path, value=after)
        return
    for index in changed:
        origin = origins[index]
        if origin is not None:
            operations += _operations(f"{path}/{index}", before[origin], after[index])
    if len(operations) > len(after) and not any(isinstance(item, dict | list) for item in after):
        yield PatchOperation(op="replace", path=path, value=after)
    else:
        yield from operations


def _ids(items: list[Any]) -> list[str] | None:
    """The ids of the items, if each has one of its own."""
    objects = (item for item in items if isinstance(item, dict))
    ids = [each for item in objects if isinstance(each := item.get("id"), str)]
    return ids if len(set(ids)) == len(items) else None


def _aligned_by_id(before: list[str], after: list[str]) -> _Alignment:
    index = {each: position for position, each in enumerate(before)}
    return _Alignment([index.get(each) for each in after], list(range(len(after))))


def _aligned_by_content(before: list[Any], after: list[Any]) -> _Alignment:
    """Match equal items. Items left over between the same two matches are changed ones."""
    old, new = [fingerprint(item) for item in before], [fingerprint(item) for item in after]
    head, shortest = 0, min(len(old), len(new))
    while head < shortest and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shortest - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle = _origins(old[head : len(old) - tail], new[head : len(new) - tail])
    changed = _pair_leftovers(middle, len(old) - tail - head)
    origins: list[int | None] = [*range(head)]
    origins += [None if origin is None else head + origin for origin in middle]
    origins += range(len(old) - tail, len(old))
    return _Alignment(origins, [head + index for index in changed])


def _origins(old: list[bytes], new: list[bytes]) -> list[int | None]:
    """The n-th item of some content comes from the n-th item of that content."""
    index = {key: position for position, key in enumerate(_numbered(old))}
    return [index.get(key) for key in _numbered(new)]


def _numbered(keys: list[bytes]) -> Iterator[tuple[Hashable, int]]:
    seen: Counter[bytes] = Counter()
    for key in keys:
        yield key, seen[key]
        seen[key] += 1


def _pair_leftovers(origins: list[int | None], before_length: int) -> list[int]:
    """Give each item without an origin one that is left over in the same gap, in order.

    Return the items that got one.
    """
    used = set(origins)
    fixed = _longest_increasing([origin for origin in origins if origin is not None])
    leftover = [index for index in range(before_length) if index not in used]
    by_gap = {
        gap: iter(list(indices))
        for gap, indices in groupby(leftover, key=lambda index: bisect_left(fixed, index))
    }
    changed = []
    gap, staying = 0, set(fixed)
    for index, origin in enumerate(origins):
        if origin in staying:
            gap += 1
        elif origin is None and (found := next(by_gap.get(gap, iter(())), None)) is not None:
            origins[index] = found
            changed.append(index)
    return changed


def _rearrangement(
    path: str, before_length: int, origins: Sequence[int | None], after: list[Any]
) -> list[PatchOperation] | None:
    """Removals, additions and moves that bring each item to its place.

    None: to replace the whole list is less work.
    """
    remaining = [origin for origin in origins if origin is not None]
    fixed = _longest_increasing(remaining)
    used, staying = set(remaining), set(fixed)
    moving = sorted(used - staying)
    edits = before_length - len(used) + len(origins) - len(staying)
    if edits * max(before_length, len(origins)) > ITEMS_SHIFTED_MAX:
        return None
    operations = [
        PatchOperation(op="remove", path=f"{path}/{index}")
        for index in range(before_length - 1, -1, -1)
        if index not in used
    ]
    operations += _placements(path, origins, after, fixed, moving)
    return operations


def _placements(
    path: str, origins: Sequence[int | None], after: list[Any], fixed: list[int], moving: list[int]
) -> Iterator[PatchOperation]:
    """Add and move items in their final order. Items not moved yet wait between the fixed ones.

    The gap of a waiting item is the number of fixed items before it. It stands there behind all
    that was placed in the gap, because each item is placed directly behind the one before it.
    """
    places = {origin: place for place, origin in enumerate(origins)}
    gaps = {index: bisect_left(fixed, index) for index in moving}
    waiting = Counter(gaps.values())
    fixed_passed = waiting_passed = 0
    for place, origin in enumerate(origins):
        if origin is None:
            yield PatchOperation(
                op="add", path=f"{path}/{place + waiting_passed}", value=after[place]
            )
        elif origin not in gaps:
            waiting_passed += waiting[fixed_passed]
            fixed_passed += 1
        else:
            gap, rank = gaps[origin], bisect_left(moving, origin)
            del moving[rank]
            waiting[gap] -= 1
            if gap < fixed_passed:
                source = places[fixed[gap]] + rank
                waiting_passed -= 1
            else:
                source = place + gap - fixed_passed + rank
            target = f"{path}/{place + waiting_passed}"
            yield PatchOperation(op="move", path=target, source=f"{path}/{source}")


def _longest_increasing(numbers: list[int]) -> list[int]:
    """One of the longest increasing subsequences (Fredman 1975), in O(n log n)."""
    ends: list[int] = []
    end_positions: list[int] = []
    previous: list[int] = []
    for position, number in enumerate(numbers):
        length = bisect_left(ends, number)
        previous.append(end_positions[length - 1] if length else -1)
        ends[length : length + 1] = [number]
        end_positions[length : length + 1] = [position]
    chosen = []
    position = end_positions[-1] if end_positions else -1
    while position >= 0:
        chosen.append(numbers[position])
        position = previous[position]
    return chosen[::-1]
