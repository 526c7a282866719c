"""Routes of workflows: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import FREES_SPACE
from orchestrator.handlers.http.reply import API
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
)
from orchestrator.handlers.tag_search import TagSearchHandler
from orchestrator.handlers.workflow import WorkflowHandler
from orchestrator.handlers.workflow_body import (
    CreatedWorkflowBody,
    ResolvedWorkflowBody,
    ValidatedBody,
    WorkflowBody,
)
from orchestrator.handlers.workflow_request import CreateWorkflow, ValidateWorkflow
from orchestrator.routes import examples
from orchestrator.routes.openapi import answer, heeds, not_modified, takes
from orchestrator.routes.openapi_document import WORDED
from orchestrator.routes.openapi_headers import (
    ETAG,
    IDEMPOTENCY,
    IF_ABSENT,
    IF_MATCH,
    LOCATION,
    OF_VERSIONED,
)
from orchestrator.routes.resource import Resource, counted_page, ok

ROUTES = Resource("workflows")


def workflow_routes(workflows: WorkflowHandler, search: TagSearchHandler) -> list[HTTPRouteHandler]:
    """All routes of both handlers."""
    return [
        ROUTES.post(
            f"{API}/workflows",
            workflows.create,
            "createWorkflow",
            "Create a version under a tag",
            {
                201: answer(
                    CreatedWorkflowBody,
                    examples.CREATED_WORKFLOW,
                    "What the tag names now.",
                    ETAG,
                    LOCATION,
                ),
                200: answer(
                    CreatedWorkflowBody,
                    examples.REHEARSED_WORKFLOW,
                    "Of a dry run: what the tag would name.",
                ),
            },
            refuses=(404, 408, 409, 412, 413, 415, 422, 507),
            reads=takes(CreateWorkflow, examples.CREATE_WORKFLOW, IDEMPOTENCY, IF_MATCH, IF_ABSENT),
        ),
        ROUTES.post(
            f"{API}/workflows/{{tag:str}}",
            workflows.validate,
            "validateWorkflow",
            "Judge a document without storing it",
            ok(ValidatedBody, examples.VALIDATED, "Whether it keeps the rules; what it breaks."),
            refuses=(408, 413, 415, 422),
            reads=takes(ValidateWorkflow, examples.VALIDATE_WORKFLOW),
            opt={WORDED: f"{API}/workflows/validate", FREES_SPACE: True},
        ),
        ROUTES.get(
            f"{API}/workflows",
            search.list_workflows,
            "listWorkflows",
            "List workflows by tag",
            counted_page(WorkflowBody, examples.WORKFLOWS),
        ),
        ROUTES.get(
            f"{API}/workflows/{{tag:str}}",
            workflows.get,
            "getWorkflow",
            "Look a workflow up by its tag",
            ok(
                ResolvedWorkflowBody,
                examples.RESOLVED_WORKFLOW,
                "The document and its metadata; its base and patches with materialize=false.",
                *OF_VERSIONED,
            )
            | not_modified(*OF_VERSIONED),
            refuses=(404,),
        ),
        ROUTES.route(
            "DELETE",
            f"{API}/workflows/{{tag:str}}",
            workflows.delete,
            "deleteWorkflow",
            "Delete the tag, nothing else",
            ok(DeletedTagBody, examples.DELETED_TAG, "The tag is gone."),
            refuses=(404, 409, 412),
            reads=heeds(IF_MATCH),
        ),
    ]
