"""Three-way merge of workflows: what is clean, what is a conflict, and the laws of all merges."""

import copy
import json
import time
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.documents.equality import equal
from orchestrator.documents.workflow_graph import edges_of, nodes_of
from orchestrator.documents.workflow_merge import WorkflowMerge, merge_workflows
from orchestrator.documents.workflow_merge_value import Conflict, Settlement
from orchestrator.documents.workflow_parts import take_apart
from tests.documents.workflow_cases import (
    chain_of_nodes,
    edited,
    needs_data,
    real_workflow,
    workflows,
)

PREFERENCES: list[Literal["ours", "theirs"]] = ["ours", "theirs"]
BASE: Any = {
    "metadata": {"owner": "ann", "steps": [1, 2]},
    "nodes": [
        {"id": "a", "type": "http", "config": {"url": "u", "timeout": 1}},
        {"id": "b", "type": "task"},
        {"id": "c", "type": "task"},
    ],
    "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c", "label": "x"}],
}


def variant(**members: Any) -> Any:
    return {**copy.deepcopy(BASE), **members}


def with_node(id_: str, **members: Any) -> Any:
    """The base with members of one node set."""
    workflow = variant()
    next(node for node in workflow["nodes"] if node["id"] == id_).update(members)
    return workflow


def without_node(id_: str) -> Any:
    return variant(
        nodes=[node for node in BASE["nodes"] if node["id"] != id_],
        edges=[edge for edge in BASE["edges"] if id_ not in (edge["from"], edge["to"])],
    )


def with_edge(**edge: Any) -> Any:
    """The base with a further edge."""
    ends = {key.rstrip("_"): value for key, value in edge.items()}
    return variant(edges=[*BASE["edges"], ends])


def clean(ours: Any, theirs: Any, base: Any = BASE) -> Any:
    result = merge_workflows(base, ours, theirs)
    assert (result.conflicts, result.settled) == ((), ())
    return result.document


def conflict(ours: Any, theirs: Any, base: Any = BASE) -> Conflict:
    (found,) = merge_workflows(base, ours, theirs).conflicts
    return found


def ids(workflow: Any) -> list[str]:
    return [node.id for node in nodes_of(workflow)]


def assert_no_dangling_edge(workflow: Any) -> None:
    known = ids(workflow)
    assert len(known) == len(set(known))
    for edge in edges_of(workflow):
        assert edge.source in known
        assert edge.target in known


def test_changes_of_different_members_of_one_node_are_merged() -> None:
    ours = with_node("a", config={"url": "u", "timeout": 9})
    theirs = with_node("a", config={"url": "v", "timeout": 1}, retry={"max_attempts": 2})
    merged = clean(ours, theirs)["nodes"][0]
    assert merged["config"] == {"url": "v", "timeout": 9}
    assert merged["retry"] == {"max_attempts": 2}


def test_changes_of_different_nodes_edges_and_metadata_are_merged() -> None:
    ours = variant(metadata={"owner": "bob", "steps": [1, 2]})
    ours["edges"][1]["label"] = "y"
    theirs = without_node("a")
    theirs["metadata"]["new"] = True
    assert clean(ours, theirs) == {
        "metadata": {"owner": "bob", "steps": [1, 2], "new": True},
        "nodes": BASE["nodes"][1:],
        "edges": [{"from": "b", "to": "c", "label": "y"}],
    }


def test_what_both_sides_did_alike_is_no_conflict() -> None:
    ours, theirs = without_node("a"), without_node("a")
    ours["nodes"].append({"id": "d", "type": "task"})
    theirs["nodes"].insert(0, {"type": "task", "id": "d"})
    ours["metadata"]["x"] = theirs["metadata"]["x"] = 1
    theirs["metadata"]["y"] = 2
    assert ids(clean(ours, theirs)) == ["b", "c", "d"]


def test_added_nodes_stand_behind_their_predecessors() -> None:
    nodes = {node["id"]: node for node in BASE["nodes"]}
    new = {name: {"id": name, "type": "task"} for name in "uvwxyz"}
    ours = variant(nodes=[new["u"], nodes["a"], new["v"], nodes["b"], nodes["c"]])
    theirs = variant(
        nodes=[new["w"], nodes["a"], new["x"], new["y"], nodes["b"], nodes["c"], new["z"]]
    )
    assert "".join(ids(clean(ours, theirs))) == "wuaxyvbcz"


