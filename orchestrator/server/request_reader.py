"""Reads requests off a connection (RFC 9112): where each begins and ends, and what is refused."""

import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from orchestrator.errors import DomainError, InvalidInput
from orchestrator.errors_request import (
    HeadTooLarge,
    TargetTooLong,
    UnsupportedMethod,
    UnsupportedVersion,
)
from orchestrator.server import framing

VERSIONS = ("1.0", "1.1")
#: So much is parsed at a time, so that not more than this of a head goes by uncounted.
_PARSED_BYTES = 64 * 1024
_METHOD = re.compile(rb"[A-Z]+ ")
_GO_ON = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


class Receiver(Protocol):
    """Receives what was read, request by request."""

    def begin_request(
        self, scope: dict[str, Any], *, keeps_alive: bool, expects_continue: bool
    ) -> None:
        """A request, without its body: as ASGI describes it, whether another one may follow, and
        whether its body is sent only when somebody asks for it (RFC 9110 §10.1.1).
        """

    def add_body(self, piece: bytes) -> None:
        """Some of its body."""

    def end_request(self) -> None:
        """All of its body has come, if it has one."""

    def fail_request(self) -> None:
        """Its body cannot be read."""

    def refuse(self, scope: dict[str, Any], error: DomainError) -> None:
        """What came is no request; the scope has what is known of it."""


