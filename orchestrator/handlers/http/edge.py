"""The outermost ASGI layer: what holds for every request, before any route is looked for.

Correlation id, Host and Origin checks, authentication, raw-path routing, body deadline, the
access line and the request metrics. One layer and one pass over the headers, because each
middleware costs every request. It calls the handlers of the direct routes itself.
"""

import asyncio
import re
from itertools import count
from secrets import token_hex
from time import perf_counter
from typing import Any

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from orchestrator.errors import BodyTooSlow, DomainError, Forbidden
from orchestrator.handlers.http.admission import Admission
from orchestrator.handlers.http.authentication import Authenticator
from orchestrator.handlers.http.direct import (
    DirectRequest,
    DirectRoute,
    DirectRoutes,
    Headers,
    RawAnswer,
)
from orchestrator.handlers.http.problem import defect, problem_answer, refusal
from orchestrator.models.idempotency import Answer
from orchestrator.telemetry import logs, metrics

log = structlog.get_logger()

#: Everything else needs a token.
PUBLIC_PATHS = frozenset(
    {
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/schema",
        "/schema/openapi.json",
        "/api/v1/schemas/workflow",
    }
)
#: A browser must neither guess the type of an answer nor tell others where it was.
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_PORT = re.compile(r":\d*$")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a request body must come, and an answer be taken."""

    #: Each window must bring so many bytes, or the end of the body. A short body has one window.
    window_seconds: float
    window_bytes_min: int
    total_seconds_max: float
    #: For each piece of a long answer.
    send_seconds_max: float


class Edge:
    """Wraps the application. Refuses what must not reach a route, and finds the direct routes."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        *,
        direct: DirectRoutes,
        admission: Admission,
        allowed_hosts: tuple[str, ...],
        allowed_origins: tuple[str, ...],
        pace: Pace,
        access_log: bool,
    ) -> None:
        self.app = app
        self._authenticator = authenticator
        self._direct = direct
        self._admission = admission
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._origins = frozenset(origin.lower() for origin in allowed_origins)
        self._pace = pace
        self._access_log = access_log
        # Not secret, only distinct; a random number for each request costs a system call.
        self._correlation_prefix = token_hex(8)
        self._correlations = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the lifespan is the application's own."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        headers = _headers_of(scope)
        correlation = self._correlation_id(headers)
        token = logs.correlation_id.set(correlation)
        outcome = _Outcome(((b"x-correlation-id", correlation.encode("ascii")), *SECURITY_HEADERS))
        try:
            await self._serve(scope, headers, receive, send, outcome)
        except Exception as error:
            if not outcome.status:
                raise
            # The answer had begun, so there can be no other. To end without its last message makes
            # the server close the connection, and the caller sees that it is not whole.
            log.warning("answer cut short", cause=repr(error.__cause__ or error))
        finally:
            self._observe(scope, outcome, perf_counter() - started)
            logs.correlation_id.reset(token)

    async def _serve(
        self, scope: HTTPScope, headers: Headers, receive: Receive, send: Send, outcome: "_Outcome"
    ) -> None:
        # Routes see the path as it was sent: an encoded slash stays inside its segment.
        raw_path: bytes = scope.get("raw_path") or b""
        if raw_path:
            scope["path"] = raw_path.partition(b"?")[0].decode("latin-1")
        try:
            if self._hosts and not self._is_known(headers.get("host", "")):
                raise Forbidden(f"This server is not known as {headers.get('host', '')!r}.")
            if "origin" in headers:
                self._check_origin(headers)
            scope["user"] = None
            if scope["path"] not in PUBLIC_PATHS:
                scope["user"] = self._authenticator.authenticate(headers.get("authorization"))
        except DomainError as error:
            await outcome.send(problem_answer(error, scope["path"]), send)
            return
        if (found := self._direct.find(scope)) is not None:
            route, segment, namespace = found
            asked = _Paced(receive, self._pace) if route.writes else receive
            request = DirectRequest(scope, asked, headers)
            answer = await self._answer(request, route, segment, namespace)
            if answer is not None:
                outcome.route = route.path
                await outcome.send(answer, send)
                return
        await self.app(scope, _Paced(receive, self._pace), self._answering(send, outcome))

    async def _answer(
        self, request: DirectRequest, route: DirectRoute, segment: str, namespace: str | None
    ) -> Answer | RawAnswer | None:
        """What the framework does around a handler, for those that are called without it."""
        try:
            if route.writes:
                await self._admission.admit_write(request)
            return await route.serve(request, segment, namespace)
        except DomainError as error:
            return refusal(error, request.scope["path"])
        except Exception as error:  # noqa: BLE001 - it is answered and logged here.
            return defect(error, request.scope["path"])

    def _is_known(self, host: str) -> bool:
        """A page that rebinds its own name to our address must not be answered."""
        return host in self._hosts or _PORT.sub("", host).lower() in self._hosts

    def _check_origin(self, headers: Headers) -> None:
        """Only pages of our own origin, or of one that was allowed, may send requests."""
        origin = headers["origin"].lower()
        if not origin or origin in self._origins:
            return
        if origin.partition("://")[2] != headers.get("host", "").lower():
            raise Forbidden(f"Requests from pages of {origin!r} are not allowed.")

    def _answering(self, send: Send, outcome: "_Outcome") -> Send:
        seconds = self._pace.send_seconds_max

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                outcome.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *outcome.added]
            elif message.get("more_body"):
                # Who takes nothing of a long answer must not hold its pieces in memory for ever.
                async with asyncio.timeout(seconds):
                    await send(message)
                return
            await send(message)

        return answer

    def _correlation_id(self, headers: Headers) -> str:
        """The caller's, if it is harmless to log and return; else a new one."""
        given = headers.get("x-correlation-id") or headers.get("x-request-id")
        if given is not None and _CORRELATION_ID.fullmatch(given):
            return given
        return f"{self._correlation_prefix}{next(self._correlations):016x}"

    def _observe(self, scope: HTTPScope, outcome: "_Outcome", seconds: float) -> None:
        route = outcome.route or str(scope.get("path_template") or "unmatched")
        # Anybody may invent methods; they must not make a series each.
        method = str(scope["method"]) if scope["method"] in METHODS else "other"
        metrics.HTTP.observe(method, route, outcome.status, seconds)
        if self._access_log:
            logs.request(scope["method"], scope["path"], outcome.status, seconds)