def test_the_order_is_that_of_the_side_that_changed_it() -> None:
    reordered = variant(nodes=BASE["nodes"][::-1])
    assert ids(clean(reordered, with_node("a", type="x"))) == ["c", "b", "a"]
    assert ids(clean(with_node("a", type="x"), reordered)) == ["c", "b", "a"]


def test_the_same_member_changed_twice_is_a_conflict() -> None:
    found = conflict(
        with_node("a", config={"url": "u", "timeout": 2}),
        with_node("a", config={"url": "u", "timeout": 3}),
    )
    assert msgspec.to_builtins(found) == {
        "pointer": "/nodes/a/config/timeout",
        "reason": "both-changed",
        "message": "Both sides changed this, and not in the same way.",
        "base": {"present": True, "value": 1},
        "ours": {"present": True, "value": 2},
        "theirs": {"present": True, "value": 3},
    }


def test_a_list_is_merged_as_one_value() -> None:
    ours, theirs = variant(), variant()
    ours["metadata"]["steps"] = [1, 2, 3]
    assert clean(ours, with_node("a", type="x"))["metadata"]["steps"] == [1, 2, 3]
    theirs["metadata"]["steps"] = [0, 1, 2]
    assert conflict(ours, theirs).pointer == "/metadata/steps"


def test_a_node_removed_here_and_changed_there_is_a_conflict() -> None:
    found = conflict(without_node("a"), with_node("a", type="x"))
    assert (found.pointer, found.reason) == ("/nodes/a", "removed-by-ours")
    assert not found.ours.present
    found = conflict(with_node("a", type="x"), without_node("a"))
    assert (found.pointer, found.reason) == ("/nodes/a", "removed-by-theirs")
    assert not found.theirs.present


def test_one_id_for_two_new_nodes_is_a_conflict_about_the_whole_node() -> None:
    ours = variant(nodes=[*BASE["nodes"], {"id": "d", "type": "http", "retry": {}}])
    theirs = variant(nodes=[*BASE["nodes"], {"id": "d", "type": "task"}])
    found = conflict(ours, theirs)
    assert (found.pointer, found.reason) == ("/nodes/d", "both-added")
    assert not found.base.present


def test_an_edge_to_a_node_that_the_other_side_removed_is_a_conflict() -> None:
    found = conflict(with_edge(from_="a", to="c"), without_node("c"))
    assert (found.pointer, found.reason) == ("/nodes/c", "removed-by-theirs")
    assert found.message.endswith("Its edge a->c is one of the changes.")
    changed = variant()
    changed["edges"][1]["label"] = "y"
    assert conflict(without_node("c"), changed).message.endswith(
        "Its edge b->c is one of the changes."
    )


@pytest.mark.parametrize(("prefer", "has_node"), [("ours", True), ("theirs", False)])
def test_the_preferred_side_says_whether_node_and_edge_stay(
    prefer: Literal["ours", "theirs"], *, has_node: bool
) -> None:
    ours = with_edge(from_="a", to="c", condition="x")
    result = merge_workflows(BASE, ours, without_node("c"), Settlement(prefer=prefer))
    assert result.conflicts == ()
    assert [each.pointer for each in result.settled] == ["/nodes/c"]
    assert ("c" in ids(result.document)) is has_node
    assert_no_dangling_edge(result.document)
    merged: Any = result.document
    assert merged["edges"] == (ours["edges"] if has_node else BASE["edges"][:1])


def test_a_conflict_about_an_edge_names_its_ends_and_condition() -> None:
    ours = with_edge(from_="a", to="c", condition="x/y", label=1)
    theirs = with_edge(from_="a", to="c", condition="x/y", label=2)
    found = conflict(ours, theirs)
    assert (found.pointer, found.reason) == ("/edges/a->c if x~1y/label", "both-added")


