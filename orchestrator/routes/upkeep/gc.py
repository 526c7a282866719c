"""The route of garbage collection: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import FREES_SPACE, server_operation
from orchestrator.handlers.http.reply import API
from orchestrator.handlers.upkeep.gc import CollectedBody, CollectGarbage, GCHandler
from orchestrator.routes import examples
from orchestrator.routes.openapi import takes
from orchestrator.routes.openapi_headers import IDEMPOTENCY
from orchestrator.routes.resource import Resource, ok

ROUTES = Resource("operations", server_operation)


def gc_routes(gc: GCHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        ROUTES.post(
            f"{API}/gc",
            gc.collect,
            "collectGarbage",
            "Delete what nothing needs any more",
            ok(CollectedBody, examples.COLLECTED, "What became of this page."),
            refuses=(408, 409, 413, 415, 422),
            reads=takes(CollectGarbage, examples.COLLECT_GARBAGE, IDEMPOTENCY),
            opt={FREES_SPACE: True},
        )
    ]
