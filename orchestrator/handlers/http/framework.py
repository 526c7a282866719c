"""How the framework calls an operation: it finds the route and reads the parameters, the operation
does the rest.
"""

from collections.abc import Awaitable, Callable
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, TypeAlias, cast, get_args, get_origin

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import HTTPScope, Receive, Scope, Send

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.admission import WRITES, Admission
from orchestrator.handlers.http.call import Call, headers_of
from orchestrator.handlers.http.query_group import gathered, groups_of, spread
from orchestrator.handlers.http.reply import Reply
from orchestrator.models.name import NamespaceText
from orchestrator.models.principal import Actor, Principal

AnyRequest: TypeAlias = Request[Any, Any, State]
HandlerMethod: TypeAlias = Callable[..., Awaitable[Reply]]
RouteFunction: TypeAlias = Callable[..., Awaitable[Response[None]]]

Namespace = Annotated[
    NamespaceText | None,
    QueryParameter(description="The namespace; the caller's own if none is named."),
]
#: Where in the scope of a request its reply is.
REPLY = "orchestrator.reply"
#: The option of a route that is served on a full disk too: it makes room.
FREES_SPACE = "frees_space"
#: The option of a route that reads patches: their types.
PATCH_TYPES = "patch_types"
#: The option of a route whose query has parameters that begin so, with any end.
QUERY_PREFIX = "query_prefix"
_ANYBODY = Principal(name="", namespace="")
_NO_ACTOR = Actor("")
_REQUEST = Parameter("request", Parameter.POSITIONAL_OR_KEYWORD, annotation=AnyRequest)
_NAMESPACE = Parameter(
    "namespace", Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Namespace
)


def admitting(admission: Admission) -> Callable[[AnyRequest], Awaitable[None]]:
    """For each request that found its route: refuse what makes no sense, and what is too much."""

    async def admit(request: AnyRequest) -> None:
        if request.scope["query_string"] and request.scope["method"] != "OPTIONS":
            _refuse_unknown_parameters(request)
        if request.scope["method"] in WRITES:
            frees_space = bool(request.route_handler.opt.get(FREES_SPACE))
            await admission.admit_write(request.scope["user"], frees_space=frees_space)

    return admit


def _refuse_unknown_parameters(request: AnyRequest) -> None:
    """A misspelt parameter must not be ignored: `?verison=3` would answer with another version."""
    names = request.route_handler.parsed_fn_signature.parameters.keys()
    known = {name.removesuffix("_") for name in names}  # `from_` is the parameter `from`.
    for name in request.query_params:
        if len(request.query_params.getall(name)) > 1:
            message = f"The parameter {name!r} is given more than once."
            raise InvalidInput.at(f"/{name}", "repeated-parameter", message)
    prefix: str | None = request.route_handler.opt.get(QUERY_PREFIX)
    unknown = sorted(
        name
        for name in set(request.query_params) - known
        if prefix is None or not name.startswith(prefix)
    )
    if unknown:
        message = f"This operation has no parameter {unknown[0]!r}."
        raise InvalidInput.at(f"/{unknown[0]}", "unknown-parameter", message)


class ReplyResponse(Response[None]):
    """A reply as the framework takes it: it is left in the scope, and the edge sends it, as it does
    those of the fast path.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(content=None, status_code=reply.status)
        self.reply = reply

    def to_asgi_response(
        self,
        app: Litestar | None,  # noqa: ARG002 - the framework's signature.
        request: Request[Any, Any, Any],  # noqa: ARG002 - as above.
        **_: Any,
    ) -> ASGIResponse:
        """It is called with these three, and that is all."""

        async def leave(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - as an ASGI application is called.
            cast("dict[str, Any]", scope)[REPLY] = self.reply

        return cast("ASGIResponse", leave)


def operation(method: HandlerMethod) -> RouteFunction:
    """An operation on a namespace, as a function that a route of the framework can call.

    The operation is given a Call and the parameters that it declares. The framework also sees the
    request and the query parameter `namespace`, which are read into the Call.
    """
    declared = _parameters_of(method)
    own, groups = spread(declared), groups_of(declared)
    numbers = tuple(each.name for each in own if _is_number(each.annotation))

    async def route(
        request: AnyRequest, namespace: str | None = None, **given: Any
    ) -> Response[None]:
        if numbers and request.scope["query_string"]:
            _refuse_other_spellings(request, {name: given.get(name) for name in numbers})
        call = Call(request.scope, request.receive, headers_of(request.scope), namespace)
        return ReplyResponse(await method(call, **gathered(groups, given)))

    required = [each for each in own if each.default is Parameter.empty]
    optional = [each for each in own if each.default is not Parameter.empty]
    return _described(route, method, [_REQUEST, *required, _NAMESPACE, *optional])


def server_operation(method: HandlerMethod) -> RouteFunction:
    """An operation on the server as a whole: it belongs to no namespace."""
    own = _parameters_of(method)

    async def route(request: AnyRequest, **given: Any) -> Response[None]:
        call = Call(request.scope, request.receive, headers_of(request.scope))
        return ReplyResponse(await method(call, **given))

    return _described(route, method, [_REQUEST, *own])


def public_operation(method: HandlerMethod) -> RouteFunction:
    """An operation for everybody: it reads headers, and is given no caller."""

    async def route(request: AnyRequest) -> Response[None]:
        scope = cast("HTTPScope", {**request.scope, "user": _ANYBODY, "auth": _NO_ACTOR})
        return ReplyResponse(await method(Call(scope, request.receive, headers_of(scope))))

    return _described(route, method, [_REQUEST])


def operation_without_call(method: Callable[[], Awaitable[Reply]]) -> RouteFunction:
    """An operation that reads nothing of the request, so it may be public."""

    async def route() -> Response[None]:
        return ReplyResponse(await method())

    return _described(route, method, [])


def _is_number(annotation: Any) -> bool:
    """Whether a parameter is a whole number, if it is given."""
    kind = _bare(annotation)
    return int in {kind, *map(_bare, get_args(kind))}


def _bare(annotation: Any) -> Any:
    """The type, without what is said of it."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _refuse_other_spellings(request: AnyRequest, numbers: dict[str, int | None]) -> None:
    """`1.0`, `5e0` and `007` are read as numbers, but a number has one spelling here."""
    for name, number in numbers.items():
        given = request.query_params.get(name)
        if given is not None and given != str(number):
            message = f"{name}: a whole number is written in digits alone: {number}."
            raise InvalidInput.at(f"/{name}", "parameter", message)


def _parameters_of(method: HandlerMethod) -> list[Parameter]:
    """Its own parameters, without the Call."""
    _, *own = signature(method).parameters.values()
    return own


def _described(
    route: RouteFunction, method: Callable[..., object], parameters: list[Parameter]
) -> RouteFunction:
    """The framework reads names, types and descriptions from the function itself."""
    described = cast("Any", route)
    described.__signature__ = Signature(parameters, return_annotation=Response[None])
    described.__annotations__ = {each.name: each.annotation for each in parameters}
    described.__annotations__["return"] = Response[None]
    described.__name__, described.__doc__ = method.__name__, method.__doc__
    described.__qualname__, described.__module__ = method.__qualname__, method.__module__
    return route
