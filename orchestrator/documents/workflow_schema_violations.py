"""What of a document does not fit the schema of workflows: where, and a sentence for a person."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import jsonschema_rs

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.pointer import Place, shown_pointer
from orchestrator.documents.wording import shortened
from orchestrator.documents.workflow_schema import WORKFLOW_SCHEMA
from orchestrator.errors import Violation

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


#: Of an object that may have no unknown members, so many are looked at.
_MEMBERS_MAX = 1_000


class _Part(NamedTuple):
    """A piece of a document, where it is, and the definition that it must fit."""

    definition: str
    path: Place
    value: Any
    subject: str = ""


def schema_violations(document: JSONValue) -> Iterator[Violation]:
    """All violations, part by part.

    The validator lists every error before it returns the first, at some 20 µs each. So it is never
    given a whole document that is wrong, and a caller that reads only the first violations pays
    only for those.
    """
    if not _WORKFLOW.is_valid(document):
        for part in _parts(document):
            for error in _PARTS[part.definition].iter_errors(_outline(part.value)):
                yield _violation(part, error)


def _outline(value: Any, levels: int = 2, *, is_closed: bool = False) -> Any:
    """As much of a part as its definition looks at: the validator copies all that it is given.

    The members of lists are parts of their own. In an object only known members matter, but that of
    a policy, which may have no others.
    """
    if isinstance(value, list):
        return [None] if value else []
    if not isinstance(value, dict):
        return value
    if levels == 0:
        return {"": None} if value else {}
    members = value if is_closed else filter(_KNOWN.__contains__, value)
    outline = {
        key: _outline(value[key], levels - 1, is_closed=key == "retry") if key in _KNOWN else None
        for key in islice(members, _MEMBERS_MAX)
    }
    return outline or ({"": None} if value else {})


def _violation(part: _Part, error: jsonschema_rs.ValidationError) -> Violation:
    keyword = error.kind.name
    facts = {name: _listed(fact) for name, fact in error.kind.as_dict().items()}
    message = _MESSAGES[keyword].format(**facts)
    return Violation(
        shown_pointer((*part.path, *error.instance_path)), keyword, part.subject + message
    )


def _listed(fact: object) -> str:
    if not isinstance(fact, list):
        return shortened(fact) if isinstance(fact, str) else str(fact)
    names = ", ".join(shortened(str(name)) for name in fact[:10])
    if len(fact) <= 10:
        return names
    least = "at least " if len(fact) >= _MEMBERS_MAX else ""
    return f"{names} and {least}{len(fact) - 10} more"


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


def _node_parts(definition: str, path: Place, node: JSONValue) -> Iterator[_Part]:
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


def _list_parts(definition: str, path: Place, value: Any, subject: str = "") -> Iterator[_Part]:
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


def _names(schema: Any) -> Iterator[str]:
    """Of all members that a schema describes or demands."""
    for keyword, child in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if keyword in ("properties", "required"):
            yield from child
        if isinstance(child, dict | list):
            yield from _names(child)


def _compiled(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse, mask="value")


def _refuse(uri: str) -> Any:
    """A schema of ours refers only to itself, and nothing is ever fetched for it."""
    raise ValueError(f"The schema refers to {uri}, outside of itself.")


_KNOWN = frozenset(_names(WORKFLOW_SCHEMA))
_WORKFLOW = _compiled(WORKFLOW_SCHEMA)
_SHALLOW_SCHEMA = _shallow(WORKFLOW_SCHEMA)
_PARTS = {"workflow": _compiled(_SHALLOW_SCHEMA)} | {
    name: _compiled({"$ref": f"#/$defs/{name}", "$defs": _SHALLOW_SCHEMA["$defs"]})
    for name in ("id", "node_in_list", "node_in_map", "rule", "edge")
}
