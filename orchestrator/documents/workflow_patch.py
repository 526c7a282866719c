"""A patch of a workflow as it is sent, and the operations that it amounts to; it applies none."""

from enum import StrEnum

from orchestrator.documents.canonical import DEPTH_MAX, VALUES_MAX, JSONValue, parse
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.documents.merge_patch import merge_patch_operations
from orchestrator.documents.patch import PatchOperation, parse_operations
from orchestrator.errors import InvalidInput

#: A value stands two levels deeper in a patch than in the document: in an operation, and in a list.
PATCH_DEPTH_MAX = DEPTH_MAX + 2
#: This many operations take as long as parsing and writing the document.
OPERATIONS_PER_READ = 8
COPIES_COUNTED_MAX = 20
#: Work of this size is long in any case: nothing more is counted.
LONG_BYTES = 256 * 1024


class PatchFormat(StrEnum):
    """The two standards, by their media types."""

    JSON_PATCH = "application/json-patch+json"
    MERGE_PATCH = "application/merge-patch+json"


def size_of_work(head: bytes, patch: bytes) -> int:
    """How many bytes applying a patch to a document may have to go through, by their texts alone.

    Each operation may look at a part of the document, each copy may double it. More can be said
    of operations whose names are spelled with escapes, which no program does.
    """
    read = size_of_reading(patch) + size_of_reading(head)
    if read >= LONG_BYTES:
        return read
    disguised = patch.count(b"\\u006") + patch.count(b"\\u007")
    operations = 1 + patch.count(b'"op"') + disguised
    copies = min(patch.count(b'"copy"') + disguised, COPIES_COUNTED_MAX)
    work = (read + len(head) * (operations // OPERATIONS_PER_READ)) << copies
    return min(work, LONG_BYTES)


def read_operations(
    patch: bytes, format_: PatchFormat, before: JSONValue, *, values_max: int = VALUES_MAX
) -> tuple[PatchOperation, ...]:
    """What the patch does to this document. A JSON Patch has at least one operation, a merge patch
    that changes nothing amounts to none.

    InvalidInput says why it is no patch. Whether it can be applied is not known here.
    """
    value = parse(
        patch,
        bytes_max=len(patch),
        kind="patch",
        depth_max=PATCH_DEPTH_MAX,
        values_max=values_max,
    )
    if format_ is PatchFormat.MERGE_PATCH:
        return merge_patch_operations(before, value)
    operations = parse_operations(value)
    if not operations:
        raise InvalidInput.at("", "operations-min", "A patch has at least one operation.")
    return operations
