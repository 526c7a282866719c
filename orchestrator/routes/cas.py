"""Routes of blobs: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.cas import CASHandler, MissingBody, MissingQuery
from orchestrator.handlers.cas_body import BlobBody
from orchestrator.handlers.http.reply import API
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    IDEMPOTENCY,
    IF_CHANGED,
    IF_MATCH,
    RANGE,
    answer,
    heeds,
    takes,
    takes_bytes,
)
from orchestrator.routes.resource import Resource, ok

ROUTES = Resource("cas")
BLOB = f"{API}/cas/{{cas_id:str}}"


def cas_routes(cas: CASHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    new = answer(BlobBody, examples.BLOB, "The blob is new here.")
    known = answer(BlobBody, examples.BLOB, "The blob was here already.")
    return [
        ROUTES.post(
            f"{API}/cas",
            cas.upload,
            "uploadBlob",
            "Store a blob",
            {201: new, 200: known},
            refuses=(408, 413, 415, 422, 507),
            reads=takes_bytes("any bytes", IDEMPOTENCY),
        ),
        ROUTES.route(
            "PUT",
            BLOB,
            cas.put,
            "putBlob",
            "Store a blob under the name it must have",
            {201: new, 200: known},
            refuses=(408, 413, 415, 507),
            reads=takes_bytes(""),
        ),
        ROUTES.route(
            ["GET", "HEAD"],
            BLOB,
            cas.get,
            lambda _handler, method, _path: f"{method.lower()}Blob",
            "Fetch a blob by its name",
            {
                200: answer(
                    bytes,
                    "any bytes",
                    "The exact bytes, with the media type they came with.",
                    "*/*",
                ),
                206: answer(bytes, "any", "The requested part.", "*/*"),
            },
            refuses=(304, 404, 412, 416),
            reads=heeds(IF_MATCH, IF_CHANGED, RANGE),
        ),
        ROUTES.post(
            f"{API}/cas/missing",
            cas.missing,
            "findMissingBlobs",
            "Which of these blobs would have to be uploaded",
            ok(MissingBody, examples.MISSING, "Those that are missing."),
            refuses=(408, 413, 415, 422),
            reads=takes(MissingQuery, examples.MISSING_QUERY, IDEMPOTENCY),
        ),
    ]
