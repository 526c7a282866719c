"""Routes that the edge serves without the framework: a flat list that decides nothing.

Each is in the framework's lists too, where its documentation is, and for requests that say more.
"""

from orchestrator.handlers.cas import CASHandler
from orchestrator.handlers.http.direct import DirectRoute
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.workflow import WorkflowHandler
from orchestrator.routes.openapi import API


def direct_routes(
    workflows: WorkflowHandler, tags: TagHandler, cas: CASHandler
) -> list[DirectRoute]:
    """The operations that almost every request is."""
    return [
        DirectRoute("GET", f"{API}/workflows/{{tag}}", workflows.look_up),
        DirectRoute("POST", f"{API}/workflows", workflows.store, writes=True),
        DirectRoute("POST", f"{API}/tags/{{name}}/move", tags.move_directly, writes=True),
        DirectRoute("GET", f"{API}/cas/{{cas_id}}", cas.fetch),
        DirectRoute("POST", f"{API}/cas", cas.store, writes=True),
    ]
