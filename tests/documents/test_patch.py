"""JSON Patch and Merge Patch: the public cases, the bounds, and the laws that hold for all."""

import copy
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.canonical import parse
from orchestrator.documents.equality import equal
from orchestrator.documents.merge_patch import merge_patch_operations
from orchestrator.documents.patch import (
    PatchFailed,
    PatchOperation,
    apply,
    invert,
    parse_operations,
)
from orchestrator.documents.patch_draft import PatchLimits
from orchestrator.errors import InvalidInput
from tests.documents.patch_cases import FAILING_CASES, MERGE_PATCH_CASES, PASSING_CASES

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, -2.25])
    | st.sampled_from(["", "a", "~1", "/", "é", "-", "0"]),
    lambda children: (
        st.lists(children, max_size=6)
        | st.dictionaries(
            st.sampled_from(["a", "b", "id", "~", "a/b", "", "0"]), children, max_size=4
        )
    ),
    max_leaves=25,
)
BOMB_SECONDS_MAX = 0.05
BOMB_MEMORY_BYTES_MAX = 10_000_000


def patched(document: Any, *operations: dict[str, Any], limits: PatchLimits | None = None) -> Any:
    patch: Any = list(operations)
    return apply(document, parse_operations(patch), limits=limits or PatchLimits())


def size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize(("document", "operations", "expected"), PASSING_CASES)
def test_a_patch_of_the_public_cases_gives_what_it_should(
    document: Any, operations: list[Any], expected: Any
) -> None:
    untouched = copy.deepcopy(document)
    result = patched(document, *operations)
    assert equal(result, expected)
    assert equal(document, untouched)
    back = invert(document, parse_operations(operations))
    assert equal(apply(result, back), document)


@pytest.mark.parametrize(("document", "operations", "rule"), FAILING_CASES)
def test_a_bad_patch_of_the_public_cases_is_refused(
    document: Any, operations: list[Any], rule: str
) -> None:
    untouched = copy.deepcopy(document)
    with pytest.raises((InvalidInput, PatchFailed)) as caught:
        patched(document, *operations)
    error: Any = caught.value
    assert [violation.rule for violation in error.errors] == [rule]
    assert equal(document, untouched)


def test_an_operation_with_two_op_members_is_refused_when_it_is_parsed() -> None:
    body = b'[{"op": "add", "path": "/baz", "value": "qux", "op": "remove"}]'
    with pytest.raises(InvalidInput) as caught:
        parse(body, bytes_max=1_000)
    assert [violation.rule for violation in caught.value.errors] == ["duplicate-key"]


@pytest.mark.parametrize(("document", "patch", "expected"), MERGE_PATCH_CASES)
def test_a_merge_patch_of_rfc_7396_gives_what_it_should(
    document: Any, patch: Any, expected: Any
) -> None:
    assert equal(apply(document, merge_patch_operations(document, patch)), expected)


