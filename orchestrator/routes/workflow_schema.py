"""Routes of descriptions: a flat list that decides nothing."""

from typing import Any

from litestar import get
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import public_operation
from orchestrator.handlers.workflow_schema import SchemaHandler
from orchestrator.routes.openapi import API, answer, problems


def schema_routes(schema: SchemaHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        get(
            f"{API}/schemas/workflow",
            operation_id="getWorkflowSchema",
            summary="The JSON Schema of workflow documents",
            tags=["workflows"],
            security=[{}],
            responses={
                200: answer(
                    dict[str, Any],
                    {"$schema": "https://json-schema.org/draft/2020-12/schema"},
                    "The schema.",
                    "application/schema+json",
                ),
                **problems(public=True),
            },
        )(public_operation(schema.workflow)),
        get("/", include_in_schema=False, status_code=302)(public_operation(schema.home)),
    ]