class _Outcome:
    """What became of a request, and the headers that its answer has in any case."""

    __slots__ = ("added", "route", "status")

    def __init__(self, added: tuple[tuple[bytes, bytes], ...]) -> None:
        self.added = added
        self.route = ""
        self.status = 0

    async def send(self, answer: Answer | RawAnswer, send: Send) -> None:
        """A whole answer."""
        raw = answer if isinstance(answer, RawAnswer) else RawAnswer.of(answer)
        self.status = raw.status
        start: Any = {
            "type": "http.response.start",
            "status": raw.status,
            "headers": [*raw.headers, *self.added],
        }
        await send(start)
        await send({"type": "http.response.body", "body": raw.body, "more_body": False})


class _Paced:
    """A receive channel whose request body must come fast enough; after it, nothing is asked."""

    __slots__ = ("_brought", "_deadline", "_done", "_end", "_pace", "_receive")

    def __init__(self, receive: Receive, pace: Pace) -> None:
        self._receive = receive
        self._pace = pace
        self._deadline: float | None = None
        self._end = 0.0
        self._brought = 0
        self._done = False

    async def __call__(self) -> Any:
        if self._done:
            return await self._receive()
        pace = self._pace
        now = asyncio.get_running_loop().time
        if self._deadline is None:
            self._deadline = now() + pace.window_seconds
            self._end = now() + pace.total_seconds_max
        try:
            async with asyncio.timeout_at(min(self._deadline, self._end)):
                message = await self._receive()
        except TimeoutError:
            if self._end <= self._deadline:
                raise BodyTooSlow(pace.total_seconds_max) from None
            raise BodyTooSlow(pace.window_seconds, pace.window_bytes_min) from None
        self._done = message["type"] != "http.request" or not message.get("more_body", False)
        self._brought += len(message.get("body", b""))  # type: ignore[arg-type]
        if self._brought >= pace.window_bytes_min:
            self._deadline, self._brought = now() + pace.window_seconds, 0
        return message


def _headers_of(scope: HTTPScope) -> Headers:
    headers = Headers()
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
