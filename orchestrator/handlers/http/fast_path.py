"""The fast path: the few operations that almost every request is are called without the framework.

The framework's routing, parameters and response objects cost a small request twice what it needs
otherwise (measured: docs/performance.md). A request that says more than its namespace in its query
goes through the framework; both ways call the same method of a handler with the same Call.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
from litestar.types import HTTPScope

from orchestrator.handlers.http.reply import Reply

_NAMESPACE_ALONE = re.compile(rb"namespace=([a-z0-9._/-]+)")
#: In the place of an ending: the path has no parameter.
EXACT = "="


class FastRoute(msgspec.Struct, frozen=True):
    """One operation. `path` is the framework's template of it. Its only parameter, if it has one,
    is a segment, which the operation is given as it was sent.
    """

    method: str
    path: str
    operation: Callable[..., Awaitable[Reply]]
    writes: bool = False


class FoundRoute(msgspec.Struct, frozen=True):
    """A route, and what the request says."""

    route: FastRoute
    segments: tuple[str, ...]
    namespace: str | None


class FastPath:
    """Finds the route of a request without a walk over its segments."""

    def __init__(self, routes: Sequence[FastRoute], exact: Collection[str] = ()) -> None:
        self.routes = tuple(routes)
        #: Paths that are routes of their own, and no names: `/cas/missing` is no blob.
        self.exact = frozenset(exact)
        #: By method and path, or what stands before and after the segment that may be anything.
        self._by_key: dict[tuple[str, str, str], FastRoute] = {}
        self._endings: set[str] = set()
        for each in routes:
            before, parameter, rest = each.path.partition("/{")
            ending = rest.partition("}")[2].removeprefix("/")
            self._by_key[each.method, before, ending if parameter else EXACT] = each
            self._endings.add(ending)

    def find(self, scope: HTTPScope) -> FoundRoute | None:
        """The route, the segment and the namespace; None: the framework is to serve it."""
        path, method = scope["path"], scope["method"]
        segments: tuple[str, ...] = ()
        route = self._by_key.get((method, path, EXACT))
        if route is None:
            before, _, segment = path.rpartition("/")
            ending = ""
            if segment and segment in self._endings:
                ending = segment
                before, _, segment = before.rpartition("/")
            route = self._by_key.get((method, before, ending))
            if route is None or not segment or path in self.exact:
                return None
            segments = (segment,)
        query = scope["query_string"]
        if not query:
            return FoundRoute(route, segments, None)
        named = _NAMESPACE_ALONE.fullmatch(query)
        return FoundRoute(route, segments, named[1].decode()) if named else None
