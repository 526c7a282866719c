"""Where the items of a list come from, and the operations that bring them there.

Items are known by their `id` if all have one, else by their content. Moves are found with a longest
increasing subsequence, in O(n log n). The shortest edit script would take quadratic time: the
operations are exact and few, but not always the fewest.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from orchestrator.documents.equality import fingerprint
from orchestrator.documents.patch import PatchOperation

# To align two lists costs a few microseconds for each item between what is equal at both ends.
ITEMS_ALIGNED_MAX = 500_000
# Each operation on a list shifts the items behind it. A patch that would shift more than this many
# in one list (a tenth of a second) replaces the list.
ITEMS_SHIFTED_MAX = 250_000_000


class Alignment(NamedTuple):
    """Two lists, item by item, between what is the same at both ends.

    `origins` has for each of the items after, from the index `first` on, the one before that it
    comes from, counted from `first`, too. `pairs` are the indexes, before and after, of items that
    may have changed.
    """

    first: int
    before_length: int
    origins: list[int | None]
    pairs: list[tuple[int, int]]


def align(before: list[Any], after: list[Any], operations_max: int) -> Alignment | None:
    """None if it would take too long, or to more than so many operations."""
    ids = _ids(before), _ids(after)
    old: Sequence[Hashable] = ids[0] or ()
    new: Sequence[Hashable] = ids[1] or ()
    is_by_content = ids[0] is None or ids[1] is None
    if is_by_content:
        old, new = [fingerprint(item) for item in before], [fingerprint(item) for item in after]
    head, tail = _equal_ends(old, new)
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    if max(len(old), len(new)) > ITEMS_ALIGNED_MAX:
        return None
    if is_by_content and len(old) == len(new) == 1:
        return Alignment(head, 1, [0], [(head, head)])
    origins = _origins(old, new)
    added = origins.count(None)
    removed = len(old) - (len(new) - added)
    # An operation can put one item in the place of another, but no more.
    if max(added, removed) > operations_max:
        return None
    if is_by_content:
        changed = _pair_leftovers(origins, len(old)) if added and removed else ()
        pairs = [(origin, index) for index in changed if (origin := origins[index]) is not None]
        pairs = [(head + origin, head + index) for origin, index in pairs]
    else:
        pairs = [(index, index) for index in range(head)]
        pairs += [
            (head + origin, head + index)
            for index, origin in enumerate(origins)
            if origin is not None
        ]
        pairs += zip(
            range(len(before) - tail, len(before)),
            range(len(after) - tail, len(after)),
            strict=True,
        )
    return Alignment(head, len(old), origins, pairs)


def _ids(items: list[Any]) -> list[str] | None:
    """The ids of the items, if each has one of its own."""
    objects = (item for item in items if isinstance(item, dict))
    ids = [each for item in objects if isinstance(each := item.get("id"), str)]
    return ids if len(set(ids)) == len(items) else None


def _equal_ends(old: Sequence[Hashable], new: Sequence[Hashable]) -> tuple[int, int]:
    """How many are equal at the beginning, and how many of the others at the end."""
    head, shortest = 0, min(len(old), len(new))
    while head < shortest and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shortest - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return head, tail


def _origins(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[int | None]:
    """The n-th item of some content comes from the n-th item of that content."""
    if len(set(old)) < len(old) or len(set(new)) < len(new):
        old, new = list(_numbered(old)), list(_numbered(new))
    index = {key: position for position, key in enumerate(old)}
    return [index.get(key) for key in new]


def _numbered(keys: Sequence[Hashable]) -> Iterator[tuple[Hashable, int]]:
    seen: Counter[Hashable] = Counter()
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


def rearrangement(
    path: str, alignment: Alignment, after: list[Any], operations_max: int
) -> list[PatchOperation] | None:
    """Removals, additions and moves that bring each item to its place.

    None if they are more than so many, or would shift too many items.
    """
    origins = alignment.origins
    if origins == [0] and alignment.before_length == 1:
        return []
    remaining = [origin for origin in origins if origin is not None]
    fixed = _longest_increasing(remaining)
    used, staying = set(remaining), set(fixed)
    moving = sorted(used - staying)
    edits = alignment.before_length - len(used) + len(origins) - len(staying)
    longer = max(alignment.before_length, len(origins))
    if edits > operations_max or edits * longer > ITEMS_SHIFTED_MAX:
        return None
    first = alignment.first
    operations = [
        PatchOperation(op="remove", path=f"{path}/{first + index}")
        for index in range(alignment.before_length - 1, -1, -1)
        if index not in used
    ]
    operations += _placements(path, alignment, after, fixed, moving)
    return operations


def _placements(
    path: str, alignment: Alignment, after: list[Any], fixed: list[int], moving: list[int]
) -> Iterator[PatchOperation]:
    """Add and move items in their final order. Items not moved yet wait between the fixed ones.

    The gap of a waiting item is the number of fixed items before it. It stands there behind all
    that was placed in the gap, because each item is placed directly behind the one before it.
    """
    first, origins = alignment.first, alignment.origins
    places = {origin: place for place, origin in enumerate(origins)}
    gaps = {index: bisect_left(fixed, index) for index in moving}
    waiting = Counter(gaps.values())
    fixed_passed = waiting_passed = 0
    for place, origin in enumerate(origins):
        if origin is None:
            target = f"{path}/{first + place + waiting_passed}"
            yield PatchOperation(op="add", path=target, value=after[first + place])
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
            target = f"{path}/{first + place + waiting_passed}"
            yield PatchOperation(op="move", path=target, source=f"{path}/{first + source}")


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