def test_an_edge_removed_here_and_changed_there_is_a_conflict() -> None:
    changed = variant()
    changed["edges"][1]["label"] = "y"
    found = conflict(variant(edges=BASE["edges"][:1]), changed)
    assert (found.pointer, found.reason) == ("/edges/b->c", "removed-by-ours")


def test_an_edge_with_another_condition_is_another_edge() -> None:
    merged = clean(with_edge(from_="a", to="c", condition="x"), with_edge(from_="a", to="c"))
    assert len(edges_of(merged)) == 4


def test_the_other_name_of_the_edges_is_kept() -> None:
    ours = variant()
    ours["dependencies"] = ours.pop("edges")
    ours["dependencies"].append({"from": "a", "to": "c"})
    theirs = with_node("b", type="x")
    theirs["edges"].pop()
    assert clean(ours, theirs)["dependencies"] == [
        {"from": "a", "to": "b"},
        {"from": "a", "to": "c"},
    ]
    assert "edges" not in clean(theirs, ours)


def in_map(**nodes: Any) -> Any:
    return {"nodes": {id_: {"type": "task", **node} for id_, node in nodes.items()}}


def test_dependencies_inside_of_nodes_are_merged_as_edges() -> None:
    base = in_map(a={}, b={}, c={"dependencies": ["a"]})
    ours = in_map(a={}, b={}, c={"dependencies": ["b", "a"]})
    theirs = in_map(a={}, b={}, c={"dependencies": []}, d={"dependencies": ["c"]})
    merged = in_map(a={}, b={}, c={"dependencies": ["b"]}, d={"dependencies": ["c"]})
    assert clean(ours, theirs, base) == merged
    removed = in_map(a={}, c={"dependencies": ["a"]})
    assert conflict(ours, removed, base).pointer == "/nodes/b"


def test_a_dependency_that_gets_a_label_moves_to_the_list_of_edges() -> None:
    base = in_map(a={}, b={"dependencies": ["a"]}, c={})
    ours = {**in_map(a={}, b={}, c={}), "edges": [{"from": "a", "to": "b", "label": 1}]}
    theirs = in_map(a={}, b={"dependencies": ["a"]}, c={"dependencies": ["b"]})
    expected = in_map(a={}, b={}, c={"dependencies": ["b"]})
    assert clean(ours, theirs, base) == {**expected, "edges": ours["edges"]}


def test_a_list_that_became_a_map_can_only_be_merged_with_what_left_the_graph_alone() -> None:
    ours = variant(nodes={node["id"]: node for node in BASE["nodes"]})
    described = variant(metadata={})
    assert clean(ours, described) == {**ours, "metadata": {}}
    assert clean(described, ours) == {**ours, "metadata": {}}
    found = conflict(ours, without_node("a"))
    assert (found.pointer, found.reason) == ("/nodes", "shape")
    for side, nodes in (("ours", ours["nodes"]), ("theirs", BASE["nodes"][1:])):
        merged: Any = merge_workflows(
            BASE, ours, without_node("a"), Settlement(prefer="ours" if side == "ours" else "theirs")
        ).document
        assert merged["nodes"] == nodes
        assert_no_dangling_edge(merged)


def test_no_input_is_changed() -> None:
    ours, theirs = with_edge(from_="a", to="c"), without_node("c")
    before = json.dumps([BASE, ours, theirs])
    merge_workflows(BASE, ours, theirs, Settlement(prefer="theirs"))
    assert json.dumps([BASE, ours, theirs]) == before


