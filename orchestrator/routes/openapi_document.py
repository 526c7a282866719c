"""The OpenAPI document, made of the routes and what they say of themselves; it decides nothing.

Made here and not by the framework, because the framework's own has other names, and no headers of
answers. The schemas of bodies are those of the types that decode and encode them.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg, PathParameter

from orchestrator import __version__
from orchestrator.routes.openapi import NAMED, Described, Media, Operation, Verbatim
from orchestrator.routes.openapi_headers import OF_EVERY_ANSWER, Header
from orchestrator.routes.openapi_workflow import WORKFLOW_COMPONENTS

#: The option of a route that has its description.
DESCRIBED = "described"
#: The option of a route whose path has a word where its neighbours have a name: that path. The
#: framework knows one operation for a path and a method, so it finds this one by their template.
WORDED = "worded"
_REF = "#/components/schemas/{name}"
_IN_PATH = re.compile(r"\{(\w+)\}")
_EVERY_HEADER = {
    each.name: {"$ref": f"#/components/headers/{each.name}"} for each in OF_EVERY_ANSWER
}
_UNSAID = (None, inspect.Parameter.empty)
_ABOUT = (
    "Version control for workflows: immutable content-addressed versions, a catalogue with "
    "lineage, and movable tags with history, undo, redo and compare-and-swap.\n\n"
    "Names with a slash are sent percent-encoded (`release%2Fv1.0`). Every list is paged: "
    "give `next` back as `cursor`, unchanged. Every POST accepts `Idempotency-Key`.\n\n"
    "Where there is GET there is HEAD. JSON bodies are read strictly: no key twice in an object, "
    "no integer beyond ±(2^53-1), no NUL in a string, at most 64 levels."
)
_HEADINGS = {
    "workflows": "Create a version, look it up by tag.",
    "versions": "Patch, compare, merge, take back.",
    "tags": "Movable names with history, undo and redo.",
    "transactions": "Many tag operations, all or nothing.",
    "artifacts": "The catalogue and its lineage.",
    "cas": "Immutable bytes by their hash.",
    "uploads": "Large blobs in several requests, by tus 1.0.0.",
    "access": "Who calls, and what they may do.",
    "operations": "Health and metrics.",
}


def document(routes: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Every route that has a description, by path and method."""
    schemas = _Schemas()
    answers = _Answers(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if DESCRIBED not in route.opt:
            continue
        for path in addresses(route):
            for method in sorted(route.http_methods):
                operation = _operation(route, path, method.lower(), schemas, answers)
                paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "orchestrator", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _HEADINGS.items()],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": dict(sorted(answers.components.items())),
            "headers": {each.name: _header(each) for each in OF_EVERY_ANSWER},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A bearer token."}
            },
        },
    }


def addresses(route: HTTPRouteHandler) -> list[str]:
    """The paths of a route as clients know them."""
    if WORDED in route.opt:
        return [route.opt[WORDED]]
    return [each.replace(":str}", "}") for each in sorted(route.paths)]


class _Schemas:
    """The schemas of bodies and parameters; what has a name is a component."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {**NAMED, **WORKFLOW_COMPONENTS}
        self._known: dict[int, tuple[Any, dict[str, Any]]] = {}

    def of(self, container: Any) -> dict[str, Any]:
        if isinstance(container, Verbatim):
            return container.schema
        if id(container) not in self._known:
            (schema,), components = msgspec.json.schema_components([container], ref_template=_REF)
            for name, component in components.items():
                if self.components.setdefault(name, component) != component:
                    raise ValueError(f"two types are named {name}")
            self._known[id(container)] = container, schema
        return self._known[id(container)][1]


class _Answers:
    """The answers of operations; those that many operations have are components."""

    def __init__(self, schemas: _Schemas) -> None:
        self._schemas = schemas
        self.components: dict[str, Any] = {}

    def of(self, said: Described) -> dict[str, Any]:
        if not said.name:
            return _answer(said, self._schemas)
        if said.name not in self.components:
            self.components[said.name] = _answer(said, self._schemas)
        return {"$ref": f"#/components/responses/{said.name}"}


def _operation(
    route: HTTPRouteHandler, path: str, method: str, schemas: _Schemas, answers: _Answers
) -> dict[str, Any]:
    said: Operation = route.opt[DESCRIBED]
    reads = said.reads
    made: dict[str, Any] = {
        "operationId": (
            said.operation_id
            if isinstance(said.operation_id, str)
            else said.operation_id(method, path)
        ),
        "tags": [said.heading],
        "summary": said.summary,
        "description": inspect.getdoc(route.fn) or "",
        "parameters": [
            *_parameters(route, path, schemas),
            *({"name": each.name, "in": "header", **_header(each)} for each in reads.headers),
        ],
        "responses": {str(status): answers.of(each) for status, each in said.answers.items()},
    }
    if reads.content:
        content = _content(reads.content, schemas)
        made["requestBody"] = {"content": content, "required": reads.required}
    if said.public:
        made["security"] = [{}]
    return made


def _parameters(route: HTTPRouteHandler, path: str, schemas: _Schemas) -> Iterator[dict[str, Any]]:
    unread = set(_IN_PATH.findall(path))
    for name, each in inspect.signature(route.fn).parameters.items():
        if get_origin(each.annotation) is not Annotated:
            continue  # The request itself.
        type_, *about = get_args(each.annotation)
        said = next(one for one in about if isinstance(one, ParameterKwarg))
        rest = tuple(one for one in about if one is not said)
        # Nothing in a query is null.
        given = [one for one in get_args(type_) if one is not type(None)]
        if len(given) < len(get_args(type_)):
            (type_,) = given
        schema = dict(schemas.of(Annotated[(type_, *rest)] if rest else type_))
        limits = {"minimum": said.ge, "maximum": said.le, "default": each.default}
        schema |= {key: value for key, value in limits.items() if value not in _UNSAID}
        is_path = isinstance(said, PathParameter)
        unread.discard(name)
        yield {
            "name": getattr(said, "name", None) or name,
            "in": "path" if is_path else "query",
            "description": said.description,
            "required": is_path or each.default is inspect.Parameter.empty,
            "schema": schema,
        }
    for name in unread:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _content(content: Iterable[Media], schemas: _Schemas) -> dict[str, Any]:
    return {
        each.media_type: {
            "schema": schemas.of(each.container),
            "examples": {"example": {"value": each.example}},
        }
        for each in content
    }


def _answer(said: Described, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": said.description,
        "headers": {
            **_EVERY_HEADER,
            **{each.name: _header(each) for each in said.headers},
        },
    }
    if said.content:
        made["content"] = _content(said.content, schemas)
    return made


def _header(said: Header) -> dict[str, Any]:
    return {"description": said.description, "required": said.required, "schema": said.schema}
