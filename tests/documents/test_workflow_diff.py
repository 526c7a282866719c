"""The diff of workflows: what it says of nodes, edges and renames, and the patch between them."""

import copy
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.documents.equality import equal
from orchestrator.documents.patch import apply
from orchestrator.documents.patch_difference import patch_between
from orchestrator.documents.workflow_diff import WorkflowDiff, diff_workflows
from orchestrator.documents.workflow_diff_text import render_text
from orchestrator.documents.workflow_parts import put_together, take_apart
from tests.documents.workflow_cases import (
    chain_of_nodes,
    edited,
    needs_data,
    real_workflow,
    workflows,
)

BEFORE: Any = {
    "metadata": {"name": "nightly", "owner": "ann"},
    "nodes": [
        {"id": "fetch", "type": "http", "config": {"timeout": 20}},
        {"id": "clean", "type": "task"},
        {"id": "report", "type": "task", "config": {"to": ["ann"]}},
    ],
    "edges": [
        {"from": "fetch", "to": "clean"},
        {"from": "clean", "to": "report", "condition": "rows > 0"},
    ],
}
REAL_PAIRS = [("rnaseq", "rnaseq"), ("rnaseq", "sarek"), ("1000genome", "bwa"), ("blast", "srase")]


def changed(**members: Any) -> Any:
    return {**copy.deepcopy(BEFORE), **members}


def ids(diff: WorkflowDiff) -> dict[str, list[str]]:
    return {
        "added": [each.id for each in diff.nodes_added],
        "removed": [each.id for each in diff.nodes_removed],
        "renamed": [f"{each.before} {each.after}" for each in diff.nodes_renamed],
        "changed": [each.id for each in diff.nodes_changed],
    }


def test_a_workflow_does_not_differ_from_itself() -> None:
    diff = diff_workflows(BEFORE, copy.deepcopy(BEFORE))
    assert diff.is_empty
    assert not diff.reordered
    assert render_text(diff, colour=True) == ""


def test_a_node_in_front_is_one_added_node_and_one_operation() -> None:
    first = {"id": "first", "type": "task"}
    after = changed(nodes=[first, *BEFORE["nodes"]])
    diff = diff_workflows(BEFORE, after)
    assert ids(diff) == {"added": ["first"], "removed": [], "renamed": [], "changed": []}
    assert not diff.reordered
    assert [(each.op, each.path) for each in patch_between(BEFORE, after)] == [("add", "/nodes/0")]


def test_a_moved_node_is_no_difference_but_the_order() -> None:
    after = changed(nodes=BEFORE["nodes"][::-1])
    diff = diff_workflows(BEFORE, after)
    assert diff.is_empty
    assert diff.reordered
    assert {each.op for each in patch_between(BEFORE, after)} == {"move"}


def test_the_patch_of_a_changed_node_starts_at_the_node() -> None:
    after = changed()
    after["nodes"][0]["config"]["timeout"] = 30
    (change,) = diff_workflows(BEFORE, after).nodes_changed
    assert change.id == "fetch"
    assert msgspec.to_builtins(list(change.patch)) == [
        {"op": "replace", "path": "/config/timeout", "value": 30}
    ]
    assert equal(apply(BEFORE["nodes"][0], change.patch), after["nodes"][0])
    assert equal(apply(after["nodes"][0], change.inverse), BEFORE["nodes"][0])


def test_an_edge_is_told_by_its_ends_and_its_condition() -> None:
    after = changed()
    after["edges"][0]["label"] = "raw"
    after["edges"][1]["condition"] = "rows > 9"
    diff = diff_workflows(BEFORE, after)
    assert [each.condition for each in diff.edges_changed] == [None]
    assert [each["condition"] for each in diff.edges_added] == ["rows > 9"]
    assert [each["condition"] for each in diff.edges_removed] == ["rows > 0"]


def test_the_shape_of_nodes_and_edges_is_no_difference() -> None:
    in_map = {
        "metadata": BEFORE["metadata"],
        "nodes": {
            "report": {"type": "task", "config": {"to": ["ann"]}},
            "clean": {"type": "task", "dependencies": ["fetch"]},
            "fetch": {"id": "fetch", "type": "http", "config": {"timeout": 20}},
        },
        "dependencies": [BEFORE["edges"][1]],
    }
    diff = diff_workflows(BEFORE, in_map)
    assert diff.is_empty
    assert not diff.reordered
    assert equal(apply(BEFORE, patch_between(BEFORE, in_map)), in_map)


