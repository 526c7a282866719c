"""The JSON Patch between two values: exact, not longer than a replace, found in linear time."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.equality import equal
from orchestrator.documents.patch import PatchOperation, apply
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.workflow_diff import diff_workflows
from tests.documents.test_patch import JSON


def size(*operations: PatchOperation) -> int:
    return len(msgspec.json.encode(operations))


def assert_leads_from_one_to_the_other(a: Any, b: Any) -> None:
    patch = patch_between(a, b)
    assert equal(apply(a, patch), b)
    assert size(*patch) <= size(PatchOperation(op="replace", path="", value=b))


@given(JSON, JSON)
def test_the_patch_between_two_values_leads_from_one_to_the_other(a: Any, b: Any) -> None:
    assert_leads_from_one_to_the_other(a, b)
    assert patch_between(a, a) == ()
    free = patch_between(a, b, object_bytes_free=4_096)
    assert equal(apply(a, free), b)
    # Beside something long that did not change, so that the whole is not replaced.
    long = "x" * 10_000
    patch = patch_between({"part": a, "long": long}, {"part": b, "long": long})
    assert size(*patch) <= size(PatchOperation(op="replace", path="/part", value=b))


ITEMS = st.lists(st.integers(0, 8), max_size=14)


@given(ITEMS, ITEMS)
def test_the_patch_between_two_lists_leads_from_one_to_the_other(a: Any, b: Any) -> None:
    assert_leads_from_one_to_the_other(a, b)
    for wrap in (
        lambda item: [item, "x"],
        lambda item: [[[item]]],
        lambda item: {"x": f"item {item}" * 9},
        lambda item: {"x": {"y": item}, "z": "z" * 99},
    ):
        assert_leads_from_one_to_the_other([wrap(item) for item in a], [wrap(item) for item in b])


@given(st.data())
def test_the_patch_between_long_lists_with_some_edits_is_exact_and_short(
    data: st.DataObject,
) -> None:
    before: Any = [f"item number {number}" for number in range(60)]
    after = [*before]
    edits = data.draw(st.integers(1, 6))
    for _ in range(edits):
        place = data.draw(st.integers(0, len(after) - 1))
        match data.draw(st.sampled_from(["add", "remove", "replace", "move"])):
            case "add":
                after.insert(place, "new")
            case "remove":
                del after[place]
            case "replace":
                after[place] = "changed"
            case "move":
                after.insert(data.draw(st.integers(0, len(after) - 1)), after.pop(place))
    assert_leads_from_one_to_the_other(before, after)
    assert_leads_from_one_to_the_other({"a": before, "b": 1}, {"a": after, "b": 2})
    assert len(patch_between(before, after)) <= 2 * edits


@given(st.permutations(range(9)), st.permutations(range(9)), st.integers(0, 9), st.integers(0, 9))
def test_the_patch_between_lists_of_identified_items_moves_them(
    a: list[int], b: list[int], taken_from_a: int, taken_from_b: int
) -> None:
    before: Any = [{"id": str(n), "x": [n]} for n in a[taken_from_a:]]
    after: Any = [{"id": str(n), "x": [n, taken_from_a]} for n in b[taken_from_b:]]
    patch = patch_between(before, after)
    assert equal(apply(before, patch), after)
    common = {item["id"] for item in before} & {item["id"] for item in after}
    moves = [each for each in patch if each.op == "move"]
    assert len(moves) < max(1, len(common))


def summary(before: Any, after: Any) -> list[tuple[str, str]]:
    return [(each.op, each.path) for each in patch_between(before, after)]


def test_the_patch_between_lists_follows_the_ids() -> None:
    a, b, c = ({"id": name, "x": 1, "long": "x" * 99} for name in "abc")
    assert summary([a, b], [c, a, b]) == [("add", "/0")]
    assert summary([a, b, c], [b, c]) == [("remove", "/0")]
    assert summary([a, b, c], [b, c, a]) == [("move", "/2")]
    assert summary([a, b], [b, {**a, "x": 2}]) == [("move", "/0"), ("replace", "/1/x")]


def test_the_patch_between_other_lists_follows_the_content() -> None:
    rules = [{"when": n, "to": "x", "of": "y"} for n in range(5)]
    assert summary(rules, [{"when": 9}, *rules]) == [("add", "/0")]
    assert summary(rules, rules[1:]) == [("remove", "/0")]
    changed = [*rules[:2], {**rules[2], "to": "z"}, *rules[3:]]
    assert summary(rules, changed) == [("replace", "/2/to")]
    assert summary(["x", "y", "x"], ["y", "x"]) == [("remove", "/0")]


def test_a_list_of_other_scalars_is_replaced_by_one_operation() -> None:
    assert summary([1, 2, 3, 4], [5, 6, 7]) == [("replace", "")]


def test_true_and_1_are_different_and_1_and_1_0_are_not() -> None:
    long = "x" * 99
    before, after = {"a": 1, "b": [True], "c": long}, {"a": True, "b": [1], "c": long}
    assert summary(before, after) == [
        ("replace", "/a"),
        ("replace", "/b/0"),
    ]
    assert summary({"a": [1, {"b": 2}]}, {"a": [1.0, {"b": 2.0}]}) == []


def nested(depth: int, item: Any) -> Any:
    for _ in range(depth):
        item = [item]
    return item


def in_pairs(depth: int, item: int) -> Any:
    return [in_pairs(depth - 1, item), in_pairs(depth - 1, item + 1)] if depth else item


#: Each is made by its test: together they are a million objects.
LARGE_VALUES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "nested": lambda: (
        [nested(60, number) for number in range(6_000)],
        [nested(60, -number) for number in range(1, 6_001)],
    ),
    "in pairs": lambda: (in_pairs(15, 0), in_pairs(15, 100)),
    "many short lists": lambda: (
        [[number, 0] for number in range(100_000)],
        [[number, 1] for number in range(100_000)],
    ),
    "a map of lists": lambda: (
        {str(number): [number, 0] for number in range(30_000)},
        {str(number): [number, 1] for number in range(30_000)},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_VALUES)
def test_large_values_of_lists_are_compared_within_seconds(name: str) -> None:
    before, after = LARGE_VALUES[name]()
    start = time.process_time()
    patch = patch_between(before, after)
    diff_workflows(*({"nodes": [], "m": value} for value in (before, after)))
    assert time.process_time() - start < 40, "pairs of items would take an hour"
    assert equal(apply(before, patch), after)


@pytest.mark.slow
def test_two_lists_of_700_000_items_are_compared_to_the_last_edit() -> None:
    before: Any = [*range(700_000)]
    after = [*before[:300_000], -1, *before[300_001:400_000], *before[400_001:], -2]
    start = time.process_time()
    patch = patch_between(before, after)
    assert time.process_time() - start < 10
    assert [(each.op, each.path) for each in patch] == [
        ("remove", "/400000"),
        ("add", "/699999"),
        ("replace", "/300000"),
    ]
    assert summary(before, before[::-1]) == [("replace", "")]


@pytest.mark.slow
def test_a_huge_list_is_compared_in_bounded_time() -> None:
    before = [{"id": str(n)} for n in range(50_000)]
    start = time.process_time()
    assert summary(before, before[::-1]) == [("replace", "")]
    assert summary(before, [{"id": "new"}, *before]) == [("add", "/0")]
    assert summary([0] * 600_000, [1] * 600_000) == [("replace", "")]
    assert time.process_time() - start < 5
