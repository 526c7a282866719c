"""Workflows for tests of the rules of documents, and what is said of those that break them."""

from typing import Any

import pytest

from orchestrator.documents.canonical import parse
from orchestrator.documents.workflow import Workflow, check_workflow
from orchestrator.errors import (
    RuleBroken,
    Violation,
)

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
