"""Routes of the catalogue: a flat list that decides nothing."""

from litestar import get
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.artifact import ArtifactBody, ArtifactHandler, ChainBody, LineageItem
from orchestrator.handlers.http.framework import operation
from orchestrator.handlers.http.paging import Page
from orchestrator.models.tag import TagReference
from orchestrator.routes import examples
from orchestrator.routes.openapi import API, IF_CHANGED, answer, heeds, problems

TAGS = ["artifacts"]
ARTIFACT = f"{API}/artifacts/{{artifact_id:str}}"


def artifact_routes(artifacts: ArtifactHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    return [
        get(
            f"{API}/artifacts",
            operation_id="listArtifacts",
            summary="List artifacts, newest first",
            tags=TAGS,
            responses={
                200: answer(Page[ArtifactBody], examples.ARTIFACTS, "A page."),
                **problems(),
            },
        )(operation(artifacts.list_artifacts)),
        get(
            ARTIFACT,
            operation_id="getArtifact",
            operation_class=heeds(IF_CHANGED),
            summary="Look an artifact up",
            tags=TAGS,
            responses={
                200: answer(ArtifactBody, examples.ARTIFACT, "The artifact."),
                **problems(304, 404),
            },
        )(operation(artifacts.get)),
        get(
            f"{ARTIFACT}/chain",
            operation_id="getChain",
            summary="The base and the patches up to an artifact",
            tags=TAGS,
            responses={200: answer(ChainBody, examples.CHAIN, "The chain."), **problems(404)},
        )(operation(artifacts.chain)),
        get(
            f"{ARTIFACT}/lineage",
            operation_id="listLineage",
            summary="Where an artifact comes from, or what came of it",
            tags=TAGS,
            responses={
                200: answer(Page[LineageItem], examples.LINEAGE, "A page."),
                **problems(404),
            },
        )(operation(artifacts.lineage)),
        get(
            f"{ARTIFACT}/tags",
            operation_id="listTagsOfArtifact",
            summary="Which tags name an artifact, or ever did",
            tags=TAGS,
            responses={
                200: answer(Page[TagReference], examples.TAG_REFERENCES, "A page."),
                **problems(404),
            },
        )(operation(artifacts.tags)),
    ]
