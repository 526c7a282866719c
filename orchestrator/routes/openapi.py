"""How routes are described: request, response and error schemas with examples; no behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)

from orchestrator import __version__
from orchestrator.errors import Violation
from orchestrator.handlers.http.problem import PROBLEM_JSON
from orchestrator.routes.examples_problem import PROBLEM_EXAMPLES
from orchestrator.routes.reference import ReferencePage


class _Exact(Example):
    """An example that keeps its nulls: the framework leaves members out that are null."""

    def to_schema(self) -> dict[str, Any]:
        return {"value": self.value}


class ProblemBody(msgspec.Struct, kw_only=True):
    """RFC 9457: what was refused and why. More members name what failed."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    instance: str | None = None
    errors: list[Violation] | None = None


DESCRIPTIONS = {
    304: "Not modified: the caller has it.",
    400: "Malformed: the input cannot be read as what it claims to be.",
    401: "No valid token came with the request.",
    403: "The Host or Origin is not allowed.",
    404: "There is no such thing in this namespace.",
    405: "The route has no such method.",
    408: "The body did not arrive in time.",
    409: "Conflict: the thing is in another state than the request expects.",
    412: "A precondition header does not hold; the problem names the current state.",
    413: "Over a size limit.",
    415: "A body of another media type.",
    416: "The range is beyond the end of the blob.",
    422: "Well-formed, but breaks rules: all violations are listed.",
    429: "Too many writes in this minute; Retry-After says when to come back.",
    460: "The body is not the one that its checksum was made of; nothing was stored.",
    500: "A defect of ours, or stored bytes that do not match their name.",
    503: "The database cannot answer now; nothing was acknowledged.",
    507: "The storage has no room for a write.",
}
ALWAYS = (400, 401, 403, 500, 503)


def problems(*statuses: int, public: bool = False) -> dict[int, ResponseSpec]:
    """Error responses of an operation, besides those that every operation has."""
    always = [status for status in ALWAYS if not (public and status == 401)]
    if 408 in statuses:  # What has a body is a write.
        always.append(429)
    return {
        status: ResponseSpec(
            data_container=ProblemBody if status != 304 else None,
            description=DESCRIPTIONS[status],
            media_type=PROBLEM_JSON,
            generate_examples=False,
            examples=[_Exact(value=PROBLEM_EXAMPLES[status])] if status != 304 else None,
        )
        for status in sorted({*always, *statuses})
    }


def answer(
    container: Any, example: Any, description: str, media_type: str = "application/json"
) -> ResponseSpec:
    """A response with its schema and an example."""
    return ResponseSpec(
        data_container=container,
        description=description,
        media_type=media_type,
        generate_examples=False,
        examples=[_Exact(value=example)],
    )


def no_body(description: str) -> ResponseSpec:
    """A response that is all headers."""
    return ResponseSpec(data_container=None, description=description, generate_examples=False)


def _header(name: str, description: str, *, required: bool = False) -> Parameter:
    return Parameter(
        name=name,
        param_in="header",
        description=description,
        required=required,
        schema=Schema(type=OpenAPIType.STRING),
    )


IDEMPOTENCY = _header(
    "Idempotency-Key", "The same key and request again is given the first answer."
)
IF_MATCH = _header(
    "If-Match", "Only if one of these entity tags is the current one (`*`: any), else 412."
)
IF_ABSENT = _header("If-None-Match", "`*`: only if there is no such tag, else 412.")
IF_CHANGED = _header(
    "If-None-Match", "304 without a body if one of these entity tags is the current one."
)
RANGE = _header("Range", "One range of bytes, `bytes=0-1023` or `bytes=-512`; answered with 206.")
TUS_RESUMABLE = _header("Tus-Resumable", "The version of tus: `1.0.0`.", required=True)
UPLOAD_OFFSET = _header("Upload-Offset", "Where the bytes belong.", required=True)
UPLOAD_LENGTH = _header("Upload-Length", "How many bytes the whole has.")
UPLOAD_DEFER_LENGTH = _header("Upload-Defer-Length", "`1`: the length follows later.")
UPLOAD_METADATA = _header(
    "Upload-Metadata",
    "Keys with Base64 values: `filetype` (or `contentType`), `cas_id`, and any of the client's.",
)
UPLOAD_CHECKSUM = _header("Upload-Checksum", "`sha1` or `sha256`, and the Base64 of the body's.")


