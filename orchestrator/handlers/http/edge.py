"""The outermost ASGI layer: what holds for every request, before any route is looked for.

Correlation id, Host and Origin checks, authentication, raw-path routing, limits of the body, the
access line and the request metrics. One layer and one pass over the headers, because each
middleware costs every request. It calls the operations of the fast path itself.
"""

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from itertools import count
from secrets import token_hex
from time import perf_counter
from typing import Any, cast

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from orchestrator.errors import DomainError
from orchestrator.handlers.http.admission import Admission
from orchestrator.handlers.http.authentication import Authenticator
from orchestrator.handlers.http.call import Call, check_transfer_coding, headers_of
from orchestrator.handlers.http.cors import METHODS, PREFLIGHT, readable_by
from orchestrator.handlers.http.encoding import Encodings
from orchestrator.handlers.http.fast_path import FastPath, FoundRoute
from orchestrator.handlers.http.framework import REPLY
from orchestrator.handlers.http.origin import Origins
from orchestrator.handlers.http.paths import HEAD, OPTIONS, Paths
from orchestrator.handlers.http.problem import defect, problem_answer, refusal
from orchestrator.handlers.http.reply import (
    PIECE_BYTES,
    EncodedAnswer,
    Reply,
    StreamedAnswer,
    encoded_headers,
    send_sliced,
)
from orchestrator.handlers.http.request_body import BodyLimits, RequestBody
from orchestrator.handlers.http.unread import reason_unread
from orchestrator.models.idempotency import Answer
from orchestrator.models.principal import Actor
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
#: A browser must not guess the type of an answer, tell others where it was, or show it inside of
#: another page.
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
)
CLOSE = ((b"connection", b"close"),)
#: Refusals that say what the path would take.
TELLING = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE})
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Edge:
    """Wraps the application. Refuses what must not reach a route, and calls the fast routes."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        *,
        fast_path: FastPath,
        paths: Paths,
        admission: Admission,
        origins: Origins,
        body_limits: BodyLimits,
        encodings: Encodings,
        send_seconds_max: float,
        access_log: bool,
    ) -> None:
        self.app = app
        self._authenticator = authenticator
        self.fast_path = fast_path
        self._paths = paths
        self._admission = admission
        self._origins = origins
        self._always = (*SECURITY_HEADERS, *origins.vary)
        self._body_limits = body_limits
        self._encodings = encodings
        #: For each piece of a long answer.
        self._send_seconds_max = send_seconds_max
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
        headers = headers_of(scope)
        correlation = self._correlation_id(headers)
        token = logs.correlation_id.set(correlation)
        added = ((b"x-correlation-id", correlation.encode("ascii")), *self._always)
        body = self._body_limits.body(headers, receive)
        outcome = _Outcome(added, body, scope["method"])
        try:
            await self._serve(scope, headers, correlation, body or receive, send, outcome)
        except Exception as error:
            if not outcome.status:
                raise
            # The answer had begun, so there can be no other. To end without its last message makes
            # the server close the connection, and the caller sees that it is not whole.
            log.warning("answer cut short", cause=repr(error.__cause__ or error))
            body = None
        finally:
            self._observe(scope, outcome, perf_counter() - started)
            logs.correlation_id.reset(token)
        if body is not None and not body.has_ended:
            await body.let_sender_end()

    async def _serve(
        self,
        scope: HTTPScope,
        headers: dict[str, str],
        correlation: str,
        receive: Receive,
        send: Send,
        outcome: "_Outcome",
    ) -> None:
        # Routes see the path as it was sent: an encoded slash stays inside its segment.
        raw_path: bytes = scope.get("raw_path") or b""
        if raw_path:
            scope["path"] = raw_path.partition(b"?")[0].decode("latin-1")
        scope["user"] = scope["auth"] = None
        try:
            if "extensions" in scope and (unread := reason_unread(scope)):
                raise unread
            check_transfer_coding(headers)
            other = self._origins.check(headers, scope["scheme"], scope["http_version"])
            if other is not None:
                outcome.added += readable_by(other)
                if scope["method"] == OPTIONS and "access-control-request-method" in headers:
                    await outcome.send(PREFLIGHT, send)
                    return
            if scope["path"] not in PUBLIC_PATHS:
                principal = self._authenticator.authenticate(headers.get("authorization"))
                scope["user"], scope["auth"] = principal, Actor(principal.name, correlation)
        except DomainError as error:
            await outcome.send(problem_answer(error, scope["path"]), send)
            return
        found = self.fast_path.find(scope)
        if found is None:
            await self._serve_by_framework(scope, headers, receive, send, outcome)
            return
        outcome.route = found.route.path
        reply = await self._reply(scope, receive, headers, found)
        await self._send(reply, headers, send, outcome)

    async def _send(
        self, reply: Reply, headers: Mapping[str, str], send: Send, outcome: "_Outcome"
    ) -> None:
        accepted = headers.get("accept-encoding")
        if isinstance(reply, Answer):
            if outcome.is_read:
                reply = await self._encodings.of(reply, accepted)
            reply = EncodedAnswer.of(reply)
        elif isinstance(reply, StreamedAnswer) and outcome.is_read:
            reply = self._encodings.streamed(reply, accepted)
        if isinstance(reply, StreamedAnswer) or len(reply.body) > PIECE_BYTES:
            await reply.send(self._watched(send, outcome))
        else:
            await outcome.send(reply, send)

    async def _serve_by_framework(
        self,
        scope: HTTPScope,
        headers: Mapping[str, str],
        receive: Receive,
        send: Send,
        outcome: "_Outcome",
    ) -> None:
        path, method = scope["path"], scope["method"]
        place = self._paths.find(path)
        if place is None:
            await outcome.send(self._paths.nowhere(path), send)
            return
        outcome.route = place.path
        if (told := place.answer(method, path)) is not None:
            await outcome.send(told, send)
            return
        if method == OPTIONS:
            outcome.added += _encoded(place.headers)
        # A HEAD without an operation is a GET without a body.
        routed: dict[str, Any] = {**scope, "method": method if method in place.own else "GET"}
        await self.app(cast("HTTPScope", routed), receive, self._watched(send, outcome))
        reply: Reply | None = routed.get(REPLY)
        if reply is not None:  # Else the framework has answered by itself.
            if reply.status in TELLING:
                outcome.added += _encoded(place.told_with(reply.status))
            await self._send(reply, headers, send, outcome)

    async def _reply(
        self, scope: HTTPScope, receive: Receive, headers: dict[str, str], found: FoundRoute
    ) -> Reply:
        """What the framework does around a handler, for those that are called without it."""
        route = found.route
        try:
            if route.writes:
                await self._admission.admit_write(scope["user"])
            call = Call(scope, receive, headers, found.namespace)
            return await route.operation(call, *found.segments)
        except DomainError as error:
            return refusal(error, scope["path"])
        except Exception as error:  # noqa: BLE001 - it is answered and logged here.
            return defect(error, scope["path"])

    def _watched(self, send: Send, outcome: "_Outcome") -> Send:
        seconds = self._send_seconds_max
        is_long = False

        async def watched(message: Message) -> None:
            nonlocal is_long
            if message["type"] == "http.response.start":
                outcome.status = message["status"]
                await outcome.settle_body()
                message["headers"] = [*message.get("headers", ()), *outcome.added]
                await send(message)
            elif outcome.is_head:
                if not message.get("more_body"):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif is_long or message.get("more_body"):
                # Who takes nothing of a long answer must not hold its pieces in memory for ever.
                is_long = True
                async with asyncio.timeout(seconds):
                    await send(message)
            elif len(body := cast("bytes", message.get("body", b""))) > PIECE_BYTES:
                await send_sliced(watched, body)
            else:
                await send(message)

        return watched

    def _correlation_id(self, headers: Mapping[str, str]) -> str:
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


def _encoded(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(encoded_headers(headers))


class _Outcome:
    """What became of a request, and the headers that its answer has in any case."""

    __slots__ = ("_body", "added", "is_head", "is_read", "route", "status")

    def __init__(
        self, added: tuple[tuple[bytes, bytes], ...], body: RequestBody | None, method: str
    ) -> None:
        self.added = added
        self._body = body
        #: The answer has no body then.
        self.is_head = method == HEAD
        self.is_read = self.is_head or method == "GET"
        self.route = ""
        self.status = 0

    async def send(self, reply: Answer | EncodedAnswer, send: Send) -> None:
        """A whole answer."""
        encoded = reply if isinstance(reply, EncodedAnswer) else EncodedAnswer.of(reply)
        if self.is_head:
            encoded = msgspec.structs.replace(encoded, body=b"")
        self.status = encoded.status
        await self.settle_body()
        await encoded.send(send, self.added)

    async def settle_body(self) -> None:
        """Before an answer begins: it says so if the connection cannot be used after it."""
        body = self._body
        if body is not None and not body.has_ended and not await body.drained():
            self.added += CLOSE
