"""Routes of the catalogue: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.artifact import META, ArtifactHandler
from orchestrator.handlers.artifact_body import (
    ArtifactBody,
    ArtifactDetailsBody,
    ChainBody,
    CreatedArtifactBody,
    FileBody,
    LineageBody,
)
from orchestrator.handlers.artifact_create import ArtifactCreateHandler
from orchestrator.handlers.artifact_lineage import LineageHandler
from orchestrator.handlers.artifact_request import CreateArtifact
from orchestrator.handlers.http.framework import QUERY_PREFIX
from orchestrator.handlers.http.reply import API
from orchestrator.models.tag import TagReference
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    answer,
    heeds,
    not_modified,
    takes,
)
from orchestrator.routes.openapi_headers import (
    IDEMPOTENCY,
    IF_ABSENT,
    IF_MATCH,
    LOCATION,
    OF_FILES,
    OF_IMMUTABLE,
    OF_READ,
    RANGE,
    WANT_REPR_DIGEST,
)
from orchestrator.routes.resource import Resource, blob, counted_page, ok, page, page_as

ROUTES = Resource("artifacts")
ARTIFACT = f"{API}/artifacts/{{artifact:str}}"


def artifact_routes(
    artifacts: ArtifactHandler, creating: ArtifactCreateHandler, lineage: LineageHandler
) -> list[HTTPRouteHandler]:
    """All routes of the handlers."""
    return [
        ROUTES.post(
            f"{API}/artifacts",
            creating.create,
            "createArtifact",
            "Create an artifact of any kind",
            {
                201: answer(CreatedArtifactBody, examples.CREATED_ARTIFACT, "It is new.", LOCATION),
                200: answer(
                    CreatedArtifactBody, examples.CREATED_ARTIFACT, "It was there.", LOCATION
                ),
            },
            refuses=(404, 408, 409, 412, 413, 415, 422, 507),
            reads=takes(CreateArtifact, examples.CREATE_ARTIFACT, IDEMPOTENCY, IF_MATCH, IF_ABSENT),
        ),
        ROUTES.get(
            f"{API}/artifacts",
            artifacts.list_artifacts,
            "listArtifacts",
            "List artifacts, newest first",
            counted_page(ArtifactBody, examples.ARTIFACTS),
            opt={QUERY_PREFIX: META},
        ),
        ROUTES.get(
            ARTIFACT,
            artifacts.get,
            "getArtifact",
            "Look an artifact up",
            ok(ArtifactDetailsBody, examples.ARTIFACT_DETAILS, "The artifact.", *OF_READ)
            | not_modified(*OF_READ),
            refuses=(404,),
        ),
        ROUTES.get(
            f"{ARTIFACT}/blobs",
            artifacts.list_blobs,
            "listBlobsOfArtifact",
            "The files of an artifact",
            page(FileBody, examples.FILES),
            refuses=(404,),
        ),
        ROUTES.route(
            ["GET", "HEAD"],
            f"{ARTIFACT}/blobs/{{name:str}}",
            artifacts.get_blob,
            lambda method, _: f"{method}BlobOfArtifact",
            "Fetch a file of an artifact",
            blob("The exact bytes.", OF_FILES),
            refuses=(404, 416),
            reads=heeds(RANGE, WANT_REPR_DIGEST),
        ),
        ROUTES.get(
            f"{ARTIFACT}/annotations",
            artifacts.annotations,
            "listAnnotations",
            "What was said about an artifact later",
            page(ArtifactBody, examples.ARTIFACTS),
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
            lineage.lineage,
            "listLineage",
            "Where an artifact comes from, and what came of it",
            page_as(LineageBody, examples.LINEAGE),
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