def takes(
    container: Any, example: Any, *headers: Parameter, required: bool = True
) -> type[Operation]:
    """An operation whose body is this JSON; it is decoded by the handler, not by the framework."""
    (schema,), definitions = msgspec.json.schema_components([container])
    content = _content(_inlined(schema, definitions), example)
    return _operation({"application/json": content}, headers, required=required)


def takes_patch(example: Any) -> type[Operation]:
    """An operation whose body is a patch in one of the two formats."""
    operation = {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    }
    return _operation(
        {
            "application/json-patch+json": _content(
                _Verbatim({"type": "array", "items": operation}), example
            ),
            "application/merge-patch+json": _content(
                _Verbatim({"type": "object"}), {"metadata": {"owner": "payments"}}
            ),
        },
        (IDEMPOTENCY, IF_MATCH),
    )


def takes_bytes(
    example: str, *headers: Parameter, media_type: str = "*/*", required: bool = True
) -> type[Operation]:
    """An operation whose body is any bytes, stored as they are sent."""
    schema = Schema(description="The bytes of the blob.")
    return _operation({media_type: _content(schema, example)}, headers, required=required)


def heeds(*headers: Parameter) -> type[Operation]:
    """An operation without a body that reads these headers."""
    return _operation(None, headers)


def _content(schema: Schema, example: Any) -> OpenAPIMediaType:
    return OpenAPIMediaType(schema=schema, examples={"example": _Exact(value=example)})


def _operation(
    content: dict[str, OpenAPIMediaType] | None,
    headers: Sequence[Parameter],
    *,
    required: bool = True,
) -> type[Operation]:
    # No dataclass of its own: generating one for each operation was most of the time of the routes.
    class Described(_Described):
        described_body = RequestBody(content=content, required=required) if content else None
        described_headers = tuple(headers)

    return Described


@dataclass
class _Described(Operation):
    """An operation that adds to what the framework found in the signature."""

    described_body: ClassVar[RequestBody | None] = None
    described_headers: ClassVar[Sequence[Parameter]] = ()

    def __post_init__(self) -> None:
        self.request_body = self.described_body
        self.parameters = [*(self.parameters or ()), *self.described_headers]


class _Verbatim(Schema):
    """A JSON Schema that is given as it is."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__()
        self._schema = schema

    def to_schema(self) -> dict[str, Any]:
        return self._schema


def _inlined(schema: Any, definitions: dict[str, Any]) -> Schema:
    """References replaced by what they refer to: bodies here are small and not recursive."""

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inline(definitions[node["$ref"].rpartition("/")[2]])
        # Inlined alternatives have no names for a mapping to refer to.
        named = {key: value for key, value in node.items() if key != "mapping"}
        return {key: inline(value) for key, value in named.items()}

    return _Verbatim(inline(schema))


OPENAPI = OpenAPIConfig(
    title="orchestrator",
    version=__version__,
    description=(
        "Version control for workflows: immutable content-addressed versions, a catalogue with "
        "lineage, and movable tags with history, undo, redo and compare-and-swap.\n\n"
        "Names with a slash are sent percent-encoded (`release%2Fv1.0`). Every list is paged: "
        "give `next` back as `cursor`. Every POST accepts `Idempotency-Key`."
    ),
    path="/schema",
    render_plugins=[ReferencePage(), JsonRenderPlugin()],
    components=Components(
        security_schemes={
            "token": SecurityScheme(type="http", scheme="bearer", description="A bearer token.")
        }
    ),
    security=[{"token": []}],
    tags=[
        Tag(name="workflows", description="Create a version, look it up by tag."),
        Tag(name="versions", description="Patch, compare, merge, take back."),
        Tag(name="tags", description="Movable names with history, undo and redo."),
        Tag(name="transactions", description="Many tag operations, all or nothing."),
        Tag(name="artifacts", description="The catalogue and its lineage."),
        Tag(name="cas", description="Immutable bytes by their hash."),
        Tag(name="uploads", description="Large blobs in several requests, by tus 1.0.0."),
        Tag(name="operations", description="Health and metrics."),
    ],
    use_handler_docstrings=True,
)