def renamed(workflow: Any, names: dict[str, str]) -> Any:
    result = copy.deepcopy(workflow)
    for node in result["nodes"]:
        node["id"] = names.get(node["id"], node["id"])
    for edge in result["edges"]:
        edge["from"] = names.get(edge["from"], edge["from"])
        edge["to"] = names.get(edge["to"], edge["to"])
    return result


def test_a_renamed_node_takes_its_edges_along() -> None:
    diff = diff_workflows(BEFORE, renamed(BEFORE, {"clean": "tidy"}))
    assert ids(diff) == {"added": [], "removed": [], "renamed": ["clean tidy"], "changed": []}
    assert (diff.edges_added, diff.edges_removed, diff.reordered) == ((), (), False)


def test_all_nodes_renamed_at_once_are_recognised() -> None:
    names = {"fetch": "c", "clean": "b", "report": "a"}
    diff = diff_workflows(BEFORE, renamed(BEFORE, names))
    assert ids(diff)["renamed"] == ["fetch c", "clean b", "report a"]
    assert not diff.edges_added


def test_nodes_of_equal_content_are_told_apart_by_their_edges() -> None:
    before = chain_of_nodes(5)
    for node in before["nodes"]:
        node["config"] = {}
    diff = diff_workflows(before, renamed(before, {"n1": "x1", "n2": "x2", "n3": "x3"}))
    assert ids(diff)["renamed"] == ["n1 x1", "n2 x2", "n3 x3"]


def test_a_renamed_node_may_have_got_a_further_edge() -> None:
    after = renamed(BEFORE, {"clean": "tidy"})
    after["nodes"].append({"id": "audit", "type": "hitl"})
    after["edges"].append({"from": "tidy", "to": "audit"})
    diff = diff_workflows(BEFORE, after)
    assert ids(diff)["renamed"] == ["clean tidy"]
    assert diff.edges_added == ({"from": "tidy", "to": "audit"},)


def test_a_rename_is_not_guessed_between_two_nodes() -> None:
    twins = [{"id": f"twin{n}", "type": "task"} for n in range(2)]
    before = changed(nodes=[*BEFORE["nodes"], *twins])
    diff = diff_workflows(before, renamed(before, {"twin0": "x", "twin1": "y"}))
    assert ids(diff)["renamed"] == []
    assert ids(diff)["added"] == ["x", "y"]


def test_equal_content_elsewhere_is_no_rename() -> None:
    after = changed()
    after["nodes"][1]["id"] = "other"
    after["edges"] = [{"from": "fetch", "to": "report"}, {"from": "report", "to": "other"}]
    before = changed(edges=[{"from": "fetch", "to": "clean"}, {"from": "fetch", "to": "report"}])
    assert ids(diff_workflows(before, after))["renamed"] == []


def test_the_text_has_a_line_for_each_change() -> None:
    after = changed(metadata={"name": "nightly", "owner": "bob"})
    after["nodes"] = [
        {"id": "audit", "type": "hitl"},
        {"id": "report", "type": "task", "config": {"to": ["bob", "ann"]}},
        {"id": "get", "type": "http", "config": {"timeout": 20}},
    ]
    after["edges"] = [{"from": "get", "to": "report"}, {"from": "report", "to": "audit"}]
    before = changed(
        edges=[*BEFORE["edges"], {"from": "fetch", "to": "report", "condition": "x\x1b[2J"}]
    )
    assert render_text(diff_workflows(before, after), colour=False) == (
        '- /metadata/owner: "ann"\n'
        '+ /metadata/owner: "bob"\n'
        "- node fetch (http)\n"
        "- node clean (task)\n"
        "+ node audit (hitl)\n"
        "+ node get (http)\n"
        "~ node report\n"
        '    + /config/to/0: "bob"\n'
        "- edge fetch → clean\n"
        "- edge clean → report if rows > 0\n"
        "- edge fetch → report if x\\u001b[2J\n"
        "+ edge get → report\n"
        "+ edge report → audit\n"
    )


def test_the_text_shows_moves_renames_changed_edges_and_the_order() -> None:
    before = changed(metadata={"steps": ["a", "b", "c" * 200]})
    after = renamed(before, {"clean": "tidy"})
    after["metadata"]["steps"] = [*before["metadata"]["steps"][1:], "a"]
    after["edges"][0]["label"] = "d" * 200
    after["nodes"].reverse()
    assert render_text(diff_workflows(before, after), colour=False) == (
        "~ /metadata/steps/0 is now /metadata/steps/2\n"
        "~ node clean is now tidy\n"
        "~ edge fetch → tidy\n"
        f'    + /label: "{"d" * 78}…\n'
        "~ order of nodes or edges\n"
    )


