"""Workflow documents: valid or refused, and their canonical bytes; no patches, no storage.

All functions take time linear in the document, and none recurses.
"""

from itertools import chain, islice
from typing import Any

import msgspec

from orchestrator.documents.canonical import JSONValue, canonicalise
from orchestrator.documents.workflow_cycle import has_an_order
from orchestrator.documents.workflow_graph import edges_of, nodes_of
from orchestrator.documents.workflow_rules import graph_violations
from orchestrator.documents.workflow_schema_violations import schema_violations
from orchestrator.errors import VIOLATIONS_MAX, RuleBroken, Violation

#: Their configuration names other nodes.
_REFERRING_TYPES = frozenset({"loop", "conditional"})


class Workflow(msgspec.Struct, frozen=True):
    """A document that keeps all rules."""

    document: JSONValue
    content: bytes
    nodes_count: int
    edges_count: int
    name: str | None


def check_workflow(document: JSONValue) -> Workflow:
    """Check a parsed document against all rules; RuleBroken lists the first that it breaks."""
    # This comes first: it also refuses a depth that the validator could not bear.
    content = canonicalise(document)
    violations = list(islice(schema_violations(document), VIOLATIONS_MAX + 1))
    counts = None if violations else _counts_if_sound(document)
    if counts is None:
        nodes, edges = nodes_of(document), edges_of(document)
        violations += islice(graph_violations(nodes, edges), VIOLATIONS_MAX + 1 - len(violations))
        if violations:
            _refuse(violations)
        counts = len(nodes), len(edges)
    return Workflow(document, content, *counts, _name_of(document))


def _counts_if_sound(document: Any) -> tuple[int, int] | None:
    """How many nodes and edges a document of the right shape has, if nothing is wrong between them.

    None also for what only the slow check understands: maps of nodes, dependencies, nodes that name
    others. The slow check says what is wrong, and where; it takes four times as long.
    """
    nodes, edges = document["nodes"], document.get("edges", ())
    if type(nodes) is not list or "dependencies" in document:
        return None
    index = {node["id"]: position for position, node in enumerate(nodes)}
    links = {(edge["from"], edge["to"]) for edge in edges}
    if (
        len(index) != len(nodes)
        or len(links) != len(edges)
        or not index.keys() >= set(chain.from_iterable(links))
        or any(node.get("type") in _REFERRING_TYPES for node in nodes)
    ):
        return None
    successors: list[list[int]] = [[] for _ in nodes]
    for source, target in links:
        successors[index[source]].append(index[target])
    # Where there is an order, there is a node to begin with and one to end with.
    return (len(nodes), len(edges)) if has_an_order(successors) else None


def _name_of(document: Any) -> str | None:
    for holder in (document.get("metadata", {}), document):
        if isinstance(name := holder.get("name"), str):
            return name
    return None


def _refuse(violations: list[Violation]) -> None:
    rules = "one rule" if len(violations) == 1 else f"{len(violations)} rules"
    if len(violations) > VIOLATIONS_MAX:
        rules = f"more than {VIOLATIONS_MAX} rules"
    raise RuleBroken(f"The workflow breaks {rules}. {violations[0].message}", violations)
