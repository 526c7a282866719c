"""Routes of blobs: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.cas import CASHandler
from orchestrator.handlers.cas_body import BlobBody, MissingBody, MissingQuery
from orchestrator.handlers.http.reply import API
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    answer,
    heeds,
    takes,
    takes_bytes,
)
from orchestrator.routes.openapi_headers import (
    ETAG,
    IDEMPOTENCY,
    LOCATION,
    OF_BLOBS,
    RANGE,
    REPR_DIGEST_SENT,
    WANT_REPR_DIGEST,
)
from orchestrator.routes.resource import Resource, blob, ok

ROUTES = Resource("cas")
BLOB = f"{API}/cas/{{cas_id:str}}"


def cas_routes(cas: CASHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    new = answer(BlobBody, examples.BLOB, "The blob is new here.", ETAG, LOCATION)
    known = answer(BlobBody, examples.BLOB, "The blob was here already.", ETAG, LOCATION)
    return [
        ROUTES.post(
            f"{API}/cas",
            cas.upload,
            "uploadBlob",
            "Store a blob",
            {201: new, 200: known},
            refuses=(408, 413, 415, 422, 507),
            reads=takes_bytes("any bytes", IDEMPOTENCY, REPR_DIGEST_SENT, WANT_REPR_DIGEST),
        ),
        ROUTES.route(
            "PUT",
            BLOB,
            cas.put,
            "putBlob",
            "Store a blob under the name it must have",
            {201: new, 200: known},
            refuses=(408, 413, 415, 507),
            reads=takes_bytes("", REPR_DIGEST_SENT, WANT_REPR_DIGEST),
        ),
        ROUTES.route(
            ["GET", "HEAD"],
            BLOB,
            cas.get,
            lambda method, _: f"{method}Blob",
            "Fetch a blob by its name",
            blob("The exact bytes, with the media type they came with.", OF_BLOBS),
            refuses=(404, 416),
            reads=heeds(RANGE, WANT_REPR_DIGEST),
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
