"""JSON Merge Patch (RFC 7396) as the JSON Patch (RFC 6902) it amounts to; it applies nothing."""

from collections.abc import Iterator
from typing import Any

from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.equality import equal
from orchestrator.documents.patch import PatchOperation
from orchestrator.documents.pointer import escaped


def merge_patch_operations(document: JSONValue, patch: JSONValue) -> tuple[PatchOperation, ...]:
    """The operations that do to this document what the merge patch would: none if nothing."""
    return tuple(_operations("", document, patch))


def _operations(path: str, target: JSONValue, patch: JSONValue) -> Iterator[PatchOperation]:
    if isinstance(target, dict) and isinstance(patch, dict):
        for key, value in patch.items():
            yield from _member_operations(f"{path}/{escaped(key)}", target, key, value)
    elif not equal(target, merged := _without_nulls(patch)):
        yield PatchOperation(op="replace", path=path, value=merged)


def _member_operations(
    path: str, target: dict[str, Any], key: str, value: JSONValue
) -> Iterator[PatchOperation]:
    if key not in target:
        if value is not None:
            yield PatchOperation(op="add", path=path, value=_without_nulls(value))
    elif value is None:
        yield PatchOperation(op="remove", path=path)
    else:
        yield from _operations(path, target[key], value)


def _without_nulls(patch: JSONValue) -> JSONValue:
    """What the merge patch makes where there is nothing: a null member means that there is none."""
    if not isinstance(patch, dict):
        return patch
    return {key: _without_nulls(value) for key, value in patch.items() if value is not None}
