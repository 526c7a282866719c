"""What a request to store a workflow says. It knows no request and imports no framework, so that
processes that compute can read it.
"""

from typing import Annotated, Any

import msgspec

from orchestrator.documents.workflow_address import Address
from orchestrator.documents.workflow_prepare import (
    PreparedWorkflow,
    WorkflowVerdict,
    prepare,
    verdict,
)
from orchestrator.handlers.http.body import MessageText, Version, decode
from orchestrator.models.name import TagText, parse_tag

#: A document, described by its own schema, which `/schemas/workflow` has too.
WorkflowDocument = Annotated[
    Any, msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Workflow"})
]


class CreateWorkflow(msgspec.Struct, forbid_unknown_fields=True):
    """A whole new version under a tag, which is created or moved."""

    tag: TagText
    workflow: WorkflowDocument
    message: MessageText | None = None
    expected_version: Version | None = None


class ValidateWorkflow(msgspec.Struct, forbid_unknown_fields=True):
    """A document that is only to be judged."""

    workflow: WorkflowDocument


class ReadWorkflow(msgspec.Struct, frozen=True):
    """What was read: the document only in the form in which it is stored."""

    tag: str
    message: str | None
    expected_version: int | None
    prepared: PreparedWorkflow


def read_workflow(
    body: bytes,
    *,
    values_max: int,
    workflow_bytes_max: int,
    lenient: bool = False,
    address: Address = "position",
) -> ReadWorkflow:
    """Read and check a body, and the document in it."""
    data = decode(body, CreateWorkflow, values_max=values_max)
    parse_tag(data.tag)  # Before the work on the document, which may be large.
    prepared = prepare(
        data.workflow, workflow_bytes_max, "/workflow", lenient=lenient, address=address
    )
    return ReadWorkflow(data.tag, data.message, data.expected_version, prepared)


def judge_workflow(
    body: bytes, *, values_max: int, workflow_bytes_max: int, lenient: bool, address: Address
) -> WorkflowVerdict:
    """Read a body, and judge the document in it."""
    data = decode(body, ValidateWorkflow, values_max=values_max)
    return verdict(data.workflow, workflow_bytes_max, "/workflow", lenient=lenient, address=address)
