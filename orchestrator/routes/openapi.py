"""How routes are described: request, response and error schemas with examples; no behaviour.

`routes/openapi_document.py` makes the document of all these descriptions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from orchestrator.handlers.http.problem import PROBLEM_JSON
from orchestrator.handlers.http.problem_body import ProblemBody
from orchestrator.handlers.http.reply import JSON
from orchestrator.models.cas import OCTET_STREAM
from orchestrator.routes.examples_problem import PROBLEM_EXAMPLES
from orchestrator.routes.openapi_headers import (
    ALLOW,
    CONTENT_RANGE_OF_NOTHING,
    IDEMPOTENCY,
    IF_MATCH,
    MAY_ACCEPT_PATCH,
    MAY_RETRY_AFTER,
    OF_READ,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    Header,
)


class Verbatim(msgspec.Struct, frozen=True):
    """A JSON Schema that is given as it is."""

    schema: dict[str, Any]


class Media(msgspec.Struct, frozen=True):
    """A body of one media type; `container` is a type of ours or a Verbatim."""

    media_type: str
    container: Any
    example: Any


class Described(msgspec.Struct, frozen=True):
    """An answer: all its media types and headers, besides those that every answer has."""

    description: str
    content: tuple[Media, ...] = ()
    headers: tuple[Header, ...] = ()
    #: Of an answer that many operations have.
    name: str = ""


class Reads(msgspec.Struct, frozen=True):
    """What an operation reads of a request, besides its path and query."""

    content: tuple[Media, ...] = ()
    headers: tuple[Header, ...] = ()
    required: bool = True


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A route as it is described; its path, methods and parameters are those of the route."""

    heading: str
    #: By the method and the path, where one handler has several.
    operation_id: str | Callable[[str, str], str]
    summary: str
    answers: dict[int, Described]
    reads: Reads
    public: bool = False


NOTHING = Reads()

DESCRIPTIONS = {
    304: "Not modified: the caller has it.",
    307: "The bytes are at `Location`, without the token, for a while.",
    400: "Malformed: the input cannot be read as what it claims to be.",
    401: "No valid token came with the request.",
    403: "The Host or Origin is not allowed.",
    404: "There is no such thing in this namespace.",
    405: "The route has no such method.",
    408: "The body did not arrive in time.",
    409: "Conflict: the thing is in another state than the request expects.",
    412: "A precondition header does not hold; the problem names the current state.",
    413: "Over a size limit.",
    414: "The target is longer than the head of a request may be.",
    415: "A body of another media type.",
    416: "The range is beyond the end of the blob.",
    422: "Well-formed, but breaks rules: all violations are listed. Or too much to compute.",
    429: "Too many writes in this minute; Retry-After says when to come back.",
    431: "More header fields than a request may have, or more bytes than its head may have.",
    460: "The body is not the one that its checksum was made of; nothing was stored.",
    500: "A defect of ours, or stored bytes that do not match their name.",
    501: "A method that no address has, or a `Transfer-Encoding` other than `chunked`.",
    503: "The database cannot answer now, or too much waits; nothing was acknowledged.",
    505: "A version of HTTP other than 1.1 and 1.0.",
    507: "The storage has no room for a write.",
}
#: What any request may be answered with, before or while its operation runs.
ALWAYS = (400, 401, 403, 414, 431, 500, 501, 503, 505)
_PROBLEM_HEADERS: dict[int, tuple[Header, ...]] = {
    401: (WWW_AUTHENTICATE,),
    405: (ALLOW,),
    415: (MAY_ACCEPT_PATCH,),
    416: (CONTENT_RANGE_OF_NOTHING,),
    429: (RETRY_AFTER,),
    503: (MAY_RETRY_AFTER,),
}


class ProblemHeaders(msgspec.Struct, frozen=True):
    """What the problems under a heading have besides those of all others."""

    name: str = ""
    headers: tuple[Header, ...] = ()


def problems(
    *statuses: int,
    public: bool = False,
    writes: bool = False,
    frees_space: bool = False,
    more: ProblemHeaders | None = None,
) -> dict[int, Described]:
    """Error responses of an operation, with those that every operation of its sort has."""
    found = {*ALWAYS, *statuses} - ({401} if public else set())
    if writes:
        found |= {429} if frees_space else {429, 507}
    described = {status: _problem(status, more or ProblemHeaders()) for status in found}
    return dict(sorted(described.items()))


