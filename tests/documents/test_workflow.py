"""Workflow documents: each rule by its exact pointer, and all shapes counted alike."""

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.wfformat import workflow_from_wfformat
from orchestrator.documents import workflow_schema_violations
from orchestrator.documents.canonical import DEPTH_MAX, JSONValue, canonicalise, parse
from orchestrator.documents.workflow import Workflow, check_workflow
from orchestrator.documents.workflow_graph import WorkflowEdge, edges_of, nodes_of
from orchestrator.documents.workflow_schema import NODE_TYPES, WORKFLOW_SCHEMA
from orchestrator.documents.workflow_schema_violations import schema_violations
from orchestrator.errors import (
    VIOLATIONS_BYTES_MAX,
    VIOLATIONS_MAX,
    InvalidInput,
    RuleBroken,
    TooLarge,
    Violation,
)

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "wfcommons"
BYTES_MAX = 100_000_000


def workflow(
    *ids: str, edges: list[tuple[str, str]] | None = None, **nodes: dict[str, Any]
) -> dict[str, Any]:
    """Tasks with these ids, further nodes as given, and these edges."""
    return {
        "nodes": [{"id": node_id, "type": "task"} for node_id in ids]
        + [{"id": node_id} | node for node_id, node in nodes.items()],
        "edges": [{"from": source, "to": target} for source, target in edges or []],
    }


def read_body(body: bytes, *, bytes_max: int = BYTES_MAX) -> Workflow:
    return check_workflow(parse(body, bytes_max=bytes_max, kind="workflow"))


def violations(document: Any) -> list[Violation]:
    with pytest.raises(RuleBroken) as refused:
        check_workflow(document)
    return refused.value.errors


def places(document: Any) -> list[tuple[str, str]]:
    return [(violation.pointer, violation.rule) for violation in violations(document)]


def loop(back_to: str, **config: Any) -> dict[str, Any]:
    return {"type": "loop", "config": {"max_iterations": 3, "loop_back_to": back_to} | config}


def node(kind: Any, **members: Any) -> dict[str, Any]:
    """A workflow of one node."""
    return workflow(a={"type": kind} | members)


CONDITION_OF_FIVE = {"from": "a", "to": "a", "condition": 5}


def test_a_workflow_is_read_counted_named_and_made_canonical() -> None:
    body = b'{"nodes": [{"type": "task", "id": "a"}], "metadata": {"x": 1.0, "name": "nightly"}}'
    read = read_body(body)
    content = b'{"metadata":{"name":"nightly","x":1},"nodes":[{"id":"a","type":"task"}]}'
    assert read.content == content
    assert (read.nodes_count, read.edges_count, read.name) == (1, 0, "nightly")
    assert read_body(content) == read
    assert check_workflow(read.document) == read


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({}, None),
        ({"name": "top"}, "top"),
        ({"name": 5}, None),
        ({"name": "top", "metadata": {"name": "inner"}}, "inner"),
        ({"name": "top", "metadata": {"name": 5}}, "top"),
    ],
)
def test_the_name_is_that_of_the_metadata_or_of_the_document(
    members: dict[str, Any], name: str | None
) -> None:
    assert check_workflow(workflow("a") | members).name == name


def test_malformed_json_is_invalid_input_and_too_much_of_it_too_large() -> None:
    with pytest.raises(InvalidInput, match="The workflow is not valid JSON"):
        read_body(b"{")
    with pytest.raises(TooLarge):
        read_body(b'{"nodes":[]}', bytes_max=5)


def test_a_document_that_a_patch_made_too_deep_is_invalid_input() -> None:
    deep: JSONValue = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput) as refused:
        check_workflow(workflow("a") | {"x": deep})
    assert [(error.pointer, error.rule) for error in refused.value.errors] == [
        ("/x" + "/0" * (DEPTH_MAX - 1), "depth")
    ]


@pytest.mark.parametrize(
    "members",
    [
        {"x": [1]},
        {"nodes": [{"id": "a", "type": "anything", "x": 1, "config": {"y": {}}}]},
        {"nodes": [{"id": "a.b-C_9", "type": "task", "timeout_ms": 0}]},
        {"nodes": [{"id": "a" * 255, "type": "task"}]},
        {"nodes": [{"id": "a", "type": "task", "retry": {}}]},
        {
            "nodes": [
                {
                    "id": "a",
                    "type": "task",
                    "retry": {"max_attempts": 10, "backoff_ms": 0, "backoff_multiplier": 1.5},
                }
            ]
        },
        {"nodes": {"a": {"type": "task", "id": "a", "dependencies": []}}},
        {"edges": [{"from": "a", "to": "b", "condition": "x > 1", "y": 1}]},
        {"nodes": workflow("a", "b")["nodes"], "dependencies": [{"from": "a", "to": "b"}]},
        {"edges": [{"from": "a", "to": "b", "condition": c} for c in ("x", "y", "")]},
    ],
)
def test_what_the_rules_leave_open_is_accepted(members: dict[str, Any]) -> None:
    base = workflow("a", "b") if "edges" in members else {"nodes": workflow("a")["nodes"]}
    check_workflow(base | members)


