"""Workflow documents: each rule of the schema by its exact pointer."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.wfformat import workflow_from_wfformat
from orchestrator.documents import workflow_schema_violations
from orchestrator.documents.canonical import DEPTH_MAX, JSONValue
from orchestrator.documents.workflow import check_workflow
from orchestrator.documents.workflow_schema import NODE_TYPES, WORKFLOW_SCHEMA
from orchestrator.documents.workflow_schema_violations import schema_violations
from orchestrator.errors import (
    VIOLATIONS_BYTES_MAX,
    VIOLATIONS_MAX,
    InvalidInput,
    RuleBroken,
    TooLarge,
)
from tests.documents.workflows import loop, node, places, read_body, violations, workflow

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "wfcommons"


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


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the WfCommons samples are not in the repository")
def test_real_workflows_are_valid() -> None:
    for sample in sorted(SAMPLES.glob("*.json")):
        imported = check_workflow(workflow_from_wfformat(json.loads(sample.read_bytes())))
        assert imported.nodes_count > 20
        assert imported.name
