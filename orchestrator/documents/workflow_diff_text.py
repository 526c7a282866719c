"""A workflow diff as lines for people; programs read its JSON."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.workflow_diff import ReversiblePatch, WorkflowDiff

VALUE_CHARACTERS_MAX = 80

# "+" added, "-" removed, "~" changed, as ANSI colours.
_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m"}
_RESET = "\x1b[0m"


def render_text(diff: WorkflowDiff, *, colour: bool) -> str:
    """One line for each change, with its details indented below; no text for no change.

    Text from the documents is escaped where a terminal could take it for a command.
    """
    lines = [
        f"{_COLOURS[line.lstrip()[0]]}{line}{_RESET}" if colour else line for line in _lines(diff)
    ]
    return "".join(f"{line}\n" for line in lines)


def _lines(diff: WorkflowDiff) -> Iterator[str]:
    yield from change_lines(diff.members)
    for removed in diff.nodes_removed:
        yield f"- node {_node_name(removed.id, removed.node)}"
    for added in diff.nodes_added:
        yield f"+ node {_node_name(added.id, added.node)}"
    for renamed in diff.nodes_renamed:
        yield f"~ node {plain(renamed.before)} is now {plain(renamed.after)}"
    for node in diff.nodes_changed:
        yield f"~ node {plain(node.id)}"
        yield from change_lines(node, indent="    ")
    for edge in diff.edges_removed:
        yield f"- edge {_edge_name(edge['from'], edge['to'], edge.get('condition'))}"
    for edge in diff.edges_added:
        yield f"+ edge {_edge_name(edge['from'], edge['to'], edge.get('condition'))}"
    for changed in diff.edges_changed:
        yield f"~ edge {_edge_name(changed.source, changed.target, changed.condition)}"
        yield from change_lines(changed, indent="    ")
    if diff.reordered:
        yield "~ order of nodes or edges"


def change_lines(change: ReversiblePatch, *, indent: str = "", below: str = "") -> Iterator[str]:
    """Each operation of a patch between two values has exactly one that takes it back. Its pointers
    are shown `below` another one.
    """
    for operation, back in zip(change.patch, reversed(change.inverse), strict=True):
        for line in _operation_lines(operation, back, below):
            yield f"{indent}{line}"


def _operation_lines(operation: PatchOperation, back: PatchOperation, below: str) -> Iterator[str]:
    path = plain(below + operation.path)
    if operation.op == "move":
        yield f"~ {plain(below + str(operation.source))} is now {path}"
    if operation.op in {"remove", "replace"}:
        yield f"- {path}: {_value(back.value)}"
    if operation.op in {"add", "replace"}:
        yield f"+ {path}: {_value(operation.value)}"


def _node_name(id_: str, node: dict[str, Any]) -> str:
    kind = node.get("type")
    return f"{plain(id_)} ({plain(kind)})" if isinstance(kind, str) else plain(id_)


def _edge_name(source: str, target: str, condition: str | None) -> str:
    name = f"{plain(source)} → {plain(target)}"
    return name if condition is None else f"{name} if {plain(condition)}"


def _value(value: Any) -> str:
    text = plain(msgspec.json.encode(value).decode())
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"


def plain(text: str) -> str:
    """Text without what a terminal could take for a command."""
    return text if text.isprintable() else json.dumps(text)[1:-1]
