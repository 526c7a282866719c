"""What can be done with the document of a new version before a transaction opens; pure."""

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


def prepare(document: JSONValue, bytes_max: int, pointer: str) -> PreparedWorkflow:
    """Check, canonicalise and hash a document.

    `pointer` is where the document stands in the body of its request, which refusals name.
    """
    try:
        workflow = check_workflow(document)
    except (InvalidInput, RuleBroken) as error:
        raise _inside(error, pointer) from None
    if len(workflow.content) > bytes_max:
        raise TooLarge("workflow", bytes_max, len(workflow.content))
    return PreparedWorkflow(
        content=workflow.content,
        cas_id=CasId.of(workflow.content),
        name=workflow.name,
        nodes_count=workflow.nodes_count,
        edges_count=workflow.edges_count,
        references=blobs_named(workflow.content, pointer),
    )


def _inside(error: InvalidInput | RuleBroken, pointer: str) -> InvalidInput | RuleBroken:
    found: list[Violation] = getattr(error, "errors", [])
    moved = [Violation(pointer + each.pointer, each.rule, each.message) for each in found]
    return type(error)(str(error), moved)
