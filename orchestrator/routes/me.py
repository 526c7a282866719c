"""The route of who calls: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.reply import API
from orchestrator.handlers.me import MeBody, MeHandler
from orchestrator.routes import examples
from orchestrator.routes.openapi import not_modified
from orchestrator.routes.openapi_headers import OF_READ
from orchestrator.routes.resource import Resource, ok

ROUTES = Resource("access")


def me_routes(me: MeHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        ROUTES.get(
            f"{API}/me",
            me.get,
            "getMe",
            "Who calls, and what they may do",
            ok(MeBody, examples.ME, "Who calls.", *OF_READ) | not_modified(),
        )
    ]