def merged_as_in_the_rfc(target: Any, patch: Any) -> Any:
    """The pseudo-code of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged_as_in_the_rfc(target.get(name), value)
    return target


@given(JSON, JSON)
def test_a_merge_patch_amounts_to_what_the_rfc_says(document: Any, patch: Any) -> None:
    operations = merge_patch_operations(document, patch)
    assert equal(apply(document, operations), merged_as_in_the_rfc(document, patch))


def test_a_merge_patch_that_changes_nothing_is_no_operation() -> None:
    assert merge_patch_operations({"a": {"b": 1}}, {"a": {"b": 1, "c": None}}) == ()


def test_all_violations_of_shape_are_reported_at_once() -> None:
    patch: list[Any] = [
        {"op": "add", "path": "/a", "value": 1},
        7,
        {"op": "spam", "path": "a"},
        {"path": "/a~2"},
        {"op": "copy", "path": "/a", "from": 1},
        {"op": "test"},
        {"op": "move", "from": "/a", "path": "/a/b"},
        {"op": ["add"], "path": "/"},
    ]
    with pytest.raises(InvalidInput) as caught:
        parse_operations(patch)
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [
        ("/1", "type"),
        ("/2/op", "op"),
        ("/2/path", "pointer"),
        ("/3/op", "required"),
        ("/3/path", "pointer"),
        ("/4/from", "pointer"),
        ("/5/path", "required"),
        ("/5/value", "required"),
        ("/6/path", "move-into-itself"),
        ("/7/op", "op"),
    ]


def test_a_patch_is_a_list() -> None:
    with pytest.raises(InvalidInput, match="list of operations"):
        parse_operations({"op": "remove", "path": "/a"})


def test_operations_are_written_as_they_are_read() -> None:
    patch: Any = [
        {"op": "add", "path": "/a", "value": None},
        {"op": "move", "path": "/b", "from": "/a"},
        {"op": "remove", "path": "/b"},
    ]
    assert msgspec.to_builtins(list(parse_operations(patch))) == patch


def test_a_failing_operation_is_named() -> None:
    with pytest.raises(PatchFailed) as caught:
        patched(
            {"a": []}, {"op": "add", "path": "/a/0", "value": 1}, {"op": "remove", "path": "/b"}
        )
    failed = caught.value
    assert (failed.index, failed.op, failed.path, failed.rule) == (1, "remove", "/b", "not-found")
    assert str(failed) == 'Operation 1 (remove "/b") failed: there is no member "b".'
    assert failed.errors[0].pointer == "/1"


@pytest.mark.parametrize("index", ["00", "01", "+1", "1.0", "1e0", "-1", " 1", "\u0661", ""])
def test_only_plain_digits_are_an_index(index: str) -> None:
    with pytest.raises(PatchFailed) as caught:
        patched([1, 2], {"op": "test", "path": f"/{index}", "value": 2})
    assert caught.value.rule == "index"


@pytest.mark.parametrize("path", ["/-", "/2", "/999999999999", f"/1{'0' * 5_000}", "/0/a", "/0/-"])
def test_what_is_not_there_cannot_be_removed_or_tested(path: str) -> None:
    for op in ("remove", "test"):
        with pytest.raises(PatchFailed) as caught:
            patched([1, 2], {"op": op, "path": path, "value": 1})
        assert caught.value.rule == "not-found"


def test_what_did_not_change_is_shared_with_the_document() -> None:
    document = {"nodes": [{"id": "a"}, {"id": "b"}], "metadata": {"x": 1}}
    result = patched(document, {"op": "add", "path": "/nodes/0/type", "value": "http"})
    assert result["nodes"][1] is document["nodes"][1]  # type: ignore[index]
    assert result["metadata"] is document["metadata"]


def test_a_value_put_in_is_never_changed_by_later_operations() -> None:
    value: dict[str, Any] = {"list": []}
    operations = parse_operations(
        [
            {"op": "add", "path": "/a", "value": value},
            {"op": "add", "path": "/b", "value": value},
            {"op": "add", "path": "/a/list/-", "value": 1},
        ]
    )
    assert apply({}, operations) == {"a": {"list": [1]}, "b": {"list": []}}
    assert apply({}, operations) == {"a": {"list": [1]}, "b": {"list": []}}
    assert value == {"list": []}


def test_the_operations_that_take_back_a_move_over_something_put_it_back() -> None:
    document: Any = {"b": {"x": 1, "y": 2}, "list": [1, {}, {"x": 3}]}
    operations = parse_operations(
        [
            {"op": "move", "from": "/b/x", "path": "/b"},
            {"op": "move", "from": "/list/0", "path": "/list/1/x"},
            {"op": "move", "from": "/b", "path": "/list/-"},
        ]
    )
    result = apply(document, operations)
    assert result == {"list": [{}, {"x": 1}, 1]}
    assert apply(result, invert(document, operations)) == document


def copies(document: Any, *steps: tuple[str, str]) -> tuple[Any, list[Any]]:
    return document, [{"op": "copy", "from": source, "path": path} for source, path in steps]


BOMBS = {
    "doubling list": copies({"a": ["x" * 10]}, *[("/a", "/a/-")] * 40),
    "doubling object": copies({"a": {"x": 1}}, *[("/a", f"/a/{n}") for n in range(40)]),
    "doubling root": copies({"x": "text"}, *[("", f"/{n}") for n in range(60)]),
    "two lists in turns": copies({"a": ["x"], "b": ["y"]}, *[("/a", "/b/-"), ("/b", "/a/-")] * 30),
    "nested": copies({"a": {"a": {}}}, *[("/a", "/a/a/a" + "/a" * n) for n in range(62)]),
    "deeper by copies": copies({"a": {}}, *[("", "/a" * n) for n in range(1, 62)]),
    "doubled depth": copies({"a": {}}, *[("", "/a" * (2**n)) for n in range(7)]),
    "a batch of copies": copies(
        {"a": ["x" * 1_000]}, *[("/a", "/a/0")] * 22, *[("/a", "/b")] * 900
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_copies_is_refused_fast_and_in_little_memory(name: str) -> None:
    document, patch = BOMBS[name]
    operations = parse_operations(patch)

    def refuse() -> None:
        with pytest.raises(PatchFailed) as caught:
            apply(document, operations)
        assert caught.value.rule in {"result-size", "depth"}

    fastest = min(_seconds(refuse) for _ in range(3))
    tracemalloc.start()
    refuse()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fastest < BOMB_SECONDS_MAX
    assert peak < BOMB_MEMORY_BYTES_MAX


def _seconds(work: Any) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.slow
def test_many_writes_and_copies_of_a_huge_list_are_too_much_work() -> None:
    document = {"a": [0] * 100_000}
    step: list[dict[str, Any]] = [
        {"op": "add", "path": "/a/0", "value": 1},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "remove", "path": "/b"},
    ]
    with pytest.raises(PatchFailed) as caught:
        patched(document, *step * 300, limits=PatchLimits(work_max=100_000_000))
    assert caught.value.rule == "work"


def test_the_result_may_have_exactly_as_many_bytes_as_allowed() -> None:
    document = {"a": "é"}
    limit = size({"a": "é", "b": [1, 2]})
    add = {"op": "add", "path": "/b", "value": [1, 2]}
    assert patched(document, add, limits=PatchLimits(bytes_max=limit)) == {"a": "é", "b": [1, 2]}
    with pytest.raises(PatchFailed, match=f"more than {limit - 1} bytes"):
        patched(document, add, limits=PatchLimits(bytes_max=limit - 1))


def test_the_result_may_nest_exactly_as_deep_as_allowed() -> None:
    deep: Any = []
    for _ in range(62):
        deep = [deep]
    assert patched({}, {"op": "add", "path": "/a", "value": deep}) == {"a": deep}
    for value in ([deep], deep):
        with pytest.raises(PatchFailed) as caught:
            patched({"b": {}}, {"op": "add", "path": "/b/a", "value": value})
        assert caught.value.rule == "depth"
    for _ in range(2_000):
        deep = [deep]
    with pytest.raises(PatchFailed) as caught:
        patched({}, {"op": "replace", "path": "", "value": deep[0]})
    assert caught.value.rule == "depth"


#: Documents that operations can do something to; and others.
HOLDERS = (
    st.lists(JSON, max_size=6) | st.dictionaries(st.sampled_from(["a", "id", "~", "0"]), JSON)
) | JSON


@st.composite
def documents_and_operations(draw: st.DrawFn) -> tuple[Any, list[PatchOperation]]:
    """A document and operations that can be applied, almost all of which were drawn."""
    document = draw(HOLDERS)
    result, operations = document, []
    for _ in range(draw(st.integers(1, 8))):
        places = list(_places(result, ""))
        op: Any = draw(st.sampled_from(["add", "remove", "replace", "move", "copy"]))
        path, there = draw(st.sampled_from(places))
        if op not in {"remove", "replace"} and isinstance(there, dict | list):
            names = ["/a", "/b"] if isinstance(there, dict) else ["/-", "/0"]
            path += draw(st.sampled_from(names))
        source, _ = draw(st.sampled_from(places))
        value = draw(JSON if path else HOLDERS)
        operation = PatchOperation(op=op, path=path, source=source, value=value)
        try:
            operation = parse_operations([msgspec.to_builtins(operation)])[0]
            result = apply(result, [operation])
        except (InvalidInput, PatchFailed):
            continue
        operations.append(operation)
    return document, operations


def _places(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The pointers of all that a document consists of, and what is there."""
    yield path, value
    if isinstance(value, dict | list):
        children: Any = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in children:
            name = str(key).replace("~", "~0").replace("/", "~1")
            yield from _places(child, f"{path}/{name}")


