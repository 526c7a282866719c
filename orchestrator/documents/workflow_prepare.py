"""What can be done with the document of a new version before a transaction opens; pure."""

from collections.abc import Sequence

import msgspec

from orchestrator.core.digest import BlobName, CasId
from orchestrator.documents.blob_names import blobs_named
from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.workflow import check_workflow
from orchestrator.errors import InvalidInput, RuleBroken, TooLarge, Violation


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


def prepare(
    document: JSONValue, bytes_max: int, pointer: str, *, lenient: bool = False
) -> PreparedWorkflow:
    """Check, canonicalise and hash a document.

    `pointer` is where the document stands in the body of its request, which refusals name.
    """
    try:
        workflow = check_workflow(document, lenient=lenient)
    except (InvalidInput, RuleBroken) as error:
        raise type(error)(str(error), _inside(getattr(error, "errors", ()), pointer)) from None
    if len(workflow.content) > bytes_max:
        raise TooLarge("workflow", bytes_max, len(workflow.content))
    return PreparedWorkflow(
        content=workflow.content,
        cas_id=CasId.of(workflow.content),
        name=workflow.name,
        nodes_count=workflow.nodes_count,
        edges_count=workflow.edges_count,
        references=blobs_named(workflow.content, pointer),
        warnings=tuple(_inside(workflow.warnings, pointer)),
    )


def _inside(found: Sequence[Violation], pointer: str) -> list[Violation]:
    return [Violation(pointer + each.pointer, each.rule, each.message) for each in found]