class RequestReader:
    """Heads and chunks are parsed by httptools (llhttp, the parser of Node.js), which is strict.
    Most of a body of known length goes past it, as it came.
    """

    __slots__ = (
        "_fields_max",
        "_has_head",
        "_head_bytes_max",
        "_headers",
        "_is_chunked",
        "_is_last",
        "_left",
        "_parser",
        "_parsing_bytes",
        "_pending_bytes",
        "_receiver",
        "_scope",
        "_target",
        "has_begun",
        "has_ended",
    )

    def __init__(
        self, receiver: Receiver, scope: dict[str, Any], *, head_bytes_max: int, fields_max: int
    ) -> None:
        """`scope` is what all requests of the connection have in common."""
        self._receiver = receiver
        self._scope = scope
        self._head_bytes_max = head_bytes_max
        self._fields_max = fields_max
        #: The beginning of a head is here, but not its end.
        self.has_begun = False
        #: There is no further request on this connection, whatever comes.
        self.has_ended = False
        self._parser = HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        #: What came since anything could be passed on: of a head, of chunk headers, of a trailer.
        self._pending_bytes = 0
        #: The same at the beginning of what is being parsed.
        self._parsing_bytes = 0
        #: The head of a request has been passed on, but not yet its end.
        self._has_head = False
        self._is_last = False
        self._is_chunked = False
        #: Of a body of known length, what is still to come.
        self._left = 0

    def end_after_this(self) -> None:
        """Let the request that has just begun be the last one."""
        self._is_last = True

    def feed(self, data: bytes) -> None:
        """Read on. What comes after the last request is left out."""
        while data and not self.has_ended:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self.on_body(piece)
                if not self._left:
                    self._end()
            elif len(data) <= _PARSED_BYTES:
                data = self._parse(data)
            else:
                data = self._parse(data[:_PARSED_BYTES]) + data[_PARSED_BYTES:]

    def _parse(self, data: bytes) -> bytes:
        """Returns what the parser has left."""
        self._pending_bytes += len(data)
        self._parsing_bytes = self._pending_bytes
        rest = b""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            # We change to no other protocol: HTTP/1.1 goes on (RFC 9110 §7.8).
            rest = data[upgrade.args[0] :]
            self._begin_parser()
        except HttpParserError as error:
            self._fail(error, data)
            return b""
        if self._left:
            # After the body, which goes past the parser, a request begins for a new one.
            self._begin_parser()
        if self._pending_bytes > self._head_bytes_max and not self.has_ended:
            self._stop(self._too_large())
        return rest

    def _begin_parser(self) -> None:
        self._parser = HttpRequestParser(self)
        if self._has_head and self._is_chunked:
            self._parser.feed_data(_GO_ON)

    # What the parser tells.

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._has_head:
            self.has_begun = True
            self._target, self._headers = b"", []

    def on_url(self, piece: bytes) -> None:
        """Some of its target."""
        if not self._has_head:
            self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of its head, or of a trailer, which nobody reads."""
        if not self._has_head:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head has ended."""
        if self._has_head or self.has_ended:
            return
        if self._parsing_bytes > self._head_bytes_max:  # Perhaps not all of it is the head.
            size = len(self._target) + sum(len(name) + len(text) for name, text in self._headers)
            if size > self._head_bytes_max:
                raise self._too_large()
        if len(self._headers) > self._fields_max:
            raise HeadTooLarge(limit=self._fields_max)
        self._begin()

    def on_body(self, piece: bytes) -> None:
        """Some of the body."""
        if not self._has_head:
            return
        self._pending_bytes = 0
        if self._left:
            self._left -= len(piece)
        self._receiver.add_body(piece)

    def on_chunk_header(self) -> None:
        """A chunk begins, or the trailer."""
        self._pending_bytes = 0

    def on_message_complete(self) -> None:
        """The request has ended, but the body of one that asks for another protocol comes now."""
        if self._has_head and not (
            self._parser.should_upgrade() and (self._left or self._is_chunked)
        ):
            self._end()

    def _end(self) -> None:
        self._pending_bytes = 0
        self._has_head = False
        self.has_ended = self._is_last
        self._receiver.end_request()

    def _begin(self) -> None:
        parser, fields = self._parser, dict(self._headers)
        version = parser.get_http_version()
        if version != "1.1":
            self._check_old(version, fields)
        method = parser.get_method().decode()
        if method == "CONNECT":
            raise UnsupportedMethod
        target = self._target if self._target[:1] == b"/" else self._path_of_target()
        raw_path, _, query = target.partition(b"?")
        path = raw_path.decode("latin-1")
        scope = self._scope.copy()
        scope["http_version"] = version
        scope["method"] = method
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        scope["headers"] = self._headers
        scope["state"] = {}
        keeps_alive = parser.should_keep_alive()
        length = fields.get(b"content-length")
        expects = fields.get(b"expect")
        self._left = 0 if length is None else int(length)
        self._is_chunked = b"transfer-encoding" in fields
        self._is_last = not keeps_alive
        self._pending_bytes = 0
        self._has_head, self.has_begun = True, False
        self._receiver.begin_request(
            scope,
            keeps_alive=keeps_alive,
            expects_continue=expects is not None
            and expects.lower() == b"100-continue"
            and version == "1.1",
        )

    def _check_old(self, version: str, fields: Mapping[bytes, bytes]) -> None:
        if version not in VERSIONS:
            raise UnsupportedVersion(version, VERSIONS)
        if b"transfer-encoding" in fields:
            message = "HTTP/1.0 has no Transfer-Encoding."
            raise InvalidInput.at("/Transfer-Encoding", "transfer-encoding", message)

    def _path_of_target(self) -> bytes:
        """Of a target in another form. The authority of an absolute one takes the place of Host
        (RFC 9112 §3.2.2).
        """
        try:
            authority, path = framing.authority_and_path(self._target)
        except ValueError as error:
            message = f"The target of a request is a path: {error}."
            raise InvalidInput.at("", "target", message) from None
        if authority is not None:
            self._headers = [each for each in self._headers if each[0] != b"host"]
            self._headers.append((b"host", authority))
        return path

    # What ends the reading.

    def _fail(self, error: HttpParserError, data: bytes) -> None:
        if self.has_ended:
            return  # What follows the last request is none.
        cause = error.__context__
        if self._has_head:
            self.has_ended = True
            self._receiver.fail_request()
        elif isinstance(cause, DomainError):
            self._stop(cause)
        elif cause is not None:
            raise cause
        elif isinstance(error, HttpParserInvalidMethodError) and _METHOD.match(data):
            self._stop(UnsupportedMethod())
        else:
            self._stop(InvalidInput.at("", "http", f"The request cannot be read: {error}."))

    def _stop(self, error: DomainError) -> None:
        self.has_ended = True
        if self._has_head:
            self._receiver.fail_request()
            return
        path = self._target.partition(b"?")[0][: framing.SHOWN_BYTES_MAX]
        scope = {
            **self._scope,
            "http_version": "1.1",
            "method": "",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": b"",
            "headers": [],
            "state": {},
        }
        self._receiver.refuse(scope, error)

    def _too_large(self) -> DomainError:
        limit = self._head_bytes_max
        if 2 * len(self._target) > limit:
            return TargetTooLong(limit)
        return HeadTooLarge(limit_bytes=limit)
