"""The patch between two workflows that names nodes and edges: it is accepted, leads from one to the
other but for the order, and is short.
"""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.workflow_address_diff import patch_between_by_id
from orchestrator.documents.workflow_address_patch import apply_by_id
from orchestrator.documents.workflow_parts import Parts, take_apart
from tests.documents.workflow_cases import chain_of_nodes, edited, workflows


def size(*operations: PatchOperation) -> int:
    return len(msgspec.json.encode(operations))


def replaced(path: str, value: Any) -> int:
    return size(PatchOperation(op="replace", path=path, value=value))


def summary(before: Any, after: Any) -> list[tuple[str, str]]:
    return [(each.op, each.path) for each in patch_between_by_id(before, after)]


@st.composite
def two_versions(draw: st.DrawFn, *, listed: bool | None = None) -> tuple[Any, Any]:
    before = draw(workflows(listed=listed))
    after = draw(st.one_of(edited(before), workflows(listed=listed)))
    for workflow in () if listed else (before, after):
        member = draw(st.sampled_from(["edges", "edges", "dependencies", None]))
        edges = workflow.pop("edges")
        if member is not None or edges:
            workflow[member or "edges"] = edges
    return before, after


def content(workflow: Any) -> Parts:
    """All but where edges are kept; dictionaries are equal in any order."""
    return take_apart(workflow)._replace(inside=set(), edges_member=None)


@given(two_versions())
def test_the_patch_leads_from_one_to_the_other_but_for_the_order(versions: tuple[Any, Any]) -> None:
    before, after = versions
    patch = patch_between_by_id(before, after)
    assert content(apply_by_id(before, patch)[0]) == content(after)
    assert size(*patch) <= replaced("", after)
    assert patch_between_by_id(before, before) == ()


@settings(max_examples=50)
@given(two_versions(listed=True))
def test_no_part_is_longer_than_a_replace_of_it(versions: tuple[Any, Any]) -> None:
    """Beside something long that did not change, so that the whole is not replaced."""
    before, after = ({**each, "long": "x" * 5_000} for each in versions)
    patch = patch_between_by_id(before, after)
    assert content(apply_by_id(before, patch)[0]) == content(after)
    for member in ("nodes", "edges", "metadata"):
        part = [each for each in patch if each.path.startswith(f"/{member}")]
        assert size(*part) <= replaced(f"/{member}", after[member])


LONG = {"type": "t", "note": "n" * 200}
BEFORE: Any = {
    "nodes": [{"id": id_, **LONG} for id_ in "abc"],
    "edges": [{"from": "a", "to": "b", "note": LONG}, {"from": "b", "to": "c", "note": LONG}],
}


def test_what_changed_is_named() -> None:
    after = {
        "nodes": [{"id": "new", **LONG}, BEFORE["nodes"][1], {**BEFORE["nodes"][0], "type": "u"}],
        "edges": [
            {"from": "new", "to": "a", "condition": "x/y"},
            {**BEFORE["edges"][0], "weight": 1},
        ],
        "name": "n",
    }
    assert summary(BEFORE, after) == [
        ("remove", "/edges/b->c"),
        ("add", "/name"),
        ("replace", "/nodes/a/type"),
        ("remove", "/nodes/c"),
        ("add", "/nodes/new"),
        ("add", "/edges/a->b/weight"),
        ("add", "/edges/new->a if x~1y"),
    ]
    assert summary(BEFORE, {**BEFORE, "nodes": BEFORE["nodes"][::-1]}) == []


def test_what_is_shorter_as_a_whole_is_replaced() -> None:
    assert summary(BEFORE, {**BEFORE, "edges": []}) == [("replace", "/edges")]
    assert summary(BEFORE, {"nodes": [{"id": "z"}]}) == [("replace", "")]
    listed = {**BEFORE, "dependencies": BEFORE["edges"]}
    del listed["edges"]
    assert summary(BEFORE, listed) == [("remove", "/edges"), ("add", "/dependencies")]
    mapped = {**BEFORE, "nodes": {node["id"]: node for node in BEFORE["nodes"]}}
    assert summary(BEFORE, mapped) == [("replace", "/nodes")]


def test_dependencies_of_nodes_are_edges() -> None:
    a, b, c = LONG, {**LONG, "dependencies": ["a"]}, {**LONG, "dependencies": ["a", "b"]}
    before = {"nodes": {"a": a, "b": b, "c": c}}
    after = {
        "nodes": {"a": {**a, "dependencies": ["b"]}, "b": LONG, "c": {**c, "dependencies": ["b"]}}
    }
    short: Any = {"nodes": {"a": {"type": "t"}, "b": {"type": "t", "dependencies": ["a"]}}}
    other: Any = {"nodes": {**short["nodes"], "b": {**short["nodes"]["b"], "type": "u", "x": {}}}}
    assert apply_by_id(short, patch_between_by_id(short, other))[0] == other
    assert summary(before, after) == [
        ("remove", "/edges/a->b"),
        ("remove", "/edges/a->c"),
        ("add", "/nodes/a/dependencies"),
        ("remove", "/nodes/b/dependencies"),
        ("add", "/edges/b->a"),
    ]


@pytest.mark.slow
def test_large_workflows_are_compared_and_patched_in_linear_time() -> None:
    """A third of all nodes is gone, as many are new, and all others are changed."""
    before, after = chain_of_nodes(6_000), chain_of_nodes(8_000)
    for workflow, type_ in ((before, "http"), (after, "task")):
        workflow["nodes"] = [{**node, **LONG, "type": type_} for node in workflow["nodes"]]
    after["nodes"], after["edges"] = after["nodes"][2_000:], after["edges"][2_000:]
    start = time.process_time()
    patch = patch_between_by_id(before, after)
    result, _ = apply_by_id(before, patch)
    assert time.process_time() - start < 20
    assert len(patch) > 8_000
    assert result == after
