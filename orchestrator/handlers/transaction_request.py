"""What a request for a transaction says. It knows no request and imports no framework, so that
processes that compute can read it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec

from orchestrator.documents.canonical import canonicalise
from orchestrator.documents.workflow_address import Address
from orchestrator.documents.workflow_change import (
    USUAL,
    ChangeRules,
    Manner,
    Revision,
    patched,
    rebased,
)
from orchestrator.documents.workflow_patch import PATCH_DEPTH_MAX, PatchFormat
from orchestrator.documents.workflow_prepare import PreparedWorkflow, prepare
from orchestrator.errors import DomainError, InvalidInput, RuleBroken, Violation
from orchestrator.handlers.http.body import MessageText, Version, decode
from orchestrator.handlers.workflow_request import WorkflowDocument
from orchestrator.models.name import IdText, TagText, parse_tag
from orchestrator.models.reference import Reference, ReferenceText, parse_id, parse_reference

#: As `PATCH /workflows/{tag}` takes it.
PatchDocument = Annotated[
    Any, msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/JsonPatch"})
]


class CreateWorkflowOperation(
    msgspec.Struct, tag_field="op", tag="create_workflow", forbid_unknown_fields=True
):
    """Store a version and let the tag name it, as `POST /workflows` does."""

    tag: TagText
    workflow: WorkflowDocument
    expected_version: Version | None = None
    absent: bool = False


class CreateOperation(msgspec.Struct, tag_field="op", tag="create", forbid_unknown_fields=True):
    """Create a tag, which must not exist; it names the artifact, or what `from` names."""

    tag: TagText
    artifact_id: IdText | None = None
    from_: ReferenceText | None = msgspec.field(name="from", default=None)
    absent: bool = True


class MoveOperation(msgspec.Struct, tag_field="op", tag="move", forbid_unknown_fields=True):
    """Move a tag, which must exist, to the artifact or to what `from` names."""

    tag: TagText
    artifact_id: IdText | None = None
    from_: ReferenceText | None = msgspec.field(name="from", default=None)
    expected_version: Version | None = None


class PatchWorkflowOperation(
    msgspec.Struct, tag_field="op", tag="patch", forbid_unknown_fields=True
):
    """Apply a patch (RFC 6902) to the workflow that a tag names, as `PATCH /workflows/{tag}`."""

    tag: TagText
    patch: PatchDocument
    expected_version: Version | None = None


class UndoOperation(msgspec.Struct, tag_field="op", tag="undo", forbid_unknown_fields=True):
    """Undo the last move of a tag; one that was deleted is there again."""

    tag: TagText
    expected_version: Version | None = None


class RedoOperation(msgspec.Struct, tag_field="op", tag="redo", forbid_unknown_fields=True):
    """Redo what was undone."""

    tag: TagText
    expected_version: Version | None = None


class DeleteOperation(msgspec.Struct, tag_field="op", tag="delete", forbid_unknown_fields=True):
    """Delete a tag, which must exist."""

    tag: TagText
    expected_version: Version | None = None


TagOperation: TypeAlias = (
    CreateWorkflowOperation
    | CreateOperation
    | MoveOperation
    | PatchWorkflowOperation
    | UndoOperation
    | RedoOperation
    | DeleteOperation
)


class RunTransaction(msgspec.Struct, forbid_unknown_fields=True):
    """Operations on different tags, each with its own precondition: all or nothing."""

    operations: Annotated[list[TagOperation], msgspec.Meta(extra_json_schema={"minItems": 1})]
    message: MessageText | None = None


class TransactionStep(msgspec.Struct, frozen=True):
    """An operation that was read, and what it is to point its tag at: a workflow that comes with
    it, what a reference names, what a patch makes, or nothing for the others. The operation itself
    has no document.
    """

    operation: TagOperation
    workflow: PreparedWorkflow | None = None
    source: Reference | None = None
    patch: bytes | None = None


class ReadTransaction(msgspec.Struct, frozen=True):
    """What was read."""

    message: str | None
    steps: list[TransactionStep]


def read_transaction(
    body: bytes,
    *,
    values_max: int,
    workflow_bytes_max: int,
    operations_max: int,
    lenient: bool = False,
    address: Address = "position",
) -> ReadTransaction:
    """Read and check everything that needs no transaction."""
    data = decode(body, RunTransaction, values_max=values_max)
    operations = data.operations
    if not 1 <= len(operations) <= operations_max:
        message = f"A transaction has 1 to {operations_max} operations."
        raise InvalidInput.at("/operations", "length", message)
    _check_tags(operations)
    preparing = partial(prepare, bytes_max=workflow_bytes_max, lenient=lenient, address=address)
    steps = [_step(at, each, preparing) for at, each in enumerate(operations)]
    return ReadTransaction(data.message, steps)


def _step(
    at: int, operation: TagOperation, preparing: Callable[..., PreparedWorkflow]
) -> TransactionStep:
    if isinstance(operation, CreateWorkflowOperation):
        with failing(at):
            pointer = f"/operations/{at}/workflow"
            prepared = preparing(operation.workflow, pointer=pointer)
        return TransactionStep(msgspec.structs.replace(operation, workflow=None), prepared)
    if isinstance(operation, PatchWorkflowOperation):
        with failing(at):
            content = canonicalise(operation.patch, depth_max=PATCH_DEPTH_MAX)
        return TransactionStep(msgspec.structs.replace(operation, patch=None), patch=content)
    if isinstance(operation, CreateOperation | MoveOperation):
        with failing(at):
            source = read_source(
                operation.tag, operation.artifact_id, operation.from_, f"/operations/{at}"
            )
        return TransactionStep(operation, source=source)
    return TransactionStep(operation)


def _check_tags(operations: Sequence[TagOperation]) -> None:
    """Each tag once: two operations on one tag would make the outcome a matter of their order."""
    seen: dict[str, int] = {}
    twice: list[Violation] = []
    for at, operation in enumerate(operations):
        parse_tag(operation.tag, f"/operations/{at}/tag")
        _check_absent(operation, f"/operations/{at}/absent")
        if operation.tag in seen:
            message = f"Operation {seen[operation.tag]} names the tag {operation.tag!r} already."
            twice.append(Violation(f"/operations/{at}/tag", "unique", message))
        seen.setdefault(operation.tag, at)
    if twice:
        raise RuleBroken("A transaction names each tag once.", twice)


def _check_absent(operation: TagOperation, pointer: str) -> None:
    if isinstance(operation, CreateOperation) and not operation.absent:
        message = "A create is for a tag that does not exist; to change one, use move."
        raise InvalidInput.at(pointer, "absent", message)
    if (
        isinstance(operation, CreateWorkflowOperation)
        and operation.absent
        and operation.expected_version is not None
    ):
        message = "A tag cannot be absent and at an expected version."
        raise InvalidInput.at(pointer, "absent", message)


class PatchWork(msgspec.Struct, frozen=True):
    """The patch of one operation, and the workflow that it is made on."""

    at: int
    head: bytes
    patch: bytes


def patch_all(
    work: Sequence[PatchWork], rules: ChangeRules, manner: Manner = USUAL
) -> list[Revision]:
    """What each patch makes; the refusal says which operation it is about."""
    revisions = []
    for each in work:
        with failing(each.at):
            revisions.append(patched(each.head, each.patch, PatchFormat.JSON_PATCH, rules, manner))
    return revisions


class RebaseWork(msgspec.Struct, frozen=True):
    """What the patch of one operation made of a workflow, and what its tag names now."""

    at: int
    base: bytes
    changed: bytes
    head: bytes


def rebase_all(
    work: Sequence[RebaseWork], rules: ChangeRules, manner: Manner = USUAL
) -> list[Revision]:
    """Each change merged into what its tag names; the refusal says which operation it is about."""
    revisions = []
    for each in work:
        with failing(each.at):
            revisions.append(rebased(each.base, each.changed, each.head, rules, manner))
    return revisions


def read_source(tag: str, artifact_id: str | None, from_: str | None, at: str = "") -> Reference:
    """What the tag is to name: an artifact, or what a reference names."""
    if (artifact_id is None) == (from_ is None):
        message = "Name either an artifact_id or a from."
        raise InvalidInput.at(f"{at}/artifact_id", "one-of", message)
    if artifact_id is not None:
        return Reference(text=artifact_id, artifact_id=parse_id(artifact_id, f"{at}/artifact_id"))
    return parse_reference(from_ or "", tag=tag, pointer=f"{at}/from")


@contextmanager
def failing(at: int) -> Iterator[None]:
    """Let the refusal say which operation it is about."""
    try:
        yield
    except DomainError as error:
        error.operation = at
        raise
