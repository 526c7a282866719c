"""Routes of workflows: a flat list that decides nothing."""

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import operation
from orchestrator.handlers.http.paging import Page
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
)
from orchestrator.handlers.workflow import WorkflowHandler
from orchestrator.handlers.workflow_body import (
    CreatedWorkflowBody,
    CreateWorkflow,
    ResolvedWorkflowBody,
    WorkflowBody,
)
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    API,
    IDEMPOTENCY,
    IF_ABSENT,
    IF_CHANGED,
    IF_MATCH,
    answer,
    heeds,
    problems,
    takes,
)

TAGS = ["workflows"]


def workflow_routes(workflows: WorkflowHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        post(
            f"{API}/workflows",
            operation_id="createWorkflow",
            operation_class=takes(
                CreateWorkflow, examples.CREATE_WORKFLOW, IDEMPOTENCY, IF_MATCH, IF_ABSENT
            ),
            summary="Create a version under a tag",
            tags=TAGS,
            responses={
                201: answer(
                    CreatedWorkflowBody, examples.CREATED_WORKFLOW, "What the tag names now."
                ),
                **problems(404, 408, 409, 412, 413, 415, 422, 507),
            },
        )(operation(workflows.create)),
        get(
            f"{API}/workflows",
            operation_id="listWorkflows",
            summary="List workflows by tag",
            tags=TAGS,
            responses={
                200: answer(Page[WorkflowBody], examples.WORKFLOWS, "A page."),
                **problems(),
            },
        )(operation(workflows.list_workflows)),
        get(
            f"{API}/workflows/{{tag:str}}",
            operation_id="getWorkflow",
            operation_class=heeds(IF_CHANGED),
            summary="Look a workflow up by its tag",
            tags=TAGS,
            responses={
                200: answer(
                    ResolvedWorkflowBody,
                    examples.RESOLVED_WORKFLOW,
                    "The document and its metadata; its base and patches with materialize=false.",
                ),
                **problems(304, 404),
            },
        )(operation(workflows.get)),
        delete(
            f"{API}/workflows/{{tag:str}}",
            operation_id="deleteWorkflow",
            operation_class=heeds(IF_MATCH),
            summary="Delete the tag, nothing else",
            tags=TAGS,
            status_code=200,
            responses={
                200: answer(DeletedTagBody, examples.DELETED_TAG, "The tag is gone."),
                **problems(404, 412),
            },
        )(operation(workflows.delete)),
    ]
