"""The schema of workflow documents as components of the OpenAPI document: it says the same."""

from typing import Any

from orchestrator.documents.workflow_schema import WORKFLOW_SCHEMA

_DEFINED = "#/$defs/"
#: What generators of clients would take for the name of a type, and what is said elsewhere.
_LEFT_OUT = frozenset({"title", "examples", "$schema", "$id", "$defs"})


def _name(defined: str) -> str:
    return "Workflow" + defined.title().replace("_", "")


def _lifted(node: Any) -> Any:
    """What refers to a definition refers to the component of its name, and to that alone."""
    if isinstance(node, list):
        return [_lifted(each) for each in node]
    if not isinstance(node, dict):
        return node
    rest = {key: _lifted(value) for key, value in node.items() if key not in {*_LEFT_OUT, "$ref"}}
    if "$ref" not in node:
        return rest
    reference = {"$ref": f"#/components/schemas/{_name(node['$ref'].removeprefix(_DEFINED))}"}
    return {"allOf": [reference, rest]} if rest.keys() - {"description"} else reference


WORKFLOW_COMPONENTS: dict[str, Any] = {
    "Workflow": _lifted(WORKFLOW_SCHEMA),
    **{_name(key): _lifted(value) for key, value in WORKFLOW_SCHEMA["$defs"].items()},
}