@pytest.mark.parametrize("kind", sorted(set(NODE_TYPES) - {"loop", "conditional"}))
def test_every_node_type_of_the_product_is_accepted(kind: str) -> None:
    assert check_workflow(workflow(a={"type": kind})).nodes_count == 1


SCHEMA_VIOLATIONS: list[tuple[str, str, Any]] = [
    ("", "type", 5),
    ("", "type", []),
    ("", "required", {}),
    ("/nodes", "type", {"nodes": "a"}),
    ("/nodes", "minItems", {"nodes": []}),
    ("/nodes", "minProperties", {"nodes": {}}),
    ("/nodes/0", "type", {"nodes": [5]}),
    ("/nodes/0", "required", {"nodes": [{"type": "task"}]}),
    ("/nodes/0", "required", {"nodes": [{"id": "a"}]}),
    ("/nodes/0/id", "type", {"nodes": [{"id": 5, "type": "task"}]}),
    ("/nodes/0/id", "minLength", workflow("")),
    ("/nodes/0/id", "pattern", workflow("a b")),
    ("/nodes/0/id", "pattern", workflow("a\n")),
    ("/nodes/0/id", "pattern", workflow("é")),
    ("/nodes/0/id", "maxLength", workflow("a" * 256)),
    ("/nodes/a~1b", "pattern", {"nodes": {"a/b": {"type": "task"}}}),
    ("/nodes/a", "type", {"nodes": {"a": []}}),
    ("/nodes/a", "required", {"nodes": {"a": {}}}),
    ("/nodes/a/dependencies", "type", {"nodes": {"a": {"type": "x", "dependencies": "b"}}}),
    ("/nodes/a/dependencies/0", "type", {"nodes": {"a": {"type": "x", "dependencies": [5]}}}),
    ("/nodes/0/type", "minLength", node("")),
    ("/nodes/0/type", "type", node(5)),
    ("/nodes/0/config", "type", node("x", config=[])),
    ("/nodes/0/timeout_ms", "minimum", node("x", timeout_ms=-1)),
    ("/nodes/0/timeout_ms", "type", node("x", timeout_ms=1.5)),
    ("/nodes/0/retry", "type", node("x", retry=3)),
    ("/nodes/0/retry", "additionalProperties", node("x", retry={"x": 1})),
    ("/nodes/0/retry/max_attempts", "minimum", node("x", retry={"max_attempts": 0})),
    ("/nodes/0/retry/max_attempts", "maximum", node("x", retry={"max_attempts": 11})),
    ("/nodes/0/retry/max_attempts", "type", node("x", retry={"max_attempts": True})),
    ("/nodes/0/retry/backoff_ms", "minimum", node("x", retry={"backoff_ms": -1})),
    ("/nodes/0/retry/backoff_multiplier", "minimum", node("x", retry={"backoff_multiplier": 0.5})),
    ("/metadata", "type", workflow("a") | {"metadata": []}),
    ("/edges", "type", workflow("a") | {"edges": {}}),
    ("/edges/0", "type", workflow("a") | {"edges": [5]}),
    ("/edges/0", "required", workflow("a") | {"edges": [{"to": "a"}]}),
    ("/edges/0/from", "type", workflow("a") | {"edges": [{"from": 5, "to": "a"}]}),
    ("/edges/0/condition", "type", workflow("a") | {"edges": [CONDITION_OF_FIVE]}),
    ("/dependencies", "falseSchema", workflow("a") | {"dependencies": []}),
    ("/dependencies/0", "type", {"nodes": workflow("a")["nodes"], "dependencies": [5]}),
    ("/nodes/0", "required", node("loop")),
    ("/nodes/0/config", "required", node("loop", config={"loop_back_to": "a"})),
    ("/nodes/0/config", "required", node("loop", config={"max_iterations": 1})),
    ("/nodes/0/config/max_iterations", "exclusiveMinimum", workflow(a=loop("a", max_iterations=0))),
    ("/nodes/0/config/max_iterations", "type", workflow(a=loop("a", max_iterations=1.5))),
    ("/nodes/0/config/break_path", "type", workflow(a=loop("a", break_path=5))),
    ("/nodes/0/config/timeout_path/0", "type", workflow(a=loop("a", timeout_path=[5]))),
    ("/nodes/0", "required", node("conditional")),
    ("/nodes/0/config", "anyOf", node("conditional", config={})),
    ("/nodes/0/config/rules", "minItems", node("conditional", config={"rules": []})),
    ("/nodes/0/config/rules/0", "required", node("conditional", config={"rules": [{"to": "a"}]})),
    ("/nodes/0/config/default", "type", node("conditional", config={"default": 5})),
]


@pytest.mark.parametrize(("pointer", "rule", "document"), SCHEMA_VIOLATIONS)
def test_a_broken_rule_of_the_schema_is_named_by_pointer_and_keyword(
    pointer: str, rule: str, document: Any
) -> None:
    assert places(document) == [(pointer, rule)]
    assert "{" not in violations(document)[0].message


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