def _problem(status: int, more: ProblemHeaders) -> Described:
    body = Media(PROBLEM_JSON, ProblemBody, PROBLEM_EXAMPLES[status])
    headers = (*_PROBLEM_HEADERS.get(status, ()), *more.headers)
    return Described(DESCRIPTIONS[status], (body,), headers, f"{more.name}Problem{status}")


def answer(
    container: Any, example: Any, description: str, *headers: Header, media_type: str = JSON
) -> Described:
    """A response with its schema, an example, and the headers that it has of its own."""
    return Described(description, (Media(media_type, container, example),), headers)


def bytes_answer(example: str, description: str, *headers: Header) -> Described:
    """A response that is somebody's bytes, with the media type that they came with."""
    content = (Media(OCTET_STREAM, BYTES, example), Media("*/*", BYTES, example))
    return Described(description, content, headers)


def no_body(description: str, *headers: Header) -> Described:
    """A response that is all headers."""
    return Described(description, headers=headers)


def not_modified(*headers: Header) -> dict[int, Described]:
    """304, with what of the headers of the 200 it has."""
    return {304: Described(DESCRIPTIONS[304], headers=headers or OF_READ)}


def takes(container: Any, example: Any, *headers: Header, required: bool = True) -> Reads:
    """An operation whose body is this JSON; it is decoded by the handler, not by the framework."""
    return Reads((Media(JSON, container, example),), headers, required)


def takes_patch(example: Any) -> Reads:
    """An operation whose body is a patch in one of the two formats."""
    return Reads(
        (
            Media("application/json-patch+json", JSON_PATCH, example),
            Media("application/merge-patch+json", MERGE_PATCH, MERGE_PATCH_EXAMPLE),
        ),
        (IDEMPOTENCY, IF_MATCH),
    )


def takes_bytes(
    example: str,
    *headers: Header,
    media_types: Sequence[str] = (OCTET_STREAM, "*/*"),
    required: bool = True,
) -> Reads:
    """An operation whose body is any bytes, stored as they are sent."""
    content = tuple(Media(media_type, BYTES, example) for media_type in media_types)
    return Reads(content, headers, required)


def heeds(*headers: Header) -> Reads:
    """An operation without a body that reads these headers."""
    return Reads(headers=headers)


BYTES = Verbatim({"type": "string", "format": "binary", "description": "The bytes of the blob."})
_POINTER = {"type": "string", "pattern": "^(/([^~/]|~[01])*)*$"}


def _when_op(names: list[str], member: str) -> dict[str, Any]:
    return {"if": {"properties": {"op": {"enum": names}}}, "then": {"required": [member]}}


_PATCH_OPERATION = {
    "type": "object",
    "required": ["op", "path"],
    "properties": {
        "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
        "path": _POINTER,
        "from": {**_POINTER, "description": "Of `move` and `copy`."},
        "value": {"description": "Of `add`, `replace` and `test`."},
    },
    "allOf": [
        _when_op(["move", "copy"], "from"),
        _when_op(["add", "replace", "test"], "value"),
    ],
}
#: Schemas that have a name of their own, besides those of the types.
NAMED: dict[str, dict[str, Any]] = {
    "JsonPatch": {
        "title": "JsonPatch",
        "description": "Operations of RFC 6902, applied in their order, all or none.",
        # A list that is an alternative to an object: some generators of clients can tell the two
        # apart only if the list has a type of its own.
        "allOf": [{"type": "array", "items": _PATCH_OPERATION, "minItems": 1}],
    },
    "MergePatch": {
        "title": "MergePatch",
        "description": "RFC 7396: members replace those of the workflow, null removes them.",
        "type": "object",
    },
}


def named(name: str) -> Verbatim:
    """A reference to one of these."""
    return Verbatim({"$ref": f"#/components/schemas/{name}"})


JSON_PATCH, MERGE_PATCH = named("JsonPatch"), named("MergePatch")
MERGE_PATCH_EXAMPLE = {"metadata": {"owner": "payments"}}
