"""Routes of descriptions: a flat list that decides nothing."""

from typing import Any

from litestar import get
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import operation_without_call
from orchestrator.handlers.http.reply import API
from orchestrator.handlers.workflow_schema import SchemaHandler
from orchestrator.routes.openapi import answer
from orchestrator.routes.resource import Resource

ROUTES = Resource("workflows", operation_without_call, public=True)


def schema_routes(schema: SchemaHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        ROUTES.get(
            f"{API}/schemas/workflow",
            schema.workflow,
            "getWorkflowSchema",
            "The JSON Schema of workflow documents",
            {
                200: answer(
                    dict[str, Any],
                    {"$schema": "https://json-schema.org/draft/2020-12/schema"},
                    "The schema.",
                    "application/schema+json",
                )
            },
        ),
        get("/", include_in_schema=False, status_code=302)(operation_without_call(schema.home)),
    ]
