"""The JSON Schema of a workflow and the violations of it; rules between nodes are not here."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs

from orchestrator.documents.canonical import JSONValue, Path, pointer, shortened
from orchestrator.errors import Violation

# The types that the product knows; a workflow may use others.
NODE_TYPES = (
    *("function", "http", "conditional", "loop", "parallel", "transform"),
    *("aggregate", "filter", "agent", "hitl", "task"),
)

_NODE_ID = {
    "title": "Node id",
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[A-Za-z0-9_.-]*$",
    "examples": ["fetch", "NFCORE_RNASEQ.FASTQC_1"],
}

_RETRY = {
    "title": "Retry policy",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "max_attempts": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
        "backoff_ms": {"type": "integer", "minimum": 0, "default": 1000},
        "backoff_multiplier": {"type": "number", "minimum": 1, "default": 2},
    },
}

_RULE = {
    "title": "Branch of a conditional node",
    "type": "object",
    "required": ["condition", "to"],
    "properties": {"condition": {"type": "string"}, "to": {"$ref": "#/$defs/id"}},
}

_EXIT = {
    "description": "The node or nodes to go on with.",
    "type": ["string", "array"],
    "items": {"$ref": "#/$defs/id"},
}

_LOOP = {
    "required": ["config"],
    "properties": {
        "config": {
            "required": ["max_iterations", "loop_back_to"],
            "properties": {
                "max_iterations": {"type": "integer", "exclusiveMinimum": 0},
                "loop_back_to": {"$ref": "#/$defs/id"},
                "break_path": _EXIT,
                "timeout_path": _EXIT,
            },
        }
    },
}

_CONDITIONAL = {
    "required": ["config"],
    "properties": {
        "config": {
            "anyOf": [{"required": ["rules"]}, {"required": ["default"]}],
            "properties": {
                "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}},
                "default": {"$ref": "#/$defs/id"},
            },
        }
    },
}


def _when_type(name: str, then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"required": ["type"], "properties": {"type": {"const": name}}}, "then": then}


_NODE = {
    "title": "Node",
    "description": "One unit of work. Members that are not listed here are kept as they are.",
    "type": "object",
    "required": ["type"],
    "properties": {
        "id": {"$ref": "#/$defs/id"},
        "type": {
            "description": "What runs the node. Any name is accepted.",
            "type": "string",
            "minLength": 1,
            "examples": list(NODE_TYPES),
        },
        "config": {"description": "What the type needs to know.", "type": "object"},
        "timeout_ms": {"type": "integer", "minimum": 0},
        "retry": _RETRY,
    },
    "allOf": [_when_type("loop", _LOOP), _when_type("conditional", _CONDITIONAL)],
}

_NODE_IN_LIST = {"$ref": "#/$defs/node", "required": ["id"]}

_NODE_IN_MAP = {
    "$ref": "#/$defs/node",
    "properties": {
        "dependencies": {
            "description": "The ids of the nodes that come directly before this one.",
            "type": "array",
            "items": {"$ref": "#/$defs/id"},
        }
    },
}

_EDGE = {
    "title": "Edge",
    "description": "After `from` comes `to`, if the condition holds.",
    "type": "object",
    "required": ["from", "to"],
    "properties": {
        "from": {"$ref": "#/$defs/id"},
        "to": {"$ref": "#/$defs/id"},
        "condition": {"type": "string"},
    },
}

_EDGES = {"type": "array", "items": {"$ref": "#/$defs/edge"}}

WORKFLOW_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Workflow",
    "description": (
        "A graph of nodes and edges. Nodes are a list of objects with an id, or a map from id to "
        "node. Members that are not listed here are kept as they are. Beyond this schema: ids are "
        "unique, whatever names a node names an existing one, no edge is listed twice, there is a "
        "first and a last node, and only a loop node may lead back, to its config.loop_back_to."
    ),
    "type": "object",
    "required": ["nodes"],
    "properties": {
        "nodes": {
            "type": ["array", "object"],
            "minItems": 1,
            "items": {"$ref": "#/$defs/node_in_list"},
            "minProperties": 1,
            "propertyNames": {"$ref": "#/$defs/id"},
            "additionalProperties": {"$ref": "#/$defs/node_in_map"},
        },
        "edges": {"$ref": "#/$defs/edges"},
        "dependencies": {"$ref": "#/$defs/edges", "description": "Another name for edges."},
        "metadata": {
            "description": "Anything; a name in it is shown in lists.",
            "type": "object",
        },
    },
    "dependentSchemas": {"edges": {"properties": {"dependencies": False}}},
    "examples": [
        {
            "metadata": {"name": "nightly report"},
            "nodes": [
                {"id": "fetch", "type": "http", "config": {"url": "https://example.com/data"}},
                {"id": "report", "type": "task", "timeout_ms": 60000, "retry": {"max_attempts": 5}},
            ],
            "edges": [{"from": "fetch", "to": "report"}],
        }
    ],
    "$defs": {
        "id": _NODE_ID,
        "node": _NODE,
        "node_in_list": _NODE_IN_LIST,
        "node_in_map": _NODE_IN_MAP,
        "rule": _RULE,
        "edge": _EDGE,
        "edges": _EDGES,
    },
}

# What a keyword means, for a person; the braces are filled with what the validator says of it.
_MESSAGES = {
    "required": "The member {property} is missing.",
    "type": "The value has a wrong type; allowed: {types}.",
    "pattern": 'An id may contain only letters, digits, "_", "." and "-".',
    "minLength": "The text may not be empty.",
    "maxLength": "The text may have at most {limit} characters.",
    "minimum": "The number must be at least {limit}.",
    "maximum": "The number must be at most {limit}.",
    "exclusiveMinimum": "The number must be greater than {limit}.",
    "minItems": "The list may not be empty.",
    "minProperties": "The object may not be empty.",
    "additionalProperties": "There are unknown members: {unexpected}.",
    "falseSchema": "Give edges or dependencies, not both: they are two names of one thing.",
    "anyOf": "A conditional node needs config.rules or config.default.",
}


class _Part(NamedTuple):
    """A piece of a document, where it is, and the definition that it must fit."""

    definition: str
    path: Path
    value: Any
    subject: str = ""


def schema_violations(document: JSONValue) -> Iterator[Violation]:
    """All violations, part by part.

    The validator lists every error before it returns the first, at some 20 µs each, so it never
    gets a whole document that is wrong: who reads only the first violations pays only for those.
    """
    if not _WORKFLOW.is_valid(document):
        for part in _parts(document):
            for error in _PARTS[part.definition].iter_errors(part.value):
                yield _violation(part, error)


def _violation(part: _Part, error: jsonschema_rs.ValidationError) -> Violation:
    keyword = error.kind.name
    facts = {name: _listed(fact) for name, fact in error.kind.as_dict().items()}
    message = _MESSAGES[keyword].format(**facts)
    return Violation(pointer((*part.path, *error.instance_path)), keyword, part.subject + message)


def _listed(fact: object) -> str:
    if not isinstance(fact, list):
        return shortened(fact) if isinstance(fact, str) else str(fact)
    names = ", ".join(shortened(str(name)) for name in fact[:10])
    return names if len(fact) <= 10 else f"{names} and {len(fact) - 10} more"


def _parts(document: JSONValue) -> Iterator[_Part]:
    yield _Part("workflow", (), document)
    if not isinstance(document, dict):
        return
    nodes = document.get("nodes")
    if isinstance(nodes, list):
        for index, node in enumerate(nodes):
            yield from _node_parts("node_in_list", ("nodes", index), node)
    elif isinstance(nodes, dict):
        for node_id, node in nodes.items():
            yield _Part("id", ("nodes", node_id), node_id, f"Node {shortened(node_id)}: ")
            yield from _node_parts("node_in_map", ("nodes", node_id), node)
    for member in ("edges", "dependencies"):
        yield from _list_parts("edge", (member,), document.get(member))


def _node_parts(definition: str, path: Path, node: JSONValue) -> Iterator[_Part]:
    name = path[-1] if definition == "node_in_map" else isinstance(node, dict) and node.get("id")
    subject = f"Node {shortened(name)}: " if isinstance(name, str) else ""
    yield _Part(definition, path, node, subject)
    if not isinstance(node, dict):
        return
    if definition == "node_in_map":
        yield from _list_parts("id", (*path, "dependencies"), node.get("dependencies"), subject)
    config = node.get("config")
    if not isinstance(config, dict):
        return
    if node.get("type") == "conditional":
        yield from _list_parts("rule", (*path, "config", "rules"), config.get("rules"), subject)
    if node.get("type") == "loop":
        for exit_name in ("break_path", "timeout_path"):
            exits = config.get(exit_name)
            yield from _list_parts("id", (*path, "config", exit_name), exits, subject)


def _list_parts(definition: str, path: Path, value: Any, subject: str = "") -> Iterator[_Part]:
    for index, item in enumerate(value if isinstance(value, list) else []):
        yield _Part(definition, (*path, index), item, subject)


def _shallow(schema: Any) -> Any:
    """The schema without what it asks of the members of lists and maps: those are parts."""
    if isinstance(schema, list):
        return [_shallow(child) for child in schema]
    if not isinstance(schema, dict):
        return schema
    deep = {"items", "propertyNames", "additionalProperties"}
    return {
        keyword: _shallow(child)
        for keyword, child in schema.items()
        if not (keyword in deep and isinstance(child, dict))
    }


def _compiled(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse, mask="value")


def _refuse(uri: str) -> Any:
    """A schema of ours refers only to itself, and nothing is ever fetched for it."""
    raise ValueError(f"The schema refers to {uri}, outside of itself.")


_WORKFLOW = _compiled(WORKFLOW_SCHEMA)
_SHALLOW_SCHEMA = _shallow(WORKFLOW_SCHEMA)
_PARTS = {"workflow": _compiled(_SHALLOW_SCHEMA)} | {
    name: _compiled({"$ref": f"#/$defs/{name}", "$defs": _SHALLOW_SCHEMA["$defs"]})
    for name in ("id", "node_in_list", "node_in_map", "rule", "edge")
}