@st.composite
def three_versions(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Both sides changed something; there is a law of its own for the others."""
    base = draw(workflows())
    changed = edited(base, edits_min=1).filter(lambda each: each != base)
    return base, draw(changed), draw(changed)


def a_merge_with_one_side_unchanged_is_the_other_side(base: Any, ours: Any, theirs: Any) -> None:
    same_again = copy.deepcopy(base)
    assert merge_workflows(base, base, base).document == base
    assert merge_workflows(base, same_again, ours) == WorkflowMerge(document=ours)
    assert merge_workflows(base, ours, same_again) == WorkflowMerge(document=ours)
    assert merge_workflows(base, ours, copy.deepcopy(ours)) == WorkflowMerge(document=ours)


def a_merge_is_the_same_from_both_sides_but_for_the_order(
    base: Any, ours: Any, theirs: Any
) -> None:
    one, other = merge_workflows(base, ours, theirs), merge_workflows(base, theirs, ours)
    assert sorted(each.pointer for each in one.conflicts) == sorted(
        each.pointer for each in other.conflicts
    )
    if not one.conflicts:
        assert_equal_but_for_the_order(one.document, other.document)


def a_preferred_side_is_the_other_one_seen_from_there(base: Any, ours: Any, theirs: Any) -> None:
    one = merge_workflows(base, ours, theirs, Settlement(prefer="ours")).document
    other = merge_workflows(base, theirs, ours, Settlement(prefer="theirs")).document
    assert_equal_but_for_the_order(one, other)


def assert_equal_but_for_the_order(one: Any, other: Any) -> None:
    first, second = take_apart(one), take_apart(other)
    for a, b in zip(first, second, strict=True):
        assert a == b


def no_merge_leaves_a_dangling_edge(base: Any, ours: Any, theirs: Any) -> None:
    for prefer in (None, *PREFERENCES):
        result = merge_workflows(base, ours, theirs, Settlement(prefer=prefer))
        assert_no_dangling_edge(result.document)
        assert not (prefer and result.conflicts)
        assert bool(result.settled) == bool(
            prefer and merge_workflows(base, ours, theirs).conflicts
        )


def a_clean_merge_has_all_changes_of_both_sides(base: Any, ours: Any, theirs: Any) -> None:
    result = merge_workflows(base, ours, theirs)
    if result.conflicts:
        return
    merged, parts = take_apart(result.document), [take_apart(each) for each in (base, ours, theirs)]
    for kind in ("nodes", "edges"):
        old, our, their, new = (getattr(each, kind) for each in (*parts, merged))
        for key in old.keys() | our.keys() | their.keys():
            if key not in our or key not in their:
                assert (key in new) == (key not in old)
            elif key in old and equal(our[key], old[key]):
                assert equal(new[key], their[key])
            elif key in old and equal(their[key], old[key]):
                assert equal(new[key], our[key])


def merging_again_changes_nothing(base: Any, ours: Any, theirs: Any) -> None:
    merged = merge_workflows(base, ours, theirs, Settlement(prefer="theirs")).document
    assert merge_workflows(theirs, merged, theirs).document == merged


#: To make versions costs more than to merge them, so all laws are tried on the same ones.
LAWS = (
    a_merge_with_one_side_unchanged_is_the_other_side,
    a_merge_is_the_same_from_both_sides_but_for_the_order,
    a_preferred_side_is_the_other_one_seen_from_there,
    no_merge_leaves_a_dangling_edge,
    a_clean_merge_has_all_changes_of_both_sides,
    merging_again_changes_nothing,
)


@given(three_versions())
def test_the_laws_of_merging_hold(versions: tuple[Any, Any, Any]) -> None:
    before = json.dumps(versions)
    for law in LAWS:
        law(*versions)
    assert json.dumps(versions) == before


@needs_data
@settings(deadline=None)
@given(st.data())
def test_edits_of_a_real_workflow_merge_without_loss(data: st.DataObject) -> None:
    base = real_workflow("sarek")
    ours, theirs = data.draw(edited(base)), data.draw(edited(base))
    result = merge_workflows(base, ours, theirs)
    assert_no_dangling_edge(result.document)
    assert equal(merge_workflows(base, ours, ours).document, ours)


@pytest.mark.slow
def test_huge_workflows_are_merged_within_seconds() -> None:
    base = chain_of_nodes(50_000)
    ours, theirs = copy.deepcopy(base), copy.deepcopy(base)
    for node in ours["nodes"][::2]:
        node["type"] = "ours"
    for node in theirs["nodes"]:
        node["timeout_ms"] = 5
    theirs["nodes"].reverse()
    start = time.process_time()
    result = merge_workflows(base, ours, theirs)
    assert time.process_time() - start < 10
    assert result.conflicts == ()
    merged: Any = result.document
    assert merged["nodes"][-1] == {**ours["nodes"][0], "timeout_ms": 5}
