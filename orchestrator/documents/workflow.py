"""Workflow documents: valid or refused, and their canonical bytes; no patches, no storage.

All functions take time linear in the document, and none recurses.
"""

from itertools import chain, islice
from typing import Any

import msgspec

from orchestrator.documents.canonical import JSONValue, canonicalise
from orchestrator.documents.workflow_address import Address, addressed_by_id
from orchestrator.documents.workflow_cycle import has_an_order
from orchestrator.documents.workflow_graph import edges_of, nodes_of
from orchestrator.documents.workflow_rules import (
    REFERRING_TYPES,
    sense_violations,
    shape_violations,
    unconnected_nodes,
)
from orchestrator.documents.workflow_schema_violations import schema_violations
from orchestrator.errors import VIOLATIONS_MAX, InvalidInput, RuleBroken, Violation, listed_warnings


class Workflow(msgspec.Struct, frozen=True):
    """A document that keeps all rules."""

    document: JSONValue
    content: bytes
    nodes_count: int
    edges_count: int
    name: str | None
    #: What is not refused, but may be a mistake; as many as an answer may list.
    warnings: tuple[Violation, ...] = ()


class Judgement(msgspec.Struct, frozen=True):
    """What the rules say of a document: the first that it breaks, and what may be a mistake."""

    violations: list[Violation]
    warnings: list[Violation]
    #: How many nodes and edges it has; None if it is of a wrong shape.
    counts: tuple[int, int] | None


def check_workflow(
    document: JSONValue, *, lenient: bool = False, address: Address = "position"
) -> Workflow:
    """Check a parsed document against all rules; RuleBroken lists the first that it breaks."""
    # This comes first: it also refuses a depth that the validator could not bear.
    content = canonical(document, address)
    judgement = judged(document, lenient=lenient, address=address)
    if judgement.violations or judgement.counts is None:
        raise broken(judgement.violations)
    return Workflow(
        document,
        content,
        *judgement.counts,
        _name_of(document),
        tuple(listed_warnings(judgement.warnings)) if judgement.warnings else (),
    )


def canonical(document: JSONValue, address: Address = "position") -> bytes:
    """The canonical form; InvalidInput says what has none, and where."""
    try:
        return canonicalise(document)
    except InvalidInput as error:
        if address == "position":
            raise
        found = addressed_by_id(getattr(error, "errors", ()), document)
        raise InvalidInput(str(error), found) from None


def judged(
    document: JSONValue, *, lenient: bool = False, address: Address = "position"
) -> Judgement:
    """Judge a document that has a canonical form.

    Its shape must be right in any case. That its graph makes no sense is a violation, and, if the
    judgement is lenient, a warning.
    """
    judgement = _judged(document, lenient=lenient)
    if address == "position" or not (judgement.violations or judgement.warnings):
        return judgement
    return msgspec.structs.replace(
        judgement,
        violations=addressed_by_id(judgement.violations, document),
        warnings=addressed_by_id(judgement.warnings, document),
    )


def _judged(document: JSONValue, *, lenient: bool) -> Judgement:
    violations = list(islice(schema_violations(document), VIOLATIONS_MAX + 1))
    has_parts = is_graph = not violations
    sound = _if_sound(document) if has_parts else None
    if sound is not None and sound[2]:
        return Judgement([], [], sound[:2])
    nodes, edges = nodes_of(document), edges_of(document)
    warnings: list[Violation] = []
    if sound is None:
        violations += islice(shape_violations(nodes, edges), VIOLATIONS_MAX + 1 - len(violations))
        is_graph = not violations
        judging = warnings if lenient else violations
        judging += islice(sense_violations(nodes, edges), VIOLATIONS_MAX + 1 - len(judging))
    if is_graph:
        warnings += islice(unconnected_nodes(nodes, edges), VIOLATIONS_MAX + 1 - len(warnings))
    return Judgement(violations, warnings, (len(nodes), len(edges)) if has_parts else None)


def _if_sound(document: Any) -> tuple[int, int, bool] | None:
    """How many nodes and edges a document of the right shape has, and whether each node has an
    edge, or is the only one; if nothing is wrong between them.

    None also for what only the slow check understands: maps of nodes, dependencies, nodes that name
    others. The slow check says what is wrong, and where; it takes four times as long.
    """
    nodes, edges = document["nodes"], document.get("edges", ())
    if type(nodes) is not list or "dependencies" in document:
        return None
    index = {node["id"]: position for position, node in enumerate(nodes)}
    links = {(edge["from"], edge["to"]) for edge in edges}
    connected = set(chain.from_iterable(links))
    if (
        len(index) != len(nodes)
        or len(links) != len(edges)
        or not index.keys() >= connected
        or any(node.get("type") in REFERRING_TYPES for node in nodes)
    ):
        return None
    successors: list[list[int]] = [[] for _ in nodes]
    for source, target in links:
        successors[index[source]].append(index[target])
    # Where there is an order, there is a node to begin with and one to end with.
    if not has_an_order(successors):
        return None
    return len(nodes), len(edges), len(connected) == len(nodes) or len(nodes) == 1


def _name_of(document: Any) -> str | None:
    for holder in (document.get("metadata", {}), document):
        if isinstance(name := holder.get("name"), str):
            return name
    return None


def broken(violations: list[Violation]) -> RuleBroken:
    """The refusal of a document that has these."""
    rules = "one rule" if len(violations) == 1 else f"{len(violations)} rules"
    if len(violations) > VIOLATIONS_MAX:
        rules = f"more than {VIOLATIONS_MAX} rules"
    return RuleBroken(f"The workflow breaks {rules}. {violations[0].message}", violations)
