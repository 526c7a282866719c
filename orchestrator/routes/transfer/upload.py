"""Routes of resumable uploads: a flat list that decides nothing."""

from collections.abc import Sequence

from litestar import get, route
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import FREES_SPACE, operation
from orchestrator.handlers.http.framework_errors import exception_handlers
from orchestrator.handlers.transfer.tus import OFFSET_STREAM, refusal_headers
from orchestrator.handlers.transfer.upload import UploadHandler
from orchestrator.handlers.transfer.upload_body import UploadBody
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    API,
    IDEMPOTENCY,
    TUS_RESUMABLE,
    UPLOAD_CHECKSUM,
    UPLOAD_DEFER_LENGTH,
    UPLOAD_LENGTH,
    UPLOAD_METADATA,
    UPLOAD_OFFSET,
    answer,
    heeds,
    no_body,
    problems,
    takes_bytes,
)

TAGS = ["uploads"]
EXCEPTION_HANDLERS = exception_handlers(refusal_headers)
UPLOADS = f"{API}/uploads"
UPLOAD = f"{UPLOADS}/{{upload_id:str}}"


def upload_routes(uploads: UploadHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    appended = no_body("The bytes are durable; `Upload-Offset` says how many there are now.")
    offered = no_body("The headers say it.")
    appends = takes_bytes(
        "any bytes",
        TUS_RESUMABLE,
        UPLOAD_OFFSET,
        UPLOAD_LENGTH,
        UPLOAD_CHECKSUM,
        media_type=OFFSET_STREAM,
    )
    return [
        route(
            [UPLOADS, UPLOAD],
            http_method=["OPTIONS"],
            operation_id=lambda _handler, _method, path: _describe(path),
            summary="What of the tus protocol there is",
            tags=TAGS,
            status_code=204,
            responses={204: offered, **problems()},
            exception_handlers=EXCEPTION_HANDLERS,
        )(operation(uploads.options)),
        route(
            UPLOADS,
            http_method=["POST"],
            operation_id="createUpload",
            operation_class=takes_bytes(
                "",
                TUS_RESUMABLE,
                UPLOAD_LENGTH,
                UPLOAD_DEFER_LENGTH,
                UPLOAD_METADATA,
                UPLOAD_CHECKSUM,
                IDEMPOTENCY,
                media_type=OFFSET_STREAM,
                required=False,
            ),
            summary="Begin a resumable upload",
            tags=TAGS,
            status_code=201,
            responses={
                201: no_body("`Location` is where to send the bytes."),
                **problems(408, 409, 412, 413, 415, 422, 460, 507),
            },
            exception_handlers=EXCEPTION_HANDLERS,
        )(operation(uploads.create)),
        route(
            UPLOAD,
            http_method=["HEAD"],
            operation_id="headUpload",
            operation_class=heeds(TUS_RESUMABLE),
            summary="Where to go on",
            tags=TAGS,
            status_code=200,
            responses={
                200: no_body("`Upload-Offset` says how many bytes are durable."),
                **problems(404, 412),
            },
            exception_handlers=EXCEPTION_HANDLERS,
        )(operation(uploads.head)),
        route(
            UPLOAD,
            http_method=["PATCH"],
            operation_id="patchUpload",
            operation_class=appends,
            summary="Append bytes; with the last ones a blob is made",
            tags=TAGS,
            status_code=204,
            responses={204: appended, **problems(404, 408, 409, 412, 413, 415, 460, 507)},
            exception_handlers=EXCEPTION_HANDLERS,
        )(operation(uploads.patch)),
        get(
            UPLOAD,
            operation_id="getUpload",
            summary="The state of an upload",
            tags=TAGS,
            responses={
                200: answer(UploadBody, examples.UPLOAD, "Its state now."),
                **problems(404),
            },
            exception_handlers=EXCEPTION_HANDLERS,
        )(operation(uploads.status)),
        route(
            UPLOAD,
            http_method=["DELETE"],
            operation_id="deleteUpload",
            operation_class=heeds(TUS_RESUMABLE),
            summary="End an upload; a blob that it became stays",
            tags=TAGS,
            status_code=204,
            responses={204: no_body("It is gone, and so are its bytes."), **problems(404, 412)},
            opt={FREES_SPACE: True},
            exception_handlers=EXCEPTION_HANDLERS,
        )(operation(uploads.delete)),
        route(
            UPLOAD,
            http_method=["POST"],
            operation_id="overrideUpload",
            operation_class=appends,
            summary="PATCH or DELETE, as X-HTTP-Method-Override says",
            tags=TAGS,
            status_code=204,
            responses={204: appended, **problems(404, 405, 408, 409, 412, 413, 415, 460, 507)},
            exception_handlers=EXCEPTION_HANDLERS,
        )(operation(uploads.override)),
    ]


def _describe(path: Sequence[object]) -> str:
    """The operation id of one handler at two paths."""
    return "describeUpload" if len(path) > 3 else "describeUploads"
