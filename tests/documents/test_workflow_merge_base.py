"""Bases that are merged into one: what is in conflict between them is known to nobody."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.canonical import canonicalise
from orchestrator.documents.workflow_merge import WorkflowMerge, merge_workflows
from orchestrator.documents.workflow_merge_base import merge_bases
from orchestrator.documents.workflow_merge_value import Settlement, listed_conflicts
from orchestrator.documents.workflow_parts import Parts, put_together, take_apart
from tests.api import chain
from tests.documents.test_workflow_merge import (
    BASE,
    assert_no_dangling_edge,
    variant,
    with_node,
    without_node,
)
from tests.documents.workflow_cases import edited, workflows


def base_of(one: Any, other: Any, below: Any = BASE) -> Parts:
    return merge_bases(take_apart(below), take_apart(one), take_apart(other))


def places(base: Parts, ours: Any, theirs: Any) -> list[tuple[str, str]]:
    found = merge_workflows(base, ours, theirs).conflicts
    return [(each.pointer, each.reason) for each in found]


def test_bases_that_are_not_in_conflict_become_what_their_merge_is() -> None:
    one, other = with_node("a", type="x"), without_node("c")
    expected = merge_workflows(BASE, one, other).document
    assert put_together(base_of(one, other)) == expected


def test_a_value_in_conflict_is_one_if_the_sides_differ() -> None:
    base = base_of(with_node("a", type="x"), with_node("a", type="y"))
    ours, theirs = with_node("a", type="x"), with_node("a", type="y", more=1)
    assert places(base, ours, theirs) == [("/nodes/a/type", "bases-differ")]
    assert places(base, ours, with_node("a", type="x", more=1)) == []


def test_a_node_removed_here_and_changed_there_is_in_conflict_with_its_edges() -> None:
    """One side kept the node without its edge, the other one with it: neither is lost."""
    base = base_of(without_node("c"), with_node("c", type="x"))
    with_edge = with_node("c", type="x")
    without_edge = {**with_edge, "edges": BASE["edges"][:1]}
    assert places(base, with_edge, without_edge) == [("/edges/b->c", "bases-differ")]
    assert places(base, without_node("c"), with_edge) == [("/nodes/c", "bases-differ")]


def test_bases_of_different_shapes_are_in_conflict_wherever_the_sides_differ() -> None:
    in_map = variant(nodes={node["id"]: node for node in BASE["nodes"]})
    base = base_of(in_map, with_node("a", type="x"))
    ours, theirs = with_node("a", type="x"), with_node("a", type="y")
    assert places(base, ours, theirs) == [("/nodes/a/type", "bases-differ")]
    assert places(base, in_map, theirs) == [("/nodes", "shape")]
    assert places(base, in_map, in_map) == []


def test_dependencies_inside_of_nodes_are_merged_as_edges() -> None:
    def in_map(**nodes: Any) -> Any:
        return {"nodes": {id_: {"type": "task", "dependencies": of} for id_, of in nodes.items()}}

    below = in_map(a=[], b=["a"], c=["b"])
    base = base_of(in_map(a=[], b=["a"], c=["a"]), in_map(a=[], b=[], c=["b"]), below)
    assert put_together(base) == in_map(a=[], b=[], c=["a"])
    back = in_map(a=[], b=["a"], c=["a"])
    assert merge_workflows(base, back, put_together(base)).document == back


@st.composite
def crossed(draw: st.DrawFn) -> tuple[Parts, WorkflowMerge]:
    """A base made of two, and a merge over it of what the two sides made of both."""
    below = draw(workflows())
    one, other = draw(edited(below)), draw(edited(below))
    base = base_of(one, other, below)
    sides = [
        draw(edited(merge_workflows(below, one, other, Settlement(prefer=side)).document))
        for side in ("ours", "theirs")
    ]
    return base, merge_workflows(base, *sides)


@given(crossed())
def test_what_is_unknown_is_in_no_result_and_no_conflict(
    found: tuple[Parts, WorkflowMerge],
) -> None:
    result = found[1]
    canonicalise(result.document)
    msgspec.json.encode(listed_conflicts(result.conflicts))
    assert_no_dangling_edge(result.document)


def test_a_side_that_is_as_the_bases_together_changed_nothing() -> None:
    one, other = with_node("a", type="x"), variant(metadata={"owner": "bob"})
    both = put_together(base_of(one, other))
    theirs = {**both, "new": chain("a")}
    assert merge_workflows(base_of(one, other), both, theirs).document == theirs
    assert merge_workflows(base_of(one, other), theirs, both).document == theirs
