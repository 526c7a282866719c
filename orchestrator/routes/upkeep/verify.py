"""The route of verification: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import FREES_SPACE, server_operation
from orchestrator.handlers.http.reply import API
from orchestrator.handlers.upkeep.verify import Verify, VerifyBody, VerifyHandler
from orchestrator.routes import examples
from orchestrator.routes.openapi import takes
from orchestrator.routes.openapi_headers import IDEMPOTENCY
from orchestrator.routes.resource import Resource, ok

ROUTES = Resource("operations", server_operation)


def verify_routes(verify: VerifyHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        ROUTES.post(
            f"{API}/verify",
            verify.verify,
            "verify",
            "Check blobs and their storage against each other",
            ok(VerifyBody, examples.VERIFY_PAGE, "What one page of it found."),
            refuses=(408, 409, 413, 415, 422),
            reads=takes(Verify, examples.VERIFY, IDEMPOTENCY),
            opt={FREES_SPACE: True},
        )
    ]
