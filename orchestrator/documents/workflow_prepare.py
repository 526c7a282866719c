"""What can be done with the document of a new version before a transaction opens; pure."""

from orchestrator.core.digest import CasId
from orchestrator.documents.canonical import JSONValue
from orchestrator.documents.workflow import Workflow, check_workflow
from orchestrator.errors import InvalidInput, RuleBroken, TooLarge, Violation


def prepare(document: JSONValue, bytes_max: int, pointer: str) -> tuple[Workflow, CasId]:
    """The document checked, in canonical form, and the name of that form.

    `pointer` is where the document stands in the body of its request, which refusals name.
    """
    try:
        workflow = check_workflow(document)
    except (InvalidInput, RuleBroken) as error:
        raise _inside(error, pointer) from None
    if len(workflow.content) > bytes_max:
        raise TooLarge("workflow", bytes_max, len(workflow.content))
    return workflow, CasId.of(workflow.content)


def _inside(error: InvalidInput | RuleBroken, pointer: str) -> InvalidInput | RuleBroken:
    found: list[Violation] = getattr(error, "errors", [])
    moved = [Violation(pointer + each.pointer, each.rule, each.message) for each in found]
    return type(error)(str(error), moved)
