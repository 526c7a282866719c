"""Routes of the catalogue: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.artifact import ArtifactBody, ArtifactHandler, ChainBody, LineageItem
from orchestrator.handlers.http.reply import API
from orchestrator.models.tag import TagReference
from orchestrator.routes import examples
from orchestrator.routes.openapi import not_modified
from orchestrator.routes.openapi_headers import OF_IMMUTABLE
from orchestrator.routes.resource import Resource, ok, page

ROUTES = Resource("artifacts")
ARTIFACT = f"{API}/artifacts/{{artifact_id:str}}"


def artifact_routes(artifacts: ArtifactHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        ROUTES.get(
            f"{API}/artifacts",
            artifacts.list_artifacts,
            "listArtifacts",
            "List artifacts, newest first",
            page(ArtifactBody, examples.ARTIFACTS),
        ),
        ROUTES.get(
            ARTIFACT,
            artifacts.get,
            "getArtifact",
            "Look an artifact up",
            ok(ArtifactBody, examples.ARTIFACT, "The artifact.", *OF_IMMUTABLE)
            | not_modified(*OF_IMMUTABLE),
            refuses=(404,),
        ),
        ROUTES.get(
            f"{ARTIFACT}/chain",
            artifacts.chain,
            "getChain",
            "The base and the patches up to an artifact",
            ok(ChainBody, examples.CHAIN, "The chain.", *OF_IMMUTABLE)
            | not_modified(*OF_IMMUTABLE),
            refuses=(404,),
        ),
        ROUTES.get(
            f"{ARTIFACT}/lineage",
            artifacts.lineage,
            "listLineage",
            "Where an artifact comes from, or what came of it",
            page(LineageItem, examples.LINEAGE),
            refuses=(404,),
        ),
        ROUTES.get(
            f"{ARTIFACT}/tags",
            artifacts.tags,
            "listTagsOfArtifact",
            "Which tags name an artifact, or ever did",
            page(TagReference, examples.TAG_REFERENCES),
            refuses=(404,),
        ),
    ]
