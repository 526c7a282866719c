"""Routes of operations: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST

from orchestrator.handlers.health import HealthBody, HealthHandler, LiveBody, ReadyBody
from orchestrator.handlers.http.framework import operation_without_call
from orchestrator.routes import examples
from orchestrator.routes.openapi import answer
from orchestrator.routes.openapi_headers import CONTENT_ENCODING, RETRY_AFTER, VARY
from orchestrator.routes.resource import Resource, ok

ROUTES = Resource("operations", operation_without_call, public=True)
WITH_TOKEN = Resource("operations", operation_without_call)


def health_routes(health: HealthHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        ROUTES.get(
            "/health",
            health.health,
            "health",
            "The process answers",
            ok(HealthBody, examples.HEALTH, "It does."),
        ),
        ROUTES.get(
            "/health/live", health.live, "live", "Liveness", ok(LiveBody, examples.LIVE, "Alive.")
        ),
        ROUTES.get(
            "/health/ready",
            health.ready,
            "ready",
            "Readiness: the database answers and is migrated",
            {
                200: answer(ReadyBody, examples.READY, "Ready."),
                503: answer(ReadyBody, examples.NOT_READY, "The check that failed.", RETRY_AFTER),
            },
        ),
        WITH_TOKEN.get(
            "/metrics",
            health.metrics,
            "metrics",
            "Metrics in the Prometheus text format",
            {
                200: answer(
                    str,
                    examples.METRICS,
                    "All workers together.",
                    VARY,
                    CONTENT_ENCODING,
                    media_type=CONTENT_TYPE_LATEST,
                )
            },
        ),
    ]
