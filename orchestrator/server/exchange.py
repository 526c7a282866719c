"""One request and its answer, between a connection and the application (ASGI 3.0)."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from orchestrator.server import framing

#: A longer piece of a body is not copied behind the head of its answer.
_JOINED_BYTES_MAX = 64 * 1024
_DISCONNECT = {"type": "http.disconnect"}


class ClientGone(OSError):
    """What is sent cannot arrive any more."""


class Wire(Protocol):
    """What an exchange needs of its connection."""

    #: Send, after all that was written before.
    write: Callable[[bytes], None]
    is_lost: bool
    #: More is written than the client has taken.
    is_full: bool

    @property
    def date_line(self) -> bytes:
        """The line `Date` of this second."""

    def write_all(self, *parts: bytes) -> None:
        """Send parts one after the other, without copying them into one."""

    async def drained(self) -> None:
        """Return when there is room to write; raises ClientGone."""

    def follow_reading(self) -> None:
        """Read on if there is room again."""

    def answered(self, exchange: "Exchange") -> None:
        """All of the answer has been written."""


class Exchange:
    """What was read of a request, and what was written of its answer.

    A body is kept until the application asks for it; the connection reads no further while it is
    too much.
    """

    __slots__ = (
        "_expects_continue",
        "_has_told_end",
        "_head",
        "_is_bodiless",
        "_is_chunked",
        "_left",
        "_pieces",
        "_waiter",
        "_wire",
        "body_bytes",
        "has_body_ended",
        "has_body_failed",
        "has_started",
        "is_answered",
        "keeps_alive",
        "scope",
    )

    def __init__(
        self, wire: Wire, scope: dict[str, Any], *, keeps_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        #: Whether another request may follow on the connection.
        self.keeps_alive = keeps_alive
        #: The body is sent only when it is asked for.
        self._expects_continue = expects_continue
        #: What is here of the body and was not asked for yet.
        self.body_bytes = 0
        self.has_body_ended = False
        #: The rest of the body will not come, or the client is gone.
        self.has_body_failed = False
        #: Something of the answer was written; all of it was.
        self.has_started = False
        self.is_answered = False
        self._wire = wire
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._has_told_end = False
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None
        #: Whatever the application says, no body is written.
        self._is_bodiless = False
        self._is_chunked = False
        #: Of the length that the answer announced.
        self._left: int | None = None

    # What the connection tells.

    def add_body(self, piece: bytes) -> None:
        """Some of the body has come."""
        self._pieces.append(piece)
        self.body_bytes += len(piece)
        self._wake()

    def end_body(self) -> None:
        """All of it has come."""
        self.has_body_ended = True
        self._wake()

    def fail(self) -> None:
        """Nothing more will come."""
        self.has_body_failed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the application asks.

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body; after its end, that the client is gone."""
        while not self._pieces:
            if self.has_body_ended and not self._has_told_end:
                self._has_told_end = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self.has_body_failed or (self._has_told_end and self.is_answered):
                return _DISCONNECT
            if self._expects_continue and not self.has_started:
                self._expects_continue = False
                self._wire.write(framing.CONTINUE)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = self._pieces.popleft()
        self.body_bytes -= len(piece)
        self._wire.follow_reading()
        self._has_told_end = self.has_body_ended and not self._pieces
        return {"type": "http.request", "body": piece, "more_body": not self._has_told_end}

    async def send(self, message: Any) -> None:
        """The head of the answer, or a piece of its body; a piece waits until there is room."""
        if message["type"] == "http.response.start":
            self._head = message["status"], message["headers"]
            return
        if self._wire.is_lost:
            raise ClientGone
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self._head is not None:
            status, headers = self._head
            self._head = None
            self._begin(status, headers, body, more=more)
        elif self.is_answered:
            raise RuntimeError("the answer has ended already")
        else:
            self._go_on(body, more=more)
        if not more:
            self.is_answered = True
            self._wire.answered(self)
        elif self._wire.is_full:
            await self._wire.drained()

    def _begin(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, more: bool
    ) -> None:
        named = dict(headers)
        lines = self._wire.date_line
        if self.scope["method"] == "HEAD" or status in framing.BODILESS:
            self._is_bodiless, body = True, b""
        elif (length := named.get(b"content-length")) is not None:
            self._left = int(length)
            self._count(len(body), more=more)
        else:
            lines += self._length_line(body, more=more)
        if b"connection" in named:
            self.keeps_alive = False  # An application says nothing of it but `close`.
        elif not self.keeps_alive:
            lines += framing.CLOSE_LINE
        elif self.scope["http_version"] == "1.0":
            lines += framing.KEEP_ALIVE_LINE
        head = framing.answer_head(status, headers, lines)
        self.has_started = True
        if self._is_chunked:
            self._wire.write_all(head, *framing.chunk(body))
        elif len(body) <= _JOINED_BYTES_MAX:
            self._wire.write(head + body)
        else:
            self._wire.write_all(head, body)

    def _length_line(self, body: bytes, *, more: bool) -> bytes:
        """How a client finds the end of a body of which nobody has said how long it is."""
        if not more:
            return b"content-length: %d\r\n" % len(body)
        if self.scope["http_version"] == "1.0":
            self.keeps_alive = False  # Where the connection ends the body ends.
            return b""
        self._is_chunked = True
        return framing.CHUNKED_LINE

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self._is_bodiless:
            return
        if self._is_chunked:
            self._wire.write_all(*framing.chunk(body), *(() if more else framing.LAST_CHUNK))
            return
        self._count(len(body), more=more)
        if body:
            self._wire.write(body)

    def _count(self, size: int, *, more: bool) -> None:
        if self._left is None:
            return
        self._left -= size
        if self._left < 0 or (self._left and not more):
            raise RuntimeError(f"the body is {-self._left} bytes longer than its Content-Length")