def applied_naively(document: Any, operations: list[PatchOperation]) -> Any:
    """A reference without bounds, sharing or care: it copies everything before each operation."""
    holder = [copy.deepcopy(document)]
    for each in operations:
        holder = copy.deepcopy(holder)
        value = copy.deepcopy(each.value)
        if each.op in {"move", "copy"}:
            parent, key = _place(holder, str(each.source))
            value = copy.deepcopy(parent[key])
        if each.op in {"remove", "move"} and each.path != each.source:
            parent, key = _place(holder, each.path if each.op == "remove" else str(each.source))
            if parent is holder:
                holder[0] = None
            else:
                del parent[key]
        if each.op != "remove" and not (each.op == "move" and each.path == each.source):
            parent, key = _place(holder, each.path)
            if isinstance(parent, list) and parent is not holder and each.op != "replace":
                parent.insert(key, value)
            else:
                parent[key] = value
    return holder[0]


def _place(holder: list[Any], path: str) -> tuple[Any, Any]:
    parent: Any = holder
    key: Any = 0
    for token in path.split("/")[1:]:
        parent, key = parent[key], token.replace("~1", "/").replace("~0", "~")
        if isinstance(parent, list):
            key = len(parent) if key == "-" else int(key)
    return parent, key


@given(documents_and_operations())
def test_operations_do_what_a_naive_reference_does_and_can_be_inverted(
    case: tuple[Any, list[PatchOperation]],
) -> None:
    document, operations = case
    untouched = copy.deepcopy(document)
    result = apply(document, operations)
    assert equal(result, applied_naively(document, operations))
    assert equal(document, untouched)
    assert equal(apply(result, invert(document, operations)), document)
    assert equal(document, untouched)
    if isinstance(result, dict | list):
        assert_the_size_is_known(document, operations, result)


