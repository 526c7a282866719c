"""Routes of resumable uploads: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler
from msgspec.structs import replace

from orchestrator.handlers.http.framework import FREES_SPACE, PATCH_TYPES
from orchestrator.handlers.http.framework_errors import exception_handlers
from orchestrator.handlers.http.reply import API
from orchestrator.handlers.transfer.tus import OFFSET_STREAM, refusal_headers
from orchestrator.handlers.transfer.upload import UploadHandler
from orchestrator.handlers.transfer.upload_body import UploadBody
from orchestrator.routes import examples
from orchestrator.routes.openapi import ProblemHeaders, heeds, no_body, takes_bytes
from orchestrator.routes.openapi_headers import (
    IDEMPOTENCY,
    LOCATION,
    METHOD_OVERRIDE,
    NO_STORE,
    OF_TUS_OPTIONS,
    OF_UPLOAD_PROBLEMS,
    OF_UPLOAD_STATE,
    OF_UPLOADS,
    TUS_RESUMABLE,
    TUS_VERSION,
    UPLOAD_CHECKSUM,
    UPLOAD_DEFER_LENGTH,
    UPLOAD_LENGTH,
    UPLOAD_LENGTH_OF_NEW,
    UPLOAD_METADATA,
    UPLOAD_OFFSET,
)
from orchestrator.routes.resource import Resource, ok

ROUTES = Resource(
    "uploads",
    problem_headers=ProblemHeaders("Upload", OF_UPLOAD_PROBLEMS),
    exception_handlers=exception_handlers(refusal_headers),
)
UPLOADS = f"{API}/uploads"
UPLOAD = f"{UPLOADS}/{{upload_id:str}}"


def upload_routes(uploads: UploadHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    appended = no_body(
        "The bytes are durable; `Upload-Offset` says how many there are now.", *OF_UPLOADS
    )
    offered = no_body("The headers say it.", *OF_TUS_OPTIONS)
    appends = takes_bytes(
        "any bytes",
        TUS_RESUMABLE,
        UPLOAD_OFFSET,
        UPLOAD_LENGTH,
        UPLOAD_CHECKSUM,
        media_types=(OFFSET_STREAM,),
    )
    return [
        ROUTES.route(
            "OPTIONS",
            [UPLOADS, UPLOAD],
            uploads.options,
            lambda _, path: "describeUpload" if "{" in path else "describeUploads",
            "What of the tus protocol there is",
            {204: offered},
        ),
        ROUTES.route(
            "POST",
            UPLOADS,
            uploads.create,
            "createUpload",
            "Begin a resumable upload",
            {201: no_body("`Location` is where to send the bytes.", LOCATION, *OF_UPLOADS)},
            refuses=(408, 409, 412, 413, 415, 422, 460, 507),
            reads=takes_bytes(
                "",
                TUS_RESUMABLE,
                UPLOAD_LENGTH_OF_NEW,
                UPLOAD_DEFER_LENGTH,
                UPLOAD_METADATA,
                UPLOAD_CHECKSUM,
                IDEMPOTENCY,
                media_types=(OFFSET_STREAM,),
                required=False,
            ),
        ),
        ROUTES.route(
            "HEAD",
            UPLOAD,
            uploads.head,
            "headUpload",
            "Where to go on",
            {200: no_body("`Upload-Offset` says how many bytes are durable.", *OF_UPLOAD_STATE)},
            refuses=(404, 412),
            reads=heeds(TUS_RESUMABLE),
        ),
        ROUTES.route(
            "PATCH",
            UPLOAD,
            uploads.patch,
            "patchUpload",
            "Append bytes; with the last ones a blob is made",
            {204: appended},
            refuses=(404, 408, 409, 412, 413, 415, 460, 507),
            reads=appends,
            opt={PATCH_TYPES: (OFFSET_STREAM,)},
        ),
        ROUTES.get(
            UPLOAD,
            uploads.status,
            "getUpload",
            "The state of an upload",
            ok(UploadBody, examples.UPLOAD, "Its state now.", TUS_VERSION, NO_STORE),
            refuses=(404,),
        ),
        ROUTES.route(
            "DELETE",
            UPLOAD,
            uploads.delete,
            "deleteUpload",
            "End an upload; a blob that it became stays",
            {204: no_body("It is gone, and so are its bytes.", TUS_VERSION)},
            refuses=(404, 412),
            reads=heeds(TUS_RESUMABLE),
            opt={FREES_SPACE: True},
        ),
        ROUTES.route(
            "POST",
            UPLOAD,
            uploads.override,
            "overrideUpload",
            "PATCH or DELETE, as X-HTTP-Method-Override says",
            {204: appended},
            refuses=(404, 405, 408, 409, 412, 413, 415, 460, 507),
            reads=replace(appends, headers=(METHOD_OVERRIDE, *appends.headers), required=False),
        ),
    ]