def test_a_wrong_shape_is_refused_by_a_lenient_judgement_too() -> None:
    document = workflow("a", "a", "z", edges=[("a", "x"), ("a", "a")])
    with pytest.raises(RuleBroken) as refused:
        check_workflow(document, lenient=True)
    assert [each.rule for each in refused.value.errors] == ["duplicate-node", "missing-node"]


def test_the_violations_of_schema_and_graph_are_listed_together() -> None:
    document = workflow("a", "b c", "a", d={"type": ""}, edges=[("a", "x"), ("d", "d")])
    document["edges"].append({"from": "a"})
    assert places(document) == [
        ("/nodes/1/id", "pattern"),
        ("/nodes/3/type", "minLength"),
        ("/edges/2", "required"),
        ("/nodes/2/id", "duplicate-node"),
        ("/edges/0/to", "missing-node"),
        ("/edges/1", "cycle"),
    ]


def test_a_message_of_the_schema_names_the_node() -> None:
    [violation] = violations(workflow(fetch={"type": "x", "timeout_ms": -1}))
    assert violation.message == 'Node "fetch": The number must be at least 0.'


@pytest.mark.parametrize(
    "document",
    [
        {"nodes": [0] * 2 * VIOLATIONS_MAX},
        {"nodes": {"a": {"type": "x", "dependencies": ["b"] * 2 * VIOLATIONS_MAX}}},
        workflow("a") | {"edges": [[]] * 2 * VIOLATIONS_MAX},
    ],
)
def test_the_list_of_violations_ends_with_a_word_that_there_are_more(document: Any) -> None:
    found = violations(document)
    assert len(found) == VIOLATIONS_MAX + 1
    assert found[-1].rule == "more-violations"


def test_the_violations_of_a_workflow_are_short_together() -> None:
    name = "é" * 900
    nodes = {f"{name}{index}": {"type": 5} for index in range(VIOLATIONS_MAX)}
    found = violations({"nodes": nodes})
    assert 1 < len(found) < VIOLATIONS_MAX
    assert found[-1].rule == "more-violations"
    assert len(msgspec.json.encode(found[:-1])) <= VIOLATIONS_BYTES_MAX + VIOLATIONS_MAX + 2


def test_long_names_do_not_make_long_messages() -> None:
    name = "é" * 1_000_000
    for document in (workflow(name), {"nodes": {name: {"type": 5}}}, workflow(a=loop(name))):
        assert all(len(str(violation)) < 2_000 for violation in violations(document))


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


MEMBERS = [
    *("a", "b", "nodes", "edges", "dependencies", "metadata", "id", "type", "config", "retry"),
    *("rules", "default", "condition", "from", "to", "max_iterations", "loop_back_to"),
    *("break_path", "max_attempts", "timeout_ms"),
]
PIECES = st.recursive(
    st.sampled_from([None, 0, -1, 1.5, "", "a", "b", "loop", "conditional", "a b"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            children,
            max_size=5,
        )
    ),
    max_leaves=12,
)
NODES = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b"]), "type": st.sampled_from(["loop", "conditional", "x"])},
    optional={"config": PIECES, "retry": PIECES, "dependencies": PIECES},
)


@given(
    PIECES
    | st.fixed_dictionaries({"nodes": st.lists(NODES) | st.dictionaries(st.just("a"), NODES)})
)
def test_part_by_part_a_document_is_as_valid_as_the_schema_that_is_served_says(
    document: Any,
) -> None:
    served = jsonschema_rs.validator_for(WORKFLOW_SCHEMA)
    assert served.is_valid(document) == (not list(schema_violations(document)))
    with suppress(RuleBroken):
        check_workflow(document)


def test_the_schema_that_is_served_is_a_schema_and_its_examples_are_workflows() -> None:
    assert jsonschema_rs.meta.is_valid(WORKFLOW_SCHEMA)
    for example in WORKFLOW_SCHEMA["examples"]:
        check_workflow(example)


def test_the_schema_never_fetches_another_one() -> None:
    with pytest.raises(ValueError, match="outside of itself"):
        workflow_schema_violations._refuse("https://example.com/schema")


@pytest.mark.slow
def test_a_chain_and_a_cycle_of_fifty_thousand_nodes_need_no_recursion() -> None:
    ids = [f"n{index}" for index in range(50_000)]
    chain = workflow(*ids, edges=list(pairwise(ids)))
    read = read_body(canonicalise(chain))
    assert (read.nodes_count, read.edges_count) == (50_000, 49_999)
    chain["edges"].append({"from": "n49999", "to": "n0"})
    assert places(chain)[-1] == ("/edges/49999", "cycle")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the WfCommons samples are not in the repository")
def test_real_workflows_are_valid() -> None:
    for sample in sorted(SAMPLES.glob("*.json")):
        imported = check_workflow(workflow_from_wfformat(json.loads(sample.read_bytes())))
        assert imported.nodes_count > 20
        assert imported.name
