"""Routes of blobs: a flat list that decides nothing."""

from litestar import post, put, route
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.cas import CASHandler, MissingBody, MissingQuery
from orchestrator.handlers.cas_body import BlobBody
from orchestrator.handlers.http.framework import operation
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    API,
    IDEMPOTENCY,
    IF_CHANGED,
    RANGE,
    answer,
    heeds,
    problems,
    takes,
    takes_bytes,
)

TAGS = ["cas"]
BLOB = f"{API}/cas/{{cas_id:str}}"


def cas_routes(cas: CASHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    new = answer(BlobBody, examples.BLOB, "The blob is new here.")
    known = answer(BlobBody, examples.BLOB, "The blob was here already.")
    return [
        post(
            f"{API}/cas",
            operation_id="uploadBlob",
            operation_class=takes_bytes("any bytes", IDEMPOTENCY),
            summary="Store a blob",
            tags=TAGS,
            responses={201: new, 200: known, **problems(408, 413, 415, 422, 507)},
        )(operation(cas.upload)),
        put(
            BLOB,
            operation_id="putBlob",
            operation_class=takes_bytes(""),
            summary="Store a blob under the name it must have",
            tags=TAGS,
            status_code=201,
            responses={201: new, 200: known, **problems(408, 413, 415, 507)},
        )(operation(cas.put)),
        route(
            BLOB,
            http_method=["GET", "HEAD"],
            operation_id=lambda _handler, method, _path: f"{method.lower()}Blob",
            operation_class=heeds(IF_CHANGED, RANGE),
            summary="Fetch a blob by its name",
            tags=TAGS,
            responses={
                200: answer(
                    bytes,
                    "any bytes",
                    "The exact bytes, with the media type they came with.",
                    "*/*",
                ),
                206: answer(bytes, "any", "The part that was asked for.", "*/*"),
                **problems(304, 404, 416),
            },
        )(operation(cas.get)),
        post(
            f"{API}/cas/missing",
            operation_id="findMissingBlobs",
            operation_class=takes(MissingQuery, examples.MISSING_QUERY, IDEMPOTENCY),
            summary="Which of these blobs would have to be uploaded",
            tags=TAGS,
            status_code=200,
            responses={
                200: answer(MissingBody, examples.MISSING, "Those that are missing."),
                **problems(408, 413, 415, 422),
            },
        )(operation(cas.missing)),
    ]