def test_colours_mark_what_was_added_removed_and_changed() -> None:
    after = changed()
    after["nodes"][0]["config"]["timeout"] = 30
    assert render_text(diff_workflows(BEFORE, after), colour=True) == (
        "\x1b[33m~ node fetch\x1b[0m\n"
        "\x1b[31m    - /config/timeout: 20\x1b[0m\n"
        "\x1b[32m    + /config/timeout: 30\x1b[0m\n"
    )


@given(workflows())
def test_a_workflow_taken_apart_can_be_put_together(workflow: Any) -> None:
    assert equal(put_together(take_apart(workflow)), workflow)


@given(st.data())
def test_the_patch_between_random_workflows_is_exact_and_a_diff_tells_all_that_changed(
    data: st.DataObject,
) -> None:
    before = data.draw(workflows())
    after = data.draw(st.one_of(workflows(), edited(before)))
    assert equal(apply(before, patch_between(before, after)), after)
    rebuilt = rebuilt_from(before, diff_workflows(before, after))
    parts = take_apart(after)
    ids_named: Any = {id_: {**node, "id": id_} for id_, node in parts.nodes.items()}
    assert equal(rebuilt["nodes"], ids_named)
    assert equal(rebuilt["rest"], parts.rest)
    edges = list(parts.edges.values())
    assert sorted(map(msgspec.json.encode, rebuilt["edges"])) == sorted(
        msgspec.json.encode(dict(sorted(edge.items()))) for edge in edges
    )


def rebuilt_from(before: Any, diff: WorkflowDiff) -> Any:
    """The later workflow, made of the former one and nothing but the diff."""
    parts = take_apart(before)
    names = {each.before: each.after for each in diff.nodes_renamed}
    patches = {each.id: each.patch for each in diff.nodes_changed}
    gone = {each.id for each in diff.nodes_removed}
    nodes: Any = {
        names.get(id_, id_): {**node, "id": names.get(id_, id_)}
        for id_, node in parts.nodes.items()
        if id_ not in gone
    }
    nodes = {id_: apply(node, patches.get(id_, ())) for id_, node in nodes.items()}
    nodes |= {each.id: {**each.node, "id": each.id} for each in diff.nodes_added}
    edge_patches = {
        (each.source, each.target, each.condition): each.patch for each in diff.edges_changed
    }
    edges: list[Any] = [
        apply(
            {**edge, "from": names.get(source, source), "to": names.get(target, target)},
            edge_patches.get((names.get(source, source), names.get(target, target), condition), ()),
        )
        for (source, target, condition), edge in parts.edges.items()
        if edge not in diff.edges_removed
    ]
    return {
        "nodes": nodes,
        "edges": [dict(sorted(edge.items())) for edge in [*edges, *diff.edges_added]],
        "rest": apply(parts.rest, diff.members.patch),
    }


@needs_data
@pytest.mark.parametrize(("first", "second"), REAL_PAIRS)
def test_the_patch_between_real_workflows_is_exact(first: str, second: str) -> None:
    before, after = real_workflow(first), real_workflow(second)
    assert equal(apply(before, patch_between(before, after)), after)
    assert equal(apply(after, patch_between(after, before)), before)
    render_text(diff_workflows(before, after), colour=False)


@needs_data
@settings(deadline=None)
@given(st.data())
def test_the_patch_of_an_edited_real_workflow_is_exact_and_small(data: st.DataObject) -> None:
    before = real_workflow("sarek")
    after = data.draw(edited(before))
    patch = patch_between(before, after)
    assert equal(apply(before, patch), after)
    moves = sum(each.op == "move" for each in patch)
    assert len(patch) - moves < 200


@needs_data
def test_a_large_real_workflow_is_compared_in_tens_of_milliseconds() -> None:
    before = real_workflow("rnaseq")
    after = copy.deepcopy(before)
    for node in after["nodes"][::10]:
        node["type"] = "changed"
    after["nodes"].insert(0, {"id": "new", "type": "task"})
    start = time.process_time()
    diff = diff_workflows(before, after)
    patch = patch_between(before, after)
    seconds = time.process_time() - start
    assert len(diff.nodes_changed) == len(before["nodes"][::10])
    assert len(patch) == len(diff.nodes_changed) + 1
    assert seconds < 0.5


@pytest.mark.slow
def test_huge_workflows_are_compared_within_seconds() -> None:
    before = chain_of_nodes(50_000)
    after = renamed(before, {f"n{n}": f"x{n}" for n in range(20_000)})
    after["nodes"].reverse()
    start = time.process_time()
    diff = diff_workflows(before, after)
    patch = patch_between(before, after)
    assert time.process_time() - start < 10
    assert len(diff.nodes_renamed) == 20_000
    assert diff.reordered
    assert equal(apply(before, patch), after)