def assert_the_size_is_known(document: Any, operations: list[PatchOperation], result: Any) -> None:
    # This makes the result larger than it ever was, so its size is what the limit is about.
    path = "/a new member" if isinstance(result, dict) else "/-"
    operations = [*operations, PatchOperation(op="add", path=path, value="x" * 5_000)]
    limit = size(apply(document, operations))
    apply(document, operations, limits=PatchLimits(bytes_max=limit))
    with pytest.raises(PatchFailed, match=f"more than {limit - 1} bytes"):
        apply(document, operations, limits=PatchLimits(bytes_max=limit - 1))


def test_what_is_new_may_come_before_what_is_old_has_gone() -> None:
    """So a document may have more bytes between two operations than its result may have."""
    document, limits = {"old": "x" * 50}, PatchLimits(bytes_max=70)
    new: dict[str, Any] = {"op": "add", "path": "/new", "value": "y" * 50}
    gone = {"op": "remove", "path": "/old"}
    assert patched(document, new, gone, limits=limits) == {"new": "y" * 50}
    for operations, at in (([new], 0), ([new, {**new, "path": "/more"}, gone], 1)):
        with pytest.raises(PatchFailed) as caught:
            patched(document, *operations, limits=limits)
        assert (caught.value.rule, caught.value.index) == ("result-size", at)
