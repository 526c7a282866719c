"""The short way to the few operations that almost every request is: the edge calls their handlers
itself. What they do is in the handlers; every other request goes through the framework.

The framework's routing, parameters and response objects cost a small request twice what it needs
otherwise (measured: docs/performance.md). A request that says anything unusual, such as another
parameter than the namespace, takes the long way; both ways end in the same method of a handler.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from litestar.types import HTTPScope, Receive

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.problem import AnyRequest
from orchestrator.models.idempotency import Answer

_NAMESPACE_ALONE = re.compile(rb"namespace=([a-z0-9._/-]+)")


class Headers(dict[str, str]):
    """By their names in lower case; several lines of one header are one list (RFC 9110 §5.3)."""

    def getall(self, name: str, default: list[str]) -> list[str]:
        """As the framework's own."""
        return [self[name]] if name in self else default


class DirectRequest:
    """What a handler reads of a request, in the framework's words."""

    __slots__ = ("_begun", "_receive", "headers", "scope")

    def __init__(self, scope: HTTPScope, receive: Receive, headers: Headers) -> None:
        self.scope = scope
        self.headers = headers
        self._receive = receive
        self._begun: Any = None

    async def whole(self, size_bytes: int | None) -> bytes | None:
        """A body of this size if it comes in one piece, as small ones do; else None, and `stream`
        has all of it. Its end is not waited for: some servers tell of it in a message of its own.
        """
        self._begun = await self._next()
        body: bytes = self._begun.get("body", b"")
        return body if len(body) == size_bytes else None

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        while True:
            message = self._begun or await self._next()
            self._begun = None
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    async def _next(self) -> Any:
        message: Any = await self._receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput.at("", "length", "The body ended early.")
        return message


#: What handlers are asked by: both ways look the same to them.
Asked: TypeAlias = AnyRequest | DirectRequest
#: None: this request is better served the long way; nothing has been done.
Serve: TypeAlias = Callable[
    [DirectRequest, str, str | None], Awaitable["Answer | RawAnswer | None"]
]


class RawAnswer(msgspec.Struct, frozen=True):
    """An answer as it goes out, so that it can be given again without being made again."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, answer: Answer) -> "RawAnswer":
        """The answer with its length."""
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
            if answer.status != HTTPStatus.NOT_MODIFIED or name != "Content-Type"
        ]
        # 304 has the headers of an answer that is not sent (RFC 9110 §15.4.5), also its length.
        if answer.status != HTTPStatus.NOT_MODIFIED:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        return cls(answer.status, headers, answer.body)


class DirectRoute(msgspec.Struct, frozen=True):
    """One operation. `path` is the framework's template of it, whose only parameter, if it has
    one, is a segment: `serve` gets it as it was sent, and the namespace if one was named.
    """

    method: str
    path: str
    serve: Serve
    writes: bool = False


class DirectRoutes:
    """Finds the route of a request without a walk over its segments."""

    def __init__(self, routes: Sequence[DirectRoute]) -> None:
        #: By method and path, or what stands before and after the segment that may be anything.
        self._routes: dict[tuple[str, str, str], DirectRoute] = {}
        self._endings: set[str] = set()
        for each in routes:
            before, parameter, rest = each.path.partition("/{")
            ending = rest.partition("}")[2].removeprefix("/")
            self._routes[each.method, before, ending if parameter else EXACT] = each
            self._endings.add(ending)

    def find(self, scope: HTTPScope) -> tuple[DirectRoute, str, str | None] | None:
        """The route, the segment and the namespace; None for a request that goes the long way."""
        path, method = scope["path"], scope["method"]
        segment = ""
        route = self._routes.get((method, path, EXACT))
        if route is None:
            before, _, segment = path.rpartition("/")
            ending = ""
            if segment in self._endings:
                ending = segment
                before, _, segment = before.rpartition("/")
            route = self._routes.get((method, before, ending))
            if route is None or not segment:
                return None
        query = scope["query_string"]
        if not query:
            return route, segment, None
        named = _NAMESPACE_ALONE.fullmatch(query)
        return (route, segment, named[1].decode()) if named else None


#: In the place of an ending: there is no parameter.
EXACT = "="
