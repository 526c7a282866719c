"""A patch of a workflow as it is sent, and the operations that it amounts to; it applies none."""

from enum import StrEnum

import msgspec

from orchestrator.documents.canonical import DEPTH_MAX, JSONValue, parse
from orchestrator.documents.merge_patch import merge_patch_operations
from orchestrator.documents.patch import PatchOperation, parse_operations
from orchestrator.errors import InvalidInput

#: A value stands two levels deeper in a patch than in the document: in an operation, and in a list.
PATCH_DEPTH_MAX = DEPTH_MAX + 2


class PatchFormat(StrEnum):
    """The two standards, by their media types."""

    JSON_PATCH = "application/json-patch+json"
    MERGE_PATCH = "application/merge-patch+json"


class WorkflowPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch that is strict JSON. Whether it fits a workflow shows when it is applied."""

    format: PatchFormat
    document: JSONValue
    size_bytes: int


def read_patch(body: bytes, format_: PatchFormat) -> WorkflowPatch:
    """InvalidInput says what of the body is no strict JSON."""
    document = parse(body, bytes_max=len(body), kind="patch", depth_max=PATCH_DEPTH_MAX)
    return WorkflowPatch(format=format_, document=document, size_bytes=len(body))


def operations_on(
    before: JSONValue, patch: WorkflowPatch, *, operations_max: int
) -> tuple[PatchOperation, ...]:
    """The operations of the patch on this document: one or more, and not too many."""
    if patch.format is PatchFormat.MERGE_PATCH:
        return _merge_operations(before, patch.document, operations_max)
    operations = parse_operations(patch.document, operations_max=operations_max)
    if not operations:
        raise InvalidInput.at("", "operations-min", "A patch has at least one operation.")
    return operations


def _merge_operations(
    before: JSONValue, document: JSONValue, operations_max: int
) -> tuple[PatchOperation, ...]:
    operations = merge_patch_operations(before, document)
    if not operations:
        raise InvalidInput.at("", "operations-min", "The merge patch changes nothing.")
    if len(operations) > operations_max:
        message = (
            f"A patch has at most {operations_max} operations; this merge patch "
            f"amounts to {len(operations)}."
        )
        raise InvalidInput.at("", "operations-max", message)
    return operations
