"""How routes are written down: each with its path, its operation and its description.

Each route is written out whole, also where it resembles its neighbour: one place shows all of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation

from orchestrator.handlers.http.framework import (
    PATCH_TYPES,
    HandlerMethod,
    RouteFunction,
    operation,
)
from orchestrator.handlers.http.paging import Page
from orchestrator.handlers.http.paths import Declared
from orchestrator.routes.openapi import answer, problems

Answers: TypeAlias = Mapping[int, ResponseSpec]


class Resource:
    """Routes that stand under one heading of the documentation, with what they have in common."""

    def __init__(
        self,
        heading: str,
        adapt: Callable[[Any], RouteFunction] = operation,
        *,
        public: bool = False,
        **options: Any,
    ) -> None:
        self._heading = heading
        self._adapt = adapt
        self._public = public
        self._options = {**options, "security": [{}]} if public else options

    def route(
        self,
        http_method: str | Sequence[str],
        path: str | Sequence[str],
        method: HandlerMethod,
        operation_id: Any,
        summary: str,
        answers: Answers,
        *,
        refuses: Sequence[int] = (),
        reads: type[Operation] = Operation,
        **options: Any,
    ) -> HTTPRouteHandler:
        """The first of the answers is the usual one. `refuses` are the problems that not every
        operation has, `reads` describes headers and body.
        """
        refusals = problems(*refuses, public=self._public)
        made = route(
            path,
            http_method=http_method,  # type: ignore[arg-type]  # It wants the names as literals.
            operation_id=operation_id,
            operation_class=reads,
            summary=summary,
            tags=[self._heading],
            status_code=next(iter(answers)),
            responses={**answers, **refusals, **answers},
            **{**self._options, **options},
        )
        return made(self._adapt(method))

    def get(self, *described: Any, **more: Any) -> HTTPRouteHandler:
        """As `route`, for reading."""
        return self.route("GET", *described, **more)

    def post(self, *described: Any, **more: Any) -> HTTPRouteHandler:
        """As `route`, for what is done anew each time."""
        return self.route("POST", *described, **more)


def declared(routes: Iterable[HTTPRouteHandler]) -> Iterator[Declared]:
    """What there is, as the edge tells it."""
    for each in routes:
        for path in each.paths:
            types = tuple(map(str, each.opt.get(PATCH_TYPES, ())))
            yield Declared(path.replace(":str}", "}"), tuple(each.http_methods), types)


def ok(container: Any, example: Any, description: str) -> dict[int, ResponseSpec]:
    """One usual answer, of this type."""
    return {200: answer(container, example, description)}


def page(item: Any, example: Any) -> dict[int, ResponseSpec]:
    """One page of a list of these."""
    return ok(Page[item], example, "A page.")
