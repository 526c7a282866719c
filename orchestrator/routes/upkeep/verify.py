"""The route of verification: a flat list that decides nothing."""

from litestar import post
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import FREES_SPACE, server_operation
from orchestrator.handlers.upkeep.verify import Verify, VerifyBody, VerifyHandler
from orchestrator.routes import examples
from orchestrator.routes.openapi import API, IDEMPOTENCY, answer, problems, takes


def verify_routes(verify: VerifyHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        post(
            f"{API}/verify",
            operation_id="verify",
            operation_class=takes(Verify, examples.VERIFY, IDEMPOTENCY),
            summary="Check blobs and their storage against each other",
            tags=["operations"],
            status_code=200,
            opt={FREES_SPACE: True},
            responses={
                200: answer(VerifyBody, examples.VERIFY_PAGE, "What one page of it found."),
                **problems(408, 409, 413, 415, 422),
            },
        )(server_operation(verify.verify))
    ]
