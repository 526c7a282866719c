"""The outermost ASGI layer: what holds for every request, before any route is looked for.

Correlation id, Host and Origin checks, authentication, raw-path routing, body deadline, the
access line and the request metrics. One layer and one pass over the headers, because each
middleware costs every request.
"""

import asyncio
import re
from collections.abc import MutableMapping
from time import perf_counter
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from orchestrator import logs, metrics
from orchestrator.errors import BodyTooSlow, DomainError, Forbidden
from orchestrator.handlers.authentication import Authenticator
from orchestrator.handlers.problem import problem_answer

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
_WANTED = frozenset({b"host", b"origin", b"authorization", b"x-correlation-id", b"x-request-id"})
_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
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
    """Wraps the application. Refuses what must not reach a route."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        *,
        allowed_hosts: tuple[str, ...],
        allowed_origins: tuple[str, ...],
        pace: Pace,
        access_log: bool,
    ) -> None:
        self.app = app
        self._authenticator = authenticator
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._origins = frozenset(origin.lower() for origin in allowed_origins)
        self._pace = pace
        self._access_log = access_log
        self._observers: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the lifespan is the application's own."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        headers = {name: value for name, value in scope["headers"] if name in _WANTED}
        correlation = _correlation_id(headers)
        token = logs.correlation_id.set(correlation)
        outcome: dict[str, int] = {}
        try:
            await self._serve(scope, headers, receive, self._answering(send, correlation, outcome))
        except Exception as error:
            if "status" not in outcome:
                raise
            # The answer had begun, so there can be no other. To end without its last message makes
            # the server close the connection, and the caller sees that it is not whole.
            log.warning("answer cut short", cause=repr(error.__cause__ or error))
        finally:
            self._observe(scope, outcome.get("status", 0), perf_counter() - started)
            logs.correlation_id.reset(token)

    async def _serve(
        self, scope: HTTPScope, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        # Routes see the path as it was sent: an encoded slash stays inside its segment.
        raw_path: bytes = scope.get("raw_path") or b""
        if raw_path:
            scope["path"] = raw_path.partition(b"?")[0].decode("latin-1")
        try:
            self._check_host(headers)
            self._check_origin(headers)
            scope["user"] = None
            if scope["path"] not in PUBLIC_PATHS:
                scope["user"] = self._authenticator.authenticate(headers.get(b"authorization"))
        except DomainError as error:
            await _refuse(error, scope["path"], send)
            return
        await self.app(scope, _Paced(receive, self._pace), send)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        """A page that rebinds its own name to our address must not be answered."""
        host = _PORT.sub("", headers.get(b"host", b"").decode("latin-1")).lower()
        if self._hosts and host not in self._hosts:
            raise Forbidden(f"This server is not known as {host!r}.")

    def _check_origin(self, headers: dict[bytes, bytes]) -> None:
        """Only pages of our own origin, or of one that was allowed, may send requests."""
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if not origin or origin in self._origins:
            return
        if origin.partition("://")[2] != headers.get(b"host", b"").decode("latin-1").lower():
            raise Forbidden(f"Requests from pages of {origin!r} are not allowed.")

    def _answering(self, send: Send, correlation: str, outcome: dict[str, int]) -> Send:
        added = ((b"x-correlation-id", correlation.encode("ascii")), *SECURITY_HEADERS)
        seconds = self._pace.send_seconds_max

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                outcome["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), *added]
            elif message.get("more_body"):
                # Who takes nothing of a long answer must not hold its pieces in memory for ever.
                async with asyncio.timeout(seconds):
                    await send(message)
                return
            await send(message)

        return answer

    def _observe(self, scope: HTTPScope, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or "unmatched")
        # Anybody may invent methods; they must not make a series each.
        method = str(scope["method"]) if scope["method"] in METHODS else "other"
        key = (method, route, status)
        observer = self._observers.get(key)
        if observer is None:
            count = metrics.REQUESTS.labels(method, route, status)
            observer = count.inc, metrics.SECONDS.labels(method, route).observe
            self._observers[key] = observer
        count_one, observe = observer
        count_one()
        observe(seconds)
        if self._access_log:
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=round(seconds * 1000, 3),
            )


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


def _correlation_id(headers: dict[bytes, bytes]) -> str:
    """The caller's, if it is harmless to log and return; else a new one."""
    given = headers.get(b"x-correlation-id") or headers.get(b"x-request-id")
    if given is not None and _CORRELATION_ID.fullmatch(given):
        return given.decode("ascii")
    return uuid4().hex


async def _refuse(error: DomainError, path: str, send: Send) -> None:
    answer = problem_answer(error, path)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    start: MutableMapping[str, Any] = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": headers,
    }
    await send(start)  # type: ignore[arg-type]
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
