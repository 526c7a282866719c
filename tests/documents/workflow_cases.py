"""Workflows for tests: random ones, random edits of them, and the real ones where they are."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from orchestrator.cli.wfformat import workflow_from_wfformat
from orchestrator.documents.workflow_graph import edges_of, nodes_of

DATA = Path(__file__).parents[3] / "shared" / "data" / "wfcommons"

IDS = [f"n{number}" for number in range(8)]
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"There are no real workflows at {DATA}.")


@cache
def real_workflow(name: str) -> Any:
    """A recorded scientific workflow; treat it as immutable."""
    (path,) = DATA.glob(f"{name}*.json")
    return workflow_from_wfformat(json.loads(path.read_bytes()))


def chain_of_nodes(count: int) -> Any:
    """A large workflow: nodes in a row, about 100 bytes each."""
    return {
        "nodes": [
            {
                "id": f"n{n}",
                "type": "http",
                "config": {"url": f"https://host/{n}", "retries": n % 7},
            }
            for n in range(count)
        ],
        "edges": [{"from": f"n{n}", "to": f"n{n + 1}"} for n in range(count - 1)],
    }


CONFIGS = st.dictionaries(
    st.sampled_from(["url", "retries", "a/b"]),
    st.integers(0, 2) | st.booleans() | st.lists(st.integers(0, 2), max_size=2),
    max_size=2,
)
NODES = st.fixed_dictionaries(
    {"type": st.sampled_from(["http", "task"])}, optional={"config": CONFIGS}
)


@st.composite
def workflows(draw: st.DrawFn, *, listed: bool | None = None) -> Any:
    """A valid workflow, without cycles because edges lead from smaller to larger ids."""
    ids = draw(st.lists(st.sampled_from(IDS), min_size=1, unique=True))
    workflow: Any = {
        "nodes": {id_: draw(NODES) for id_ in ids},
        "edges": [],
        "metadata": draw(CONFIGS),
    }
    for _ in range(draw(st.integers(0, 8))):
        add_edge(draw, workflow)
    if draw(st.booleans()) if listed is None else listed:
        nodes = workflow["nodes"].items()
        workflow["nodes"] = [{"id": id_, **node} for id_, node in nodes]
        for node in workflow["nodes"]:
            node.pop("dependencies", None)
    return workflow


def add_edge(draw: st.DrawFn, workflow: Any) -> None:
    """Add an edge, in the list of edges or inside its target, unless it is there."""
    nodes = {node.id: node.value for node in nodes_of(workflow)}
    if len(nodes) < 2:
        return
    pair = draw(st.lists(st.sampled_from(sorted(nodes)), min_size=2, max_size=2, unique=True))
    source, target = sorted(pair)
    condition = draw(st.sampled_from([None, None, "x > 1"]))
    if (source, target, condition) in {edge[:3] for edge in edges_of(workflow)}:
        return
    if isinstance(workflow["nodes"], dict) and condition is None and draw(st.booleans()):
        nodes[target]["dependencies"] = [*nodes[target].get("dependencies", []), source]
    else:
        edge = {"from": source, "to": target, **draw(CONFIGS)}
        workflow["edges"].append(edge if condition is None else {**edge, "condition": condition})


@st.composite
def edited(draw: st.DrawFn, workflow: Any, *, edits_min: int = 0, edits_max: int = 4) -> Any:
    """The workflow after some edits, of which some may change nothing; it is valid again."""
    result = json.loads(json.dumps(workflow))
    for _ in range(draw(st.integers(edits_min, edits_max))):
        draw(st.sampled_from([_add, _remove, _change, _move, add_edge, _cut, _label, _describe]))(
            draw, result
        )
    return result


def _add(draw: st.DrawFn, workflow: Any) -> None:
    known = {node.id for node in nodes_of(workflow)}
    id_, node = draw(st.sampled_from(IDS)), draw(NODES)
    if id_ in known:
        return
    if isinstance(workflow["nodes"], dict):
        workflow["nodes"][id_] = node
    else:
        place = draw(st.integers(0, len(workflow["nodes"])))
        workflow["nodes"].insert(place, {"id": id_, **node})


def _remove(draw: st.DrawFn, workflow: Any) -> None:
    if len(workflow["nodes"]) < 2:
        return
    gone = draw(st.sampled_from([node.id for node in nodes_of(workflow)]))
    if isinstance(workflow["nodes"], dict):
        del workflow["nodes"][gone]
        for node in workflow["nodes"].values():
            if gone in node.get("dependencies", []):
                node["dependencies"].remove(gone)
    else:
        workflow["nodes"] = [node for node in workflow["nodes"] if node["id"] != gone]
    workflow["edges"] = [
        edge for edge in workflow["edges"] if gone not in (edge["from"], edge["to"])
    ]


def _change(draw: st.DrawFn, workflow: Any) -> None:
    node = draw(st.sampled_from(nodes_of(workflow))).value
    node.update(draw(NODES))


def _move(draw: st.DrawFn, workflow: Any) -> None:
    for member in ("nodes", "edges"):
        if isinstance(workflow[member], list):
            workflow[member] = draw(st.permutations(workflow[member]))


def _cut(draw: st.DrawFn, workflow: Any) -> None:
    if workflow["edges"]:
        workflow["edges"].remove(draw(st.sampled_from(workflow["edges"])))


def _label(draw: st.DrawFn, workflow: Any) -> None:
    if workflow["edges"]:
        draw(st.sampled_from(workflow["edges"])).update(draw(CONFIGS))


def _describe(draw: st.DrawFn, workflow: Any) -> None:
    workflow["metadata"].update(draw(CONFIGS))
