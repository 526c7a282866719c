"""How routes are written down: each with its path, its operation and its description.

Each route is written out whole, also where it resembles its neighbour: one place shows all of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from litestar import route
from litestar.handlers import HTTPRouteHandler
from msgspec.structs import replace

from orchestrator.handlers.http.admission import WRITES
from orchestrator.handlers.http.framework import (
    FREES_SPACE,
    PATCH_TYPES,
    HandlerMethod,
    RouteFunction,
    operation,
)
from orchestrator.handlers.http.paging import CountedPage, Page
from orchestrator.handlers.http.paths import Declared
from orchestrator.routes.openapi import (
    DESCRIPTIONS,
    NOTHING,
    Described,
    Operation,
    ProblemHeaders,
    Reads,
    answer,
    bytes_answer,
    no_body,
    not_modified,
    problems,
)
from orchestrator.routes.openapi_document import DESCRIBED, WORDED, addresses
from orchestrator.routes.openapi_headers import (
    CONTENT_RANGE,
    IF_CHANGED,
    IF_MATCH,
    LINK,
    LOCATION,
    OF_BLOBS_UNCHANGED,
    OF_READ,
    Header,
)


class Resource:
    """Routes that stand under one heading of the documentation, with what they have in common."""

    def __init__(
        self,
        heading: str,
        adapt: Callable[[Any], RouteFunction] = operation,
        *,
        public: bool = False,
        problem_headers: ProblemHeaders | None = None,
        **options: Any,
    ) -> None:
        self._heading = heading
        self._adapt = adapt
        self._public = public
        self._problem_headers = problem_headers
        self._options = options

    def route(
        self,
        http_method: str | Sequence[str],
        path: str | Sequence[str],
        method: HandlerMethod,
        operation_id: str | Callable[[str, str], str],
        summary: str,
        answers: dict[int, Described],
        *,
        refuses: Sequence[int] = (),
        reads: Reads = NOTHING,
        opt: dict[str, Any] | None = None,
    ) -> HTTPRouteHandler:
        """The first of the answers is the usual one. `refuses` are the problems that not every
        operation has, `reads` describes headers and body.
        """
        methods = [http_method] if isinstance(http_method, str) else http_method
        opt = opt or {}
        if 304 in answers:  # A client that has an entity tag may send it.
            refuses = (*refuses, 412)
            reads = replace(reads, headers=(IF_MATCH, IF_CHANGED, *reads.headers))
        refusals = problems(
            *refuses,
            public=self._public,
            writes=not WRITES.isdisjoint(methods),
            frees_space=bool(opt.get(FREES_SPACE)),
            more=self._problem_headers,
        )
        described = Operation(
            heading=self._heading,
            operation_id=operation_id,
            summary=summary,
            answers={**answers, **refusals, **answers},
            reads=reads,
            public=self._public,
        )
        made = route(
            path,
            http_method=http_method,  # type: ignore[arg-type]  # It wants the names as literals.
            status_code=next(iter(answers)),
            opt={**opt, DESCRIBED: described},
            **self._options,
        )
        return made(self._adapt(method))

    def get(self, *described: Any, **more: Any) -> HTTPRouteHandler:
        """A `route` for GET."""
        return self.route("GET", *described, **more)

    def post(self, *described: Any, **more: Any) -> HTTPRouteHandler:
        """A `route` for POST."""
        return self.route("POST", *described, **more)


def declared(routes: Iterable[HTTPRouteHandler]) -> Iterator[Declared]:
    """What there is, as the edge tells it."""
    for each in routes:
        types = tuple(map(str, each.opt.get(PATCH_TYPES, ())))
        beside = next(iter(each.paths)).replace(":str}", "}") if WORDED in each.opt else ""
        for path in addresses(each):
            yield Declared(path, tuple(each.http_methods), types, beside)


def ok(container: Any, example: Any, description: str, *headers: Header) -> dict[int, Described]:
    """One usual answer, of this type."""
    return {200: answer(container, example, description, *headers)}


def page(item: Any, example: Any) -> dict[int, Described]:
    """One page of a list of these."""
    return page_as(Page[item], example)


def counted_page(item: Any, example: Any) -> dict[int, Described]:
    """A page, with the number of all items if it is asked for."""
    return page_as(CountedPage[item], example)


def page_as(container: Any, example: Any) -> dict[int, Described]:
    """One page of a list, in a container of its own."""
    return ok(container, example, "A page.", *OF_READ, LINK) | not_modified()


def blob(description: str, headers: Sequence[Header]) -> dict[int, Described]:
    """The bytes of a blob, a part of them, where they are, or that the caller has them."""
    return {
        200: bytes_answer("any bytes", description, *headers),
        206: bytes_answer("any", "The requested part.", *headers, CONTENT_RANGE),
        307: no_body(DESCRIPTIONS[307], LOCATION),
    } | not_modified(*OF_BLOBS_UNCHANGED)
