"""One request as an operation reads it. Who parsed it, the framework or the fast path, is unknown
to the operation.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from blake3 import blake3
from litestar.types import HTTPScope, Receive

from orchestrator.core.database import Database
from orchestrator.errors import InvalidInput, TooLarge
from orchestrator.errors_request import UnsupportedMediaType, UnsupportedTransferCoding
from orchestrator.handlers.http.reply import JSON
from orchestrator.models.idempotency import IdempotentCall
from orchestrator.models.name import parse_namespace
from orchestrator.models.principal import Actor, Principal

#: Besides the body, what makes a repeated request another one.
FINGERPRINTED = ("content-type", "if-match", "if-none-match")
#: What a signed integer of eight bytes can hold, whatever the digits.
LENGTH_DIGITS_MAX = 18
CHUNKED = "chunked"
KEY_PATTERN = r"[\x21-\x7e]{1,255}"
_KEY = re.compile(KEY_PATTERN)


class Call:
    """Made once, at the edge of a handler. The body can be read once."""

    __slots__ = (
        *("_deadline", "_receive"),
        *("by", "headers", "method", "namespace", "path", "principal", "query"),
    )

    def __init__(
        self,
        scope: HTTPScope,
        receive: Receive,
        headers: Mapping[str, str],
        namespace: str | None = None,
    ) -> None:
        """The edge has put into the scope who calls; `namespace` is what the query says."""
        self.method: str = scope["method"]
        #: As it was sent: a slash that is encoded stays inside its segment.
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        #: By their names in lower case; several lines of one header are one list.
        self.headers = headers
        self.principal: Principal = scope["user"]
        self.by: Actor = scope["auth"]
        #: The one that the query names, else the caller's own.
        self.namespace = (
            self.principal.namespace if namespace is None else parse_namespace(namespace)
        )
        self._receive = receive
        self._deadline: float | None = None

    def deadline(self, database: Database) -> float:
        """When all steps of it together have waited long enough for the database, by the clock of
        the event loop.
        """
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + database.acquire_seconds_max
        return self._deadline

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Within this block it waits for something else: its deadline is later by that time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            if self._deadline is not None:
                self._deadline += loop.time() - began

    @property
    def declared_length(self) -> int | None:
        """What the request says of the length of its body; None for a chunked one."""
        declared = self.headers.get("content-length")
        if declared is None:
            return None
        digits = declared.lstrip("0")
        if not declared.isdecimal() or len(digits) > LENGTH_DIGITS_MAX:
            message = f"Content-Length is a number of at most {LENGTH_DIGITS_MAX} digits."
            raise InvalidInput.at("/Content-Length", "content-length", message)
        return int(digits or "0")

    def chunks(self, bytes_max: int, kind: str = "request body") -> AsyncGenerator[bytes, None]:
        """The body as it comes; refused at once by its length, or once it is over the limit."""
        if self.headers.get("content-encoding", "identity") != "identity":
            raise UnsupportedMediaType(self.headers["content-encoding"], ["identity"])
        declared = self.declared_length
        if declared is not None and declared > bytes_max:
            raise TooLarge(kind, bytes_max, declared)
        return self._chunks(declared, bytes_max, kind)

    async def _chunks(
        self, declared: int | None, bytes_max: int, kind: str
    ) -> AsyncGenerator[bytes, None]:
        size, more = 0, True
        while more:
            message: Any = await self._receive()
            if message["type"] == "http.disconnect":
                raise InvalidInput.at("", "length", "The body ended early.")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > bytes_max:
                raise TooLarge(kind, bytes_max)
            # A body that is all there has ended: some servers say so in a message of its own only
            # later.
            more = message.get("more_body", False) and size != declared
            if chunk:
                yield chunk
        if declared is not None and size < declared:
            raise InvalidInput.at("", "length", "The body ended early.")

    async def read(self, bytes_max: int, kind: str = "request body") -> bytes:
        """The whole body."""
        chunks = [chunk async for chunk in self.chunks(bytes_max, kind)]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def left(self) -> None:
        """Return when the caller has closed the connection. The body must have been read."""
        message: Any = None
        while message is None or message["type"] != "http.disconnect":
            message = await self._receive()

    async def read_json(self, bytes_max: int) -> bytes:
        """A body that says it is JSON, not yet parsed."""
        given = self.headers.get("content-type", "")
        if given.partition(";")[0].strip().lower() != JSON:
            raise UnsupportedMediaType(given, [JSON])
        return await self.read(bytes_max)

    def idempotent(self, body: bytes = b"", *, dry_run: bool = False) -> IdempotentCall | None:
        """What `Idempotency-Key` makes of this request; None without the header, and for a dry run,
        which may be made any number of times.
        """
        key = self.headers.get("idempotency-key")
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            message = "An Idempotency-Key has 1 to 255 printable ASCII characters without spaces."
            raise InvalidInput.at("/Idempotency-Key", "idempotency-key", message)
        if dry_run:
            return None
        line = f"{self.method} {self.path}?".encode() + self.query + b"\n"
        named = [self.headers.get(name, "") for name in FINGERPRINTED]
        said = blake3(line + "\n".join([*named, ""]).encode())
        return IdempotentCall(
            by=self.by,
            key=key,
            fingerprint=said.update(body).digest(),
        )


def check_transfer_coding(headers: Mapping[str, str]) -> None:
    """Refuse a body that is encoded for its way by more than `chunked`, which the server
    has taken off (RFC 9112 §6.1).
    """
    given = headers.get("transfer-encoding")
    if given is None or given == CHUNKED:
        return
    codings = [each.strip().lower() for each in given.split(",")]
    if "" in codings or codings.count(CHUNKED) > 1:
        message = "Transfer-Encoding is a list of codings with `chunked` once, at its end."
        raise InvalidInput.at("/Transfer-Encoding", "transfer-encoding", message)
    if codings != [CHUNKED]:
        raise UnsupportedTransferCoding(given, [CHUNKED])


def headers_of(scope: HTTPScope) -> dict[str, str]:
    """By their names in lower case; several lines of one header are one list (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
