"""Routes that the edge serves without the framework: a flat list that decides nothing.

Each is in the framework's lists too, where its documentation is, and for requests that say more.
"""

from collections.abc import Awaitable, Callable

from orchestrator.handlers.cas import CASHandler
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.fast_path import FastRoute
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.workflow import WorkflowHandler
from orchestrator.models.idempotency import Answer
from orchestrator.routes.openapi import API


def fast_routes(workflows: WorkflowHandler, tags: TagHandler, cas: CASHandler) -> list[FastRoute]:
    """The operations that almost every request is."""
    return [
        FastRoute("GET", f"{API}/workflows/{{tag}}", _of(workflows.look_up)),
        FastRoute("POST", f"{API}/workflows", _of(workflows.store), writes=True),
        FastRoute("POST", f"{API}/tags/{{name}}/move", _of(tags.move_directly), writes=True),
        FastRoute("GET", f"{API}/cas/{{cas_id}}", cas.get),
        FastRoute("POST", f"{API}/cas", cas.upload, writes=True),
    ]


def _of(
    method: Callable[[Call, str, str | None], Awaitable[Answer]],
) -> Callable[..., Awaitable[Answer]]:
    """A method that is also given the namespace."""
    return lambda call, segment="": method(call, segment, None)
