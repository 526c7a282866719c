"""WfFormat: what becomes of a document, what is refused, and that nothing is lost."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.wfformat import (
    LINKS,
    is_wfformat,
    wfformat_from_workflow,
    workflow_from_wfformat,
)
from orchestrator.documents.canonical import parse
from orchestrator.documents.workflow import check_workflow
from orchestrator.errors import InvalidInput

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "wfcommons"

NEW: dict[str, Any] = {
    "name": "blast",
    "description": "A small search.",
    "createdAt": "2024-01-01T00:00:00Z",
    "schemaVersion": "1.5",
    "author": {"name": "Ada", "email": "ada@example.com"},
    "runtimeSystem": {"name": "Makeflow", "version": "1", "url": "https://example.com"},
    "workflow": {
        "specification": {
            "tasks": [
                {
                    "name": "split",
                    "id": "split_1",
                    "parents": [],
                    "children": ["search_2", "search_3"],
                    "inputFiles": ["in.fasta"],
                    "outputFiles": ["a", "b"],
                },
                {"name": "search", "id": "search_2", "parents": ["split_1"], "children": ["cat_4"]},
                {"name": "search", "id": "search_3", "parents": ["split_1"], "children": ["cat_4"]},
                {"name": "cat", "id": "cat_4", "parents": ["search_3", "search_2"], "children": []},
            ],
            "files": [{"id": "in.fasta", "sizeInBytes": 5}],
        },
        "execution": {"makespanInSeconds": 1.5, "tasks": [{"id": "split_1", "x": None}]},
    },
}

OLD: dict[str, Any] = {
    "name": "genome",
    "schemaVersion": "1.4",
    "wms": {"name": "Pegasus"},
    "workflow": {
        "executedAt": "2020",
        "makespanInSeconds": 7,
        "machines": [{"nodeName": "m"}],
        "tasks": [
            {
                "name": "individuals_1",
                "id": "ID1",
                "type": "compute",
                "command": {"program": "individuals", "arguments": ["-x", "5"]},
                "parents": [],
                "children": ["merge_2"],
                "files": [{"link": "input", "name": "f", "sizeInBytes": 5}],
                "avgCPU": None,
            },
            {"name": "merge_2", "id": "ID2", "type": "compute", "parents": ["individuals_1"]},
        ],
    },
}


def tasks_of(document: dict[str, Any]) -> list[Any]:
    workflow = document["workflow"]
    tasks: list[Any] = workflow.get("specification", workflow)["tasks"]
    return tasks


def old(*tasks: Any) -> dict[str, Any]:
    return {"schemaVersion": "1.3", "workflow": {"tasks": list(tasks)}}


def new(*tasks: Any) -> dict[str, Any]:
    return {"schemaVersion": "1.5", "workflow": {"specification": {"tasks": list(tasks)}}}


def comes_back(document: dict[str, Any]) -> bool:
    before = copy.deepcopy(document)
    after = wfformat_from_workflow(workflow_from_wfformat(document))
    return document == before == after


def test_tasks_become_nodes_and_their_links_edges() -> None:
    imported = workflow_from_wfformat(NEW)
    assert imported["nodes"] == [
        {
            "id": "split_1",
            "name": "split",
            "type": "task",
            "config": {"inputFiles": ["in.fasta"], "outputFiles": ["a", "b"]},
        },
        {"id": "search_2", "name": "search", "type": "task", "config": {}},
        {"id": "search_3", "name": "search", "type": "task", "config": {}},
        {"id": "cat_4", "name": "cat", "type": "task", "config": {}},
    ]
    assert [(edge["from"], edge["to"]) for edge in imported["edges"]] == [
        ("split_1", "search_2"),
        ("split_1", "search_3"),
        ("search_3", "cat_4"),
        ("search_2", "cat_4"),
    ]
    assert check_workflow(imported).name == "blast"


def test_everything_else_stands_in_the_metadata() -> None:
    metadata = workflow_from_wfformat(NEW)["metadata"]
    rest = copy.deepcopy(NEW)
    del rest["name"]
    del rest["workflow"]["specification"]["tasks"]
    assert metadata == {"name": "blast", "wfformat": rest}


def test_older_documents_name_parents_by_name_and_keep_their_ids() -> None:
    imported = workflow_from_wfformat(OLD)
    assert [node["id"] for node in imported["nodes"]] == ["ID1", "ID2"]
    assert imported["edges"] == [{"from": "ID1", "to": "ID2"}]
    assert imported["nodes"][1]["config"] == {"type": "compute", "children": None}
    assert imported["metadata"]["wfformat_links"] == {"parents": "name", "children": "name"}
    check_workflow(imported)


def test_in_older_documents_a_name_is_enough() -> None:
    document = old({"name": "a"}, {"name": "b", "parents": ["a"]})
    imported = workflow_from_wfformat(document)
    assert [node["id"] for node in imported["nodes"]] == ["a", "b"]
    assert imported["edges"] == [{"from": "a", "to": "b"}]
    assert comes_back(document)


@pytest.mark.parametrize(
    "document",
    [
        NEW,
        OLD,
        NEW | {"name": 5},
        new(),
        new({"id": "a"}, {"id": "b", "name": None, "x": None}),
        new({"id": "a", "children": ["b"]}, {"id": "b"}),
        new({"id": "a", "children": ["b"]}, {"id": "b", "parents": []}),
        new({"id": "a", "parents": ["b", "b"]}, {"id": "b", "parents": []}),
        new({"id": "a", "parents": ["c"]}, {"id": "b", "parents": ["a"]}, {"id": "c"}),
        old({"id": "a", "name": "x"}, {"id": "b", "name": "x", "parents": ["a"]}),
        old({"id": "1", "name": "x", "children": ["2"]}, {"id": "2", "parents": ["x"]}),
    ],
)
def test_an_export_of_an_import_is_the_same_document(document: dict[str, Any]) -> None:
    assert comes_back(document)


IDS = st.sampled_from("abcd")


@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": IDS},
            optional={
                "name": IDS | st.none(),
                "parents": st.lists(IDS, max_size=3),
                "children": st.lists(IDS, max_size=3),
                "x": st.none() | st.integers(),
            },
        ),
        unique_by=lambda task: str(task["id"]),
    ),
    st.sampled_from([old, new]),
)
def test_whatever_is_imported_comes_back(tasks: list[Any], version: Any) -> None:
    named = {name for task in tasks for link in LINKS for name in task.get(link, [])}
    present = {name for task in tasks for name in (task["id"], task.get("name"))}
    try:
        assert comes_back(version(*tasks))
    except InvalidInput:
        assert not named <= {task["id"] for task in tasks}
        return
    assert named <= present


def test_an_export_follows_what_was_edited() -> None:
    imported = workflow_from_wfformat(OLD)
    imported["metadata"]["name"] = "renamed"
    imported["nodes"].append({"id": "ID3", "name": "plot", "type": "task"})
    imported["edges"].append({"from": "ID1", "to": "ID3"})
    exported = wfformat_from_workflow(imported)
    assert exported["name"] == "renamed"
    assert tasks_of(exported)[0]["children"] == ["merge_2", "plot"]
    assert tasks_of(exported)[2]["parents"] == ["individuals_1"]


def test_any_workflow_can_be_exported() -> None:
    nodes = {"a": {"type": "http", "config": {"id": 5, "x": 1}}, "b": {"type": "x", "name": "B"}}
    edges = [{"from": "a", "to": "b", "condition": condition} for condition in "xy"]
    assert wfformat_from_workflow({"nodes": nodes, "edges": edges}) == new(
        {"id": "a", "name": "a", "x": 1, "parents": [], "children": ["b"]},
        {"id": "b", "name": "B", "parents": ["a"], "children": []},
    )


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"workflow": []},
        {"workflow": {}},
        {"workflow": {"specification": []}},
        old() | {"workflow": {"tasks": {}}},
    ],
)
def test_a_document_without_tasks_is_not_wfformat(document: Any) -> None:
    assert not is_wfformat(document)
    with pytest.raises(InvalidInput) as refused:
        workflow_from_wfformat(document)
    assert [(error.pointer, error.rule) for error in refused.value.errors] == [("", "not-wfformat")]


def test_documents_of_all_versions_are_wfformat_and_workflows_are_not() -> None:
    assert is_wfformat(NEW)
    assert is_wfformat(OLD)
    assert not is_wfformat(workflow_from_wfformat(NEW))


@pytest.mark.parametrize(
    ("document", "pointer", "rule"),
    [
        (new({"name": "a"}), "/workflow/specification/tasks/0", "task-id"),
        (old({"id": "a"}, {"type": "compute"}), "/workflow/tasks/1", "task-id"),
        (old({"id": 5, "name": "a"}), "/workflow/tasks/0", "task-id"),
        (new(5), "/workflow/specification/tasks/0", "type"),
        (new({"id": "a"}, {"id": "a"}), "/workflow/specification/tasks/1/id", "duplicate-task"),
        (old({"id": "a", "parents": "b"}), "/workflow/tasks/0/parents", "type"),
        (old({"id": "a", "children": None}), "/workflow/tasks/0/children", "type"),
        (
            new({"id": "a"}, {"id": "b", "parents": ["a", "x"]}),
            "/workflow/specification/tasks/1/parents/1",
            "missing-task",
        ),
        (old({"id": "a", "children": ["x"]}), "/workflow/tasks/0/children/0", "missing-task"),
        (
            old(*({"id": i, "name": "x"} for i in "ab"), {"id": "c", "parents": ["x"]}),
            "/workflow/tasks/2/parents/0",
            "missing-task",
        ),
    ],
)
def test_a_task_that_cannot_be_read_is_named(
    document: dict[str, Any], pointer: str, rule: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        workflow_from_wfformat(document)
    assert [(error.pointer, error.rule) for error in refused.value.errors] == [(pointer, rule)]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the WfCommons samples are not in the repository")
def test_real_documents_come_back_and_their_links_are_all_edges() -> None:
    for sample in sorted(SAMPLES.glob("*.json")):
        document: Any = parse(sample.read_bytes(), bytes_max=10_000_000)
        assert comes_back(document)
        imported = workflow_from_wfformat(document)
        assert len(imported["nodes"]) == len(tasks_of(document))
        assert not any(
            {"parents", "children"} & node["config"].keys() for node in imported["nodes"]
        )
        check_workflow(imported)
