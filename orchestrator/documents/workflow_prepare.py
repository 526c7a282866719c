"""What can be done with the document of a new version before a transaction opens; pure."""

from collections.abc import Sequence

import msgspec

from orchestrator.core.digest import BlobName, CasId
from orchestrator.documents.blob_names import blobs_named
from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.workflow import canonical, check_workflow, judged
from orchestrator.documents.workflow_address import Address
from orchestrator.errors import (
    InvalidInput,
    RuleBroken,
    TooLarge,
    Violation,
    listed_violations,
    listed_warnings,
)


class PreparedWorkflow(msgspec.Struct, frozen=True):
    """A document that keeps all rules: its canonical form, the name of that, and what it says."""

    content: bytes
    cas_id: CasId
    name: str | None
    nodes_count: int
    edges_count: int
    #: The blobs that it names.
    references: tuple[BlobName, ...] = ()
    #: What may be a mistake in it.
    warnings: tuple[Violation, ...] = ()


class WorkflowVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of a document if it were stored; it may break rules."""

    version_hash: CasId
    size_bytes: int
    #: None if it is of a wrong shape.
    nodes_count: int | None
    edges_count: int | None
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]


def verdict(
    document: JSONValue, bytes_max: int, pointer: str, *, lenient: bool, address: Address
) -> WorkflowVerdict:
    """Judge a document by the rules of `prepare`, which would refuse it for the violations.

    What has no canonical form, or is too large, is refused here, too.
    """
    try:
        content = canonical(document, address)
    except InvalidInput as error:
        raise type(error)(str(error), _inside(getattr(error, "errors", ()), pointer)) from None
    judgement = judged(document, lenient=lenient, address=address)
    violations = listed_violations(_inside(judgement.violations, pointer))
    if not violations:
        _check_size(content, bytes_max)
        try:
            blobs_named(content, pointer)
        except RuleBroken as error:
            violations = error.errors
    nodes_count, edges_count = judgement.counts or (None, None)
    return WorkflowVerdict(
        version_hash=CasId.of(content),
        size_bytes=len(content),
        nodes_count=nodes_count,
        edges_count=edges_count,
        violations=tuple(violations),
        warnings=tuple(listed_warnings(_inside(judgement.warnings, pointer))),
    )


def prepare(
    document: JSONValue,
    bytes_max: int,
    pointer: str,
    *,
    lenient: bool = False,
    address: Address = "position",
) -> PreparedWorkflow:
    """Check, canonicalise and hash a document.

    `pointer` is where the document stands in the body of its request, which refusals name.
    """
    try:
        workflow = check_workflow(document, lenient=lenient, address=address)
    except (InvalidInput, RuleBroken) as error:
        raise type(error)(str(error), _inside(getattr(error, "errors", ()), pointer)) from None
    _check_size(workflow.content, bytes_max)
    return PreparedWorkflow(
        content=workflow.content,
        cas_id=CasId.of(workflow.content),
        name=workflow.name,
        nodes_count=workflow.nodes_count,
        edges_count=workflow.edges_count,
        references=blobs_named(workflow.content, pointer),
        warnings=tuple(_inside(workflow.warnings, pointer)) if workflow.warnings else (),
    )


def _check_size(content: bytes, bytes_max: int) -> None:
    if len(content) > bytes_max:
        raise TooLarge("workflow", bytes_max, len(content))


def _inside(found: Sequence[Violation], pointer: str) -> list[Violation]:
    return [Violation(pointer + each.pointer, each.rule, each.message) for each in found]
