"""The route of garbage collection: a flat list that decides nothing."""

from litestar import post
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import FREES_SPACE, server_operation
from orchestrator.handlers.upkeep.gc import CollectedBody, CollectGarbage, GCHandler
from orchestrator.routes import examples
from orchestrator.routes.openapi import API, answer, problems, takes


def gc_routes(gc: GCHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        post(
            f"{API}/gc",
            operation_id="collectGarbage",
            operation_class=takes(CollectGarbage, examples.COLLECT_GARBAGE),
            summary="Delete what nothing needs any more",
            tags=["operations"],
            status_code=200,
            opt={FREES_SPACE: True},
            responses={
                200: answer(CollectedBody, examples.COLLECTED, "What became of this page."),
                **problems(408, 409, 413, 415),
            },
        )(server_operation(gc.collect))
    ]
