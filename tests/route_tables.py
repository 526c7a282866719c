"""Routes that are written down and registered once in a process, for every application.

That is nine tenths of what building an application costs, and comes out the same each time. The
rest is built anew for each application, by the product's own code: its database, services,
handlers, caches and batches are nobody else's.
"""

import copy
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import CellType, FunctionType, MethodType
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class RouteTable:
    """The framework's application, whose handlers are those of the graph that was put in last."""

    def __init__(self, handlers: Sequence[HTTPRouteHandler], options: dict[str, Any]) -> None:
        self.options = options
        self.paths = [handler.paths for handler in handlers]
        self.app = Litestar(
            route_handlers=handlers,
            before_request=self._before_request,
            lifespan=[self._lifespan],
            **options,
        )
        index = {id(handler.fn): number for number, handler in enumerate(handlers)}
        routes = [route for route in self.app.routes if isinstance(route, HTTPRoute)]
        #: The framework registers copies of what it is given, and adds handlers of its own.
        self._registered = [
            (handler, index[id(handler.fn)])
            for route in routes
            for handler in route.route_handlers
            if id(handler.fn) in index
        ]
        assert {number for _, number in self._registered} == set(range(len(handlers)))

    def put(
        self,
        handlers: Sequence[HTTPRouteHandler],
        before_request: Callable[..., Any],
        lifespan: Lifespan,
        ended: Callable[["RouteTable"], None],
    ) -> None:
        """From now on it calls these."""
        self._admit, self._run, self._ended = before_request, lifespan, ended
        for registered, number in self._registered:
            registered._fn = handlers[number].fn

    async def _before_request(self, request: Any) -> Any:
        return await self._admit(request)

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncIterator[None]:
        try:
            async with self._run(app):
                yield
        finally:
            self._ended(self)


class RouteTables:
    """Makes the framework's applications; those whose lifespan has ended are used again."""

    def __init__(self) -> None:
        self.made = 0
        self._free: list[RouteTable] = []

    def __call__(
        self,
        *,
        route_handlers: Sequence[HTTPRouteHandler],
        before_request: Callable[..., Any],
        lifespan: Sequence[Lifespan],
        **options: Any,
    ) -> Litestar:
        """What the constructor of Litestar returns."""
        table = self._take(route_handlers, options)
        (run,) = lifespan
        table.put(route_handlers, before_request, run, self._give_back)
        return table.app

    def _take(self, handlers: Sequence[HTTPRouteHandler], options: dict[str, Any]) -> RouteTable:
        paths = [handler.paths for handler in handlers]
        for table in self._free:
            if table.options == options and table.paths == paths:
                self._free.remove(table)
                return table
        self.made += 1
        return RouteTable(handlers, options)

    def _give_back(self, table: RouteTable) -> None:
        if table not in self._free:
            self._free.append(table)


class WrittenOnce:
    """A function of `routes/`: what it returned for one handler, it returns for every other one."""

    def __init__(self, write: Callable[..., list[HTTPRouteHandler]]) -> None:
        self._write = write
        self._first: tuple[object, ...] = ()
        self._routes: list[HTTPRouteHandler] = []

    def __call__(self, *handlers: object) -> list[HTTPRouteHandler]:
        """The routes, which call these handlers."""
        if not self._routes:
            self._first, self._routes = handlers, self._write(*handlers)
        return [self._leading_to(handlers, each) for each in self._routes]

    def _leading_to(
        self, handlers: tuple[object, ...], route: HTTPRouteHandler
    ) -> HTTPRouteHandler:
        written: Any = route.fn
        cells = tuple(self._cell(each.cell_contents, handlers) for each in written.__closure__)
        function = FunctionType(
            written.__code__, written.__globals__, written.__name__, written.__defaults__, cells
        )
        vars(function).update(vars(written))
        function.__annotations__ = written.__annotations__
        found = copy.copy(route)
        found._fn = function
        return found

    def _cell(self, content: object, handlers: tuple[object, ...]) -> CellType:
        """The method of the first handler becomes the same method of the other one."""
        if isinstance(content, MethodType):
            content = getattr(handlers[self._first.index(content.__self__)], content.__name__)
        return CellType(content)
