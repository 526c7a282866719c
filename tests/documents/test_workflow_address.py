"""Nodes and edges named by what they are: names are read as they are written, and lead to the one
place that they mean, in documents of any shape and however often it moves.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.documents.equality import equal
from orchestrator.documents.patch import PatchFailed, PatchOperation, apply
from orchestrator.documents.pointer import pointer_to, tokens_of
from orchestrator.documents.workflow_address import (
    Names,
    addressed_by_id,
    edge_key,
    edge_name,
)
from orchestrator.documents.workflow_address_patch import apply_by_id
from orchestrator.documents.workflow_parts import take_apart
from orchestrator.errors import Violation
from tests.documents.workflow_cases import IDS, NODES, workflows

ID = st.text("aA0_.-", min_size=1, max_size=4)
LISTED: Any = {
    "nodes": [{"id": "a", "type": "t"}, {"id": "b", "type": "t"}, {"id": "c/d", "type": "t"}],
    "edges": [
        {"from": "a", "to": "b"},
        {"from": "a", "to": "b", "condition": "x > 1/2"},
    ],
}
MAPPED: Any = {"nodes": {"a": {"type": "t"}, "b": {"type": "t", "dependencies": ["z", "a"]}}}


def op(name: Any, path: str, **members: Any) -> PatchOperation:
    members = {"source" if key == "from_" else key: value for key, value in members.items()}
    return PatchOperation(op=name, path=path, **members)


def done(document: Any, *operations: PatchOperation) -> tuple[Any, list[tuple[str, str]]]:
    """The result, and what was done by positions, which does the same."""
    result, performed = apply_by_id(document, operations)
    assert equal(apply(document, performed), result)
    return result, [(each.op, each.path) for each in performed]


def refusal(document: Any, *operations: PatchOperation) -> PatchFailed:
    with pytest.raises(PatchFailed) as caught:
        apply_by_id(document, operations)
    return caught.value


@given(ID, ID, st.none() | st.text(max_size=9))
@example("a-", "->", " if ")
def test_the_name_of_an_edge_is_read_as_it_was_written(
    source: str, target: str, condition: str | None
) -> None:
    key = source, target.replace(">", ""), condition
    assert edge_key(edge_name(key)) == key


def places(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield place, value
    items = enumerate(value) if isinstance(value, list) else ()
    for key, child in value.items() if isinstance(value, dict) else items:
        yield from places(child, (*place, str(key)))


@settings(max_examples=25)
@given(workflows())
def test_every_place_has_an_address_that_leads_back_to_it(workflow: Any) -> None:
    names = Names(workflow)
    addresses = set()
    for place, found in places(workflow):
        address = names.address_of(place)
        addresses.add(address)
        value = found
        if place[2:3] == ("dependencies",) and len(place) == 4:
            value = {"from": found, "to": place[1]}
        _, (performed,) = done(workflow, op("test", pointer_to(address), value=value))
        assert performed == ("test", pointer_to(place))
    assert len(addresses) == len(list(places(workflow)))


def by_name(workflow: Any) -> Any:
    """The document with maps of nodes and edges, to which operations by name just apply."""
    parts = take_apart(workflow)
    edges = {edge_name(key): edge for key, edge in parts.edges.items()}
    return {**parts.rest, "nodes": parts.nodes, "edges": edges}


@st.composite
def operations_on(draw: st.DrawFn, workflow: Any) -> list[PatchOperation]:
    """Of some the place is not there when they come."""
    parts = take_apart(workflow)
    node_paths = [pointer_to(("nodes", id_)) for id_ in [*parts.nodes, draw(st.sampled_from(IDS))]]
    edge_paths = [pointer_to(("edges", edge_name(key))) for key in [*parts.edges, ("x", "y", None)]]
    paths = st.sampled_from(node_paths + edge_paths)
    members = st.builds(lambda path, key: f"{path}/{key}", paths, st.sampled_from(["label", "x"]))
    source, target = draw(st.sampled_from(IDS)), draw(st.sampled_from(IDS))
    edge = {"from": source, "to": target, "label": 1}
    new = [
        st.builds(
            lambda id_, node: op("add", f"/nodes/{id_}", value={"id": id_, **node}),
            st.sampled_from(IDS),
            NODES,
        ),
        st.just(op("add", f"/edges/{source}->{target}", value=edge)),
    ]
    operation = st.one_of(
        *new,
        st.builds(lambda path: op("remove", path), paths | members),
        st.builds(lambda path, value: op("add", path, value=value), members, st.integers()),
        st.builds(lambda a, b: op("move", a, from_=b), members, members),
        st.builds(lambda a, b: op("copy", a, from_=b), members, paths),
    )
    return draw(st.lists(operation, max_size=8))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, list[PatchOperation]]:
    workflow = draw(workflows(listed=True))
    return workflow, draw(operations_on(workflow))


@given(cases())
def test_an_operation_hits_what_it_names_whatever_came_before(
    case: tuple[Any, list[PatchOperation]],
) -> None:
    """As it does in a document whose nodes and edges are members of objects."""
    workflow, operations = case
    model = by_name(workflow)
    for end in range(1, len(operations) + 1):
        new = operations[end - 1]
        place = tokens_of(new.path)
        is_there = new.op == "add" and len(place) == 2 and place[1] in model[place[0]]
        try:
            model = apply(model, [new])
        except PatchFailed:
            is_there = True
        if is_there:
            refusal(workflow, *operations[:end])
            return
        result, performed = apply_by_id(workflow, operations[:end])
        assert equal(apply(workflow, performed), result)
        assert by_name(result) == model
        # What is new is behind what was there, which stays in its order.
        for member in ("nodes", "edges"):
            assert list(by_name(result)[member]) == list(model[member])


@st.composite
def wild_cases(draw: st.DrawFn) -> tuple[Any, list[PatchOperation]]:
    """Operations on anything, whatever becomes of the document."""
    workflow = draw(workflows())
    names = [pointer_to(Names(workflow).address_of(place)) for place, _ in places(workflow)]
    other = ["/nodes/-", "/nodes/n1", "/edges/n0->n1", "/edges/n0->n1 if x > 1", "/edges/0"]
    other += ["/edges/n0->n1/to", "/nodes/n2/id", "/nodes/n2/dependencies", "/dependencies/0"]
    path = st.sampled_from([*names, *other])
    value: Any = st.sampled_from(
        [5, None, [], {}, {"id": "n1"}, {"from": "n0", "to": "n1"}, ["n0"]]
    )
    value |= st.just(workflow["nodes"]) | st.just(workflow["edges"])
    operation = st.one_of(
        st.builds(
            lambda name, at, what: op(name, at, value=what),
            st.sampled_from(["add", "replace", "test"]),
            path,
            value,
        ),
        st.builds(lambda at: op("remove", at), path),
        st.builds(
            lambda name, at, origin: op(name, at, from_=origin),
            st.sampled_from(["move", "copy"]),
            path,
            path,
        ),
    )
    return workflow, draw(st.lists(operation, max_size=6))


@settings(max_examples=50)
@given(wild_cases())
def test_whatever_is_sent_is_refused_or_done_as_the_positions_say(
    case: tuple[Any, list[PatchOperation]],
) -> None:
    workflow, operations = case
    try:
        result, performed = apply_by_id(workflow, operations)
    except PatchFailed:
        return
    assert equal(apply(workflow, performed), result)


@pytest.mark.parametrize(
    ("document", "operations", "performed"),
    [
        (LISTED, [op("remove", "/nodes/a"), op("test", "/nodes/b/id", value="b")],
         [("remove", "/nodes/0"), ("test", "/nodes/0/id")]),
        (LISTED, [op("add", "/nodes/0", value={"id": "0"}), op("remove", "/nodes/0")],
         [("add", "/nodes/-"), ("remove", "/nodes/3")]),
        (LISTED, [op("replace", "/nodes/a/id", value="z"), op("remove", "/nodes/z/type")],
         [("replace", "/nodes/0/id"), ("remove", "/nodes/0/type")]),
        (LISTED, [op("remove", "/edges/a->b if x > 1~12/condition")],
         [("remove", "/edges/1/condition")]),
        (LISTED, [op("move", "/nodes/z", from_="/nodes/a"), op("remove", "/nodes/z")],
         [("add", "/nodes/0/id"), ("remove", "/nodes/0")]),
        (LISTED, [op("copy", "/edges/b->a", from_="/edges/a->b if x > 1~12")],
         [("copy", "/edges/-"), ("add", "/edges/2/from"), ("add", "/edges/2/to"),
          ("remove", "/edges/2/condition")]),
        (LISTED, [op("move", "/nodes/c~1d/inner", from_="/nodes/a")],
         [("move", "/nodes/1/inner")]),
        (LISTED, [op("move", "/nodes/a", from_="/nodes/a")], [("move", "/nodes/0")]),
        ({"nodes": [{"id": "a"}]}, [op("add", "/edges/a->a", value={"from": "a", "to": "a"})],
         [("add", "/edges")]),
        (MAPPED, [op("remove", "/edges/z->b"), op("remove", "/edges/a->b")],
         [("remove", "/nodes/b/dependencies/0"), ("remove", "/nodes/b/dependencies/0")]),
        (MAPPED, [op("add", "/edges/b->a", value={"from": "b", "to": "a"})],
         [("add", "/nodes/a/dependencies")]),
        (MAPPED, [op("replace", "/edges/z->b", value={"from": "z", "to": "b"})],
         [("remove", "/nodes/b/dependencies/0"), ("add", "/nodes/b/dependencies/-")]),
        (MAPPED, [op("add", "/edges/b->a", value={"from": "b", "to": "a", "x": 1})],
         [("add", "/edges")]),
    ],
)  # fmt: skip
def test_what_is_named_is_done_by_position(
    document: Any, operations: list[PatchOperation], performed: list[tuple[str, str]]
) -> None:
    assert done(document, *operations)[1] == performed


@pytest.mark.parametrize(
    ("document", "operation", "rule", "message"),
    [
        (LISTED, op("remove", "/nodes/0"), "not-found", 'There is no node "0".'),
        (LISTED, op("remove", "/edges/0"), "not-found", 'There is no edge "0".'),
        (LISTED, op("add", "/nodes/-", value={"id": "x"}), "name",
         'The value is the node "x", and the path names "-".'),
        (LISTED, op("add", "/nodes/x", value={}), "name",
         'The value is no node, and the path names "x".'),
        (LISTED, op("replace", "/nodes/a", value={"id": "b"}), "name",
         'The value is the node "b", and the path names "a".'),
        (LISTED, op("add", "/edges/b->a", value={"from": "a", "to": "b"}), "name", None),
        (LISTED, op("add", "/nodes/a", value={"id": "a"}), "exists",
         'The node "a" is there already.'),
        (LISTED, op("move", "/nodes/b", from_="/nodes/a"), "exists", None),
        (LISTED, op("move", "/edges/nothing", from_="/edges/a->b"), "name", None),
        ({**LISTED, "dependencies": []}, op("remove", "/dependencies/0"), "address", None),
        ({"nodes": [{"id": "a"}, {"id": "a"}]}, op("remove", "/nodes/a"), "ambiguous", None),
        ({**LISTED, "edges": 5}, op("add", "/edges/a->b", value=LISTED["edges"][0]), "type", None),
        (5, op("add", "/edges/a->b", value=LISTED["edges"][0]), "not-found", None),
        (MAPPED, op("add", "/nodes/a", value={}), "exists", None),
        (MAPPED, op("add", "/edges/a->b/label", value=1), "dependency", None),
        (MAPPED, op("copy", "/edge", from_="/edges/a->b"), "dependency", None),
    ],
)  # fmt: skip
def test_what_is_not_named_so_is_refused(
    document: Any, operation: PatchOperation, rule: str, message: str | None
) -> None:
    refused = refusal(document, operation)
    (violation,) = refused.errors
    assert (violation.pointer, violation.rule, refused.path) == ("/0", rule, operation.path)
    assert message in (None, violation.message)


def test_a_refusal_names_the_operation_as_it_was_sent() -> None:
    refused = refusal(
        LISTED,
        op("copy", "/nodes/z", from_="/nodes/a"),
        op("replace", "/nodes/c~1d/nothing", value=1),
    )
    assert (refused.index, refused.path) == (1, "/nodes/c~1d/nothing")


def test_what_is_wrong_is_addressed_by_names_as_far_as_there_are_names() -> None:
    document: Any = {
        "nodes": [{"id": "a"}, {"type": "t"}, {"id": "b"}, {"id": "b"}],
        "edges": [{"from": "a", "to": "x/y"}],
    }
    pointers = ["/nodes/0/type", "/nodes/1", "/nodes/3/id", "/edges/0/to", "/nodes", "/m/0", ""]
    found = addressed_by_id([Violation(each, "rule", "Wrong.") for each in pointers], document)
    assert [(each.pointer, each.message) for each in found] == [
        ("/nodes/a/type", "Wrong."),
        ("/nodes", "Item 1 of the list: Wrong."),
        ("/nodes", "Item 3 of the list: Wrong."),
        ("/edges/a->x~1y/to", "Wrong."),
        ("/nodes", "Wrong."),
        ("/m/0", "Wrong."),
        ("", "Wrong."),
    ]
    mapped = addressed_by_id([Violation("/nodes/b/dependencies/0", "rule", "Wrong.")], MAPPED)
    assert mapped[0].pointer == "/edges/z->b"


@given(st.data())
def test_an_id_that_looks_like_a_position_is_never_one(data: st.DataObject) -> None:
    ids = data.draw(st.permutations(["0", "1", "2", "-"]))
    workflow = {"nodes": [{"id": id_, "type": "t"} for id_ in ids]}
    order = data.draw(st.permutations(ids))
    for at, id_ in enumerate(order):
        removals = [op("remove", f"/nodes/{each}") for each in order[: at + 1]]
        result, _ = done(workflow, *removals)
        assert id_ not in [node["id"] for node in result["nodes"]]
        assert len(result["nodes"]) == len(ids) - at - 1
