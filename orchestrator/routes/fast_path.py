"""Routes that the edge serves without the framework: a flat list that decides nothing.

Each is in the framework's lists too, where its documentation is, and for requests that say more.
"""

from orchestrator.handlers.artifact_create import ArtifactCreateHandler
from orchestrator.handlers.cas import CASHandler
from orchestrator.handlers.http.fast_path import FastRoute
from orchestrator.handlers.http.reply import API
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.workflow import WorkflowHandler


def fast_routes(
    workflows: WorkflowHandler,
    artifacts: ArtifactCreateHandler,
    tags: TagHandler,
    cas: CASHandler,
) -> list[FastRoute]:
    """The operations that almost every request is."""
    return [
        FastRoute("GET", f"{API}/workflows/{{tag}}", workflows.get),
        FastRoute("POST", f"{API}/workflows", workflows.create, writes=True),
        FastRoute("POST", f"{API}/artifacts", artifacts.create, writes=True),
        FastRoute("POST", f"{API}/tags/{{name}}/move", tags.move, writes=True),
        FastRoute("GET", f"{API}/cas/{{cas_id}}", cas.get),
        FastRoute("POST", f"{API}/cas", cas.upload, writes=True),
    ]
