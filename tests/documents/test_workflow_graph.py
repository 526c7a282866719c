"""The graph of a workflow document: each rule by its exact pointer, and how its edges are read."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.canonical import JSONValue, canonicalise
from orchestrator.documents.workflow import check_workflow
from orchestrator.documents.workflow_graph import WorkflowEdge, edges_of, nodes_of
from orchestrator.errors import (
    VIOLATIONS_MAX,
)
from tests.documents.workflows import loop, places, read_body, violations, workflow


def test_a_second_node_with_an_id_names_the_first() -> None:
    [violation] = violations(workflow("a", "b", "a"))
    assert (violation.pointer, violation.rule) == ("/nodes/2/id", "duplicate-node")
    assert '"a"' in violation.message
    assert "item 0" in violation.message


def test_an_id_in_a_map_that_differs_from_its_key_is_named() -> None:
    document = {"nodes": {"a": {"type": "task", "id": "b"}}}
    assert places(document) == [("/nodes/a/id", "id-differs")]


def test_an_edge_to_a_missing_node_names_the_edge() -> None:
    [violation] = violations(workflow("a", "b", edges=[("a", "b"), ("a", "x")]))
    assert (violation.pointer, violation.rule) == ("/edges/1/to", "missing-node")
    assert '"a" → "x"' in violation.message


def test_an_edge_from_a_missing_node_and_a_missing_dependency_are_named() -> None:
    assert places(workflow("a", edges=[("x", "a")])) == [("/edges/0/from", "missing-node")]
    nodes = {"a": {"type": "task", "dependencies": ["x"]}}
    assert places({"nodes": nodes}) == [("/nodes/a/dependencies/0", "missing-node")]


def test_an_edge_that_is_listed_twice_is_named_at_its_second_place() -> None:
    document = workflow("a", "b", edges=[("a", "b"), ("a", "b")])
    assert places(document) == [("/edges/1", "duplicate-edge")]
    twice = {"a": {"type": "task"}, "b": {"type": "task", "dependencies": ["a"]}}
    document = {"nodes": twice, "edges": [{"from": "a", "to": "b"}]}
    assert places(document) == [("/nodes/b/dependencies/0", "duplicate-edge")]


@pytest.mark.parametrize(
    ("node", "pointer"),
    [
        (loop("x"), "/nodes/1/config/loop_back_to"),
        (loop("a", break_path="x"), "/nodes/1/config/break_path"),
        (loop("a", break_path=["a", "x"]), "/nodes/1/config/break_path/1"),
        (loop("a", timeout_path=["x"]), "/nodes/1/config/timeout_path/0"),
        ({"type": "conditional", "config": {"default": "x"}}, "/nodes/1/config/default"),
        (
            {"type": "conditional", "config": {"rules": [{"condition": "c", "to": "x"}]}},
            "/nodes/1/config/rules/0/to",
        ),
    ],
)
def test_a_configuration_that_names_a_missing_node_is_named(
    node: dict[str, Any], pointer: str
) -> None:
    [violation] = violations(workflow("a", n=node, edges=[("a", "n")]))
    assert (violation.pointer, violation.rule) == (pointer, "missing-node")
    assert '"n"' in violation.message
    assert '"x"' in violation.message


def test_a_cycle_names_its_nodes_in_order_and_the_edge_that_closes_it() -> None:
    edges = [("s", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "t")]
    [violation] = violations(workflow("s", "a", "b", "c", "t", edges=edges))
    assert (violation.pointer, violation.rule) == ("/edges/3", "cycle")
    assert violation.message.startswith('"a" → "b" → "c" → "a" is a cycle')


def test_an_edge_from_a_node_to_itself_is_a_cycle() -> None:
    document = workflow("s", "a", "t", edges=[("s", "a"), ("a", "a"), ("a", "t")])
    assert places(document) == [("/edges/1", "cycle")]


def test_each_knot_of_cycles_is_one_violation() -> None:
    ring = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a")]
    edges = [("s", "a"), *ring, ("c", "d"), ("d", "e"), ("e", "d"), ("e", "t")]
    document = workflow("s", "a", "b", "c", "d", "e", "t", edges=edges)
    assert places(document) == [("/edges/7", "cycle"), ("/edges/4", "cycle")]


def test_a_long_cycle_is_shortened_in_the_message() -> None:
    ids = [f"n{index}" for index in range(1000)]
    edges = [("s", "n0"), *pairwise(ids), ("n999", "n0"), ("n5", "t")]
    [violation] = violations(workflow("s", *ids, "t", edges=edges))
    assert '"n8" → … (1000 nodes) → "n0" is a cycle' in violation.message


def test_a_graph_that_is_all_cycle_has_no_entry_and_no_terminal_node() -> None:
    assert places(workflow("a", "b", edges=[("a", "b"), ("b", "a")])) == [
        ("/nodes", "no-entry-node"),
        ("/nodes", "no-terminal-node"),
        ("/edges/1", "cycle"),
    ]


def test_a_configured_loop_may_lead_back() -> None:
    edges = [("a", "b"), ("b", "n"), ("n", "a")]
    assert check_workflow(workflow("a", "b", n=loop("a"), edges=edges)).edges_count == 3
    assert check_workflow(workflow(n=loop("n"), edges=[("n", "n")])).edges_count == 1


def test_a_loop_may_lead_back_only_to_its_loop_back_to() -> None:
    edges = [("a", "b"), ("b", "n"), ("n", "a"), ("n", "b"), ("n", "t")]
    document = workflow("a", "b", "t", n=loop("a"), edges=edges)
    assert places(document) == [("/edges/3", "cycle")]


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (workflow("a"), []),
        ({"nodes": {"a": {"type": "x"}}}, []),
        (workflow("a", "b", "c", edges=[("a", "c")]), ["/nodes/1"]),
        (workflow("a", "b"), ["/nodes/0", "/nodes/1"]),
        ({"nodes": {"a": {"type": "x"}, "b": {"type": "x", "dependencies": ["a"]}}}, []),
        ({"nodes": {"a": {"type": "x"}, "b": {"type": "x"}}}, ["/nodes/a", "/nodes/b"]),
        (workflow("a", "b", n={"type": "conditional", "config": {"default": "a"}}), ["/nodes/1"]),
        (workflow("a", n=loop("a")), []),
    ],
)
def test_a_node_without_edges_is_a_warning(document: Any, found: list[str]) -> None:
    warnings = check_workflow(document).warnings
    assert [(each.pointer, each.rule) for each in warnings] == [
        (pointer, "unconnected-node") for pointer in found
    ]


def test_the_list_of_warnings_ends_with_a_word_that_there_are_more() -> None:
    warnings = check_workflow(workflow(*map(str, range(2 * VIOLATIONS_MAX)))).warnings
    assert len(warnings) == VIOLATIONS_MAX + 1
    assert warnings[-1].rule == "more-warnings"


@pytest.mark.parametrize(
    ("edges", "rules"),
    [
        ([("a", "b"), ("b", "a")], ["no-entry-node", "no-terminal-node", "cycle"]),
        ([("a", "b"), ("b", "b")], ["no-terminal-node", "cycle"]),
        ([("a", "a"), ("a", "b")], ["no-entry-node", "cycle"]),
    ],
)
def test_a_graph_that_makes_no_sense_is_a_warning_to_a_lenient_judgement(
    edges: list[tuple[str, str]], rules: list[str]
) -> None:
    document = workflow("a", "b", edges=edges)
    assert [rule for _, rule in places(document)] == rules
    lenient = check_workflow(document, lenient=True)
    assert [each.rule for each in lenient.warnings] == rules
    assert lenient.content == canonicalise(document)


def test_every_shape_gives_the_same_edges() -> None:
    nodes: Any = {"a": {"type": "task"}, "b": {"type": "task", "dependencies": ["a"]}}
    pairs: Any = [{"from": "a", "to": "b"}]
    assert edges_of({"nodes": nodes}) == [
        WorkflowEdge("a", "b", None, ("nodes", "b", "dependencies", 0))
    ]
    assert edges_of({"edges": pairs}) == [WorkflowEdge("a", "b", None, ("edges", 0))]
    assert edges_of({"dependencies": pairs}) == [WorkflowEdge("a", "b", None, ("dependencies", 0))]
    both = check_workflow(
        {"nodes": nodes | {"c": {"type": "x"}}, "edges": [{"from": "b", "to": "c"}]}
    )
    assert (both.nodes_count, both.edges_count) == (3, 2)


@pytest.mark.parametrize(
    "document", [None, [], {"nodes": 5, "edges": 5}, {"nodes": [5], "edges": [5]}]
)
def test_malformed_parts_count_as_nothing(document: JSONValue) -> None:
    assert (nodes_of(document), edges_of(document)) == ([], [])


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    """Ids in any order, and edges that all follow one hidden order."""
    count = draw(st.integers(1, 12))
    ids = [f"n{index}" for index in range(count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    chosen = (
        draw(st.sets(pairs.filter(lambda pair: pair[0] < pair[1]), max_size=30))
        if count > 1
        else ()
    )
    return draw(st.permutations(ids)), [(ids[source], ids[target]) for source, target in chosen]


@given(acyclic_graphs())
def test_a_graph_without_cycles_is_accepted_in_every_shape_with_the_same_counts(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    ids, edges = graph
    listed = workflow(*ids, edges=edges)
    shapes: list[Any] = [
        listed,
        {"nodes": listed["nodes"], "dependencies": listed["edges"]},
        {"nodes": {node_id: {"type": "task"} for node_id in ids}, "edges": listed["edges"]},
        {
            "nodes": {
                node_id: {
                    "type": "task",
                    "dependencies": [source for source, target in edges if target == node_id],
                }
                for node_id in ids
            }
        },
    ]
    for shape in shapes:
        read = check_workflow(shape)
        assert (read.nodes_count, read.edges_count) == (len(ids), len(edges))


@given(acyclic_graphs(), st.data())
def test_any_edge_back_makes_a_cycle_through_it(
    graph: tuple[list[str], list[tuple[str, str]]], data: st.DataObject
) -> None:
    ids, edges = graph
    start = walk = data.draw(st.sampled_from(ids))
    while following := [target for source, target in edges if source == walk]:
        walk = data.draw(st.sampled_from(following))
    found = violations(workflow(*ids, edges=[*edges, (walk, start)]))
    [cycle] = [violation for violation in found if violation.rule == "cycle"]
    assert f'"{start}"' in cycle.message


@pytest.mark.slow
def test_a_chain_and_a_cycle_of_fifty_thousand_nodes_need_no_recursion() -> None:
    ids = [f"n{index}" for index in range(50_000)]
    chain = workflow(*ids, edges=list(pairwise(ids)))
    read = read_body(canonicalise(chain))
    assert (read.nodes_count, read.edges_count) == (50_000, 49_999)
    chain["edges"].append({"from": "n49999", "to": "n0"})
    assert places(chain)[-1] == ("/edges/49999", "cycle")
