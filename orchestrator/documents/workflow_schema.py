"""The JSON Schema of a workflow, as it is published; rules between nodes are not in it."""

from typing import Any

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
        "first and a last node, and only a loop node may lead back, to its config.loop_back_to. "
        "The last two are only warned of if a request says so."
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
