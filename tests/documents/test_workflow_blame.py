"""Which version of a history made each node and edge what it is."""

from typing import Any

import msgspec

from orchestrator.documents.workflow_blame import NodeAction, blame_workflow, node_events
from orchestrator.models.version_history import Ancestor

A: dict[str, Any] = {"id": "a", "type": "task"}
B: dict[str, Any] = {"id": "b", "type": "task"}


def version(*nodes: Any, parents: tuple[int, ...] = (), cut: bool = False, **more: Any) -> Ancestor:
    content = msgspec.json.encode({"nodes": list(nodes), **more})
    return Ancestor(content=content, parents=parents, is_cut=cut)


def events(history: list[Ancestor], node_id: str) -> list[tuple[int, str]]:
    return [(each.at, each.action.value) for each in node_events(history, node_id)]


def test_a_node_is_blamed_on_the_version_that_changed_it_last() -> None:
    history = [
        version(A, {**B, "n": 2}, parents=(1,)),
        version({**B, "n": 2}, A, parents=(2,)),
        version({**B, "n": 1}, A, parents=(3,)),
        version(A),
    ]
    assert blame_workflow(history).nodes == {"a": 3, "b": 1}
    assert events(history, "b") == [(1, "changed"), (2, "added")]
    assert events(history, "a") == [(3, "added")]


def test_what_was_there_again_is_blamed_on_the_version_that_brought_it_back() -> None:
    history = [version(A, parents=(1,)), version(B, parents=(2,)), version(A)]
    assert blame_workflow(history).nodes == {"a": 0}
    assert events(history, "a") == [(0, "added"), (1, "removed"), (2, "added")]


def test_an_edge_is_known_by_its_ends_and_its_condition() -> None:
    plain, conditional = {"from": "a", "to": "b"}, {"from": "a", "to": "b", "condition": "x > 1"}
    history = [
        version(A, B, parents=(1,), edges=[{**conditional, "n": 1}, plain]),
        version(A, B, parents=(2,), edges=[plain, conditional]),
        version(A, B, edges=[plain]),
    ]
    assert blame_workflow(history).edges == {"a->b if x > 1": 0, "a->b": 2}


def test_a_merge_is_blamed_for_what_neither_side_had() -> None:
    history = [
        version({**A, "n": 1}, {**B, "n": 1}, {"id": "c"}, parents=(1, 2)),
        version({**A, "n": 1}, B, parents=(3,)),
        version(A, {**B, "n": 1}, parents=(3,)),
        version(A, B),
    ]
    assert blame_workflow(history).nodes == {"a": 1, "b": 2, "c": 0}
    assert events(history, "a") == [(1, "changed"), (3, "added")]
    assert events(history, "c") == [(0, "added")]


def test_the_shape_of_a_document_is_no_change() -> None:
    edge = {"from": "a", "to": "b"}
    history = [
        Ancestor(
            content=b'{"nodes":{"a":{"type":"task"},"b":{"type":"task","dependencies":["a"]}}}',
            parents=(1,),
        ),
        version(B, A, edges=[edge]),
    ]
    blame = blame_workflow(history)
    assert (blame.nodes, blame.edges) == ({"a": 1, "b": 1}, {"a->b": 1})
    assert events(history, "b") == [(1, "added")]


def test_true_is_not_one() -> None:
    history = [version({**A, "x": True}, parents=(1,)), version({**A, "x": 1})]
    assert blame_workflow(history).nodes == {"a": 0}


def test_what_was_before_a_cut_is_not_guessed() -> None:
    history = [version({**A, "n": 1}, B, parents=(1,)), version(A, B, cut=True)]
    assert blame_workflow(history).nodes == {"a": 0, "b": 1}
    (event,) = node_events(history, "a")
    assert (event.at, event.action, event.node) == (0, NodeAction.CHANGED, {**A, "n": 1})
    assert events(history, "b") == []
