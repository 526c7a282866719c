"""Routes of descriptions: a flat list that decides nothing."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import public_operation
from orchestrator.handlers.http.reply import API
from orchestrator.handlers.workflow_schema import SchemaHandler
from orchestrator.routes.openapi import answer, not_modified
from orchestrator.routes.openapi_headers import OF_READ
from orchestrator.routes.resource import Resource

ROUTES = Resource("workflows", public_operation, public=True)


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
                    *OF_READ,
                    media_type="application/schema+json",
                )
            }
            | not_modified(),
        )
    ]
