"""Routes of operations: a flat list that decides nothing."""

from litestar import get
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.health import HealthBody, HealthHandler, LiveBody, ReadyBody
from orchestrator.handlers.http.framework import public_operation
from orchestrator.routes import examples
from orchestrator.routes.openapi import answer, problems

TAGS = ["operations"]


def health_routes(health: HealthHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        get(
            "/health",
            operation_id="health",
            summary="The process answers",
            tags=TAGS,
            security=[{}],
            responses={
                200: answer(HealthBody, examples.HEALTH, "It does."),
                **problems(public=True),
            },
        )(public_operation(health.health)),
        get(
            "/health/live",
            operation_id="live",
            summary="Liveness",
            tags=TAGS,
            security=[{}],
            responses={200: answer(LiveBody, examples.LIVE, "Alive."), **problems(public=True)},
        )(public_operation(health.live)),
        get(
            "/health/ready",
            operation_id="ready",
            summary="Readiness: the database answers and is migrated",
            tags=TAGS,
            security=[{}],
            responses={
                200: answer(ReadyBody, examples.READY, "Ready."),
                **problems(public=True),
                503: answer(ReadyBody, examples.NOT_READY, "The check that failed."),
            },
        )(public_operation(health.ready)),
        get(
            "/metrics",
            operation_id="metrics",
            summary="Metrics in the Prometheus text format",
            tags=TAGS,
            responses={
                200: answer(
                    str, examples.METRICS, "All workers together.", "text/plain; version=0.0.4"
                ),
                **problems(),
            },
        )(public_operation(health.metrics)),
    ]
