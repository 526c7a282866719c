"""A connection of a client: its requests are answered one after another, and it ends in time."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import structlog

from orchestrator.errors import DomainError
from orchestrator.handlers.http.unread import UNREAD
from orchestrator.server import framing
from orchestrator.server.acceptor import Acceptor
from orchestrator.server.exchange import ClientGone, Exchange
from orchestrator.server.peer import network_of
from orchestrator.server.request_reader import RequestReader

log = structlog.get_logger()

#: Requests that may wait behind the one that is answered. The last of them ends the connection.
WAITING_MAX = 100
#: For the application to end what it does for a connection that has ended.
CANCEL_SECONDS_MAX = 2.0
_NO_LINGER = struct.pack("ii", 1, 0)
_FAILED = framing.answer_head(500, [(b"content-length", b"0")], framing.CLOSE_LINE)


class Connection(asyncio.Protocol):
    """Calls the application for each request, in their order.

    Each state has a deadline but one: while the application works on an answer, it is the one to
    end that.
    """

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        #: Whose it is, for the number of its connections.
        self.peer = ""
        #: By the clock of the acceptor; None while an answer is made.
        self.deadline: float | None = acceptor.now + acceptor.limits.head_seconds_max
        #: When it last had nothing to do: who has waited longest is ended first.
        self.idle_turn = acceptor.next_turn()
        self.is_lost = False
        self.is_full = False
        self._room: asyncio.Future[None] | None = None
        self._is_reading = True
        self._is_closing = False
        self._thrown_bytes = 0
        #: The one whose body is still coming; the one that is answered; those after it.
        self._arriving: Exchange | None = None
        self._serving: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_serving(self) -> bool:
        """Whether a request is being answered."""
        return self._serving is not None

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The acceptor may end this connection, or another one for it."""
        self._transport = cast("asyncio.Transport", transport)
        self.write: Callable[[bytes], None] = self._transport.write
        client = transport.get_extra_info("peername")
        self.peer = network_of(client[0]) if client else ""
        limits = self._acceptor.limits
        scope = {
            **self._acceptor.scope,
            "client": client and client[:2],
            "server": transport.get_extra_info("sockname")[:2],
        }
        self._reader = RequestReader(
            self, scope, head_bytes_max=limits.head_bytes_max, fields_max=limits.fields_max
        )
        self._acceptor.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Tell everybody who waits for it."""
        self.is_lost = True
        self._acceptor.remove(self)
        for each in (self._arriving, self._serving):
            if each is not None:
                each.fail()
        self._waiting.clear()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Read requests."""
        if self._is_closing or self._reader.has_ended:
            self._throw_away(len(data))
            return
        if self._serving is None and not self._reader.has_begun:
            self.deadline = self._acceptor.now + self._acceptor.limits.head_seconds_max
        self._reader.feed(data)
        self.follow_reading()

    def pause_writing(self) -> None:
        """The client does not take what is written. Until it does, nothing more is read of it."""
        self.is_full = True
        self.follow_reading()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self.is_full = False
        self._make_room()
        if self._serving is None and not self._is_closing:
            self._go_on()
        self.follow_reading()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # What the reader tells.

    def begin_request(
        self, scope: dict[str, Any], *, keeps_alive: bool, expects_continue: bool
    ) -> None:
        """Answer it, or let it wait for those before it."""
        self._arriving = exchange = Exchange(
            self, scope, keeps_alive=keeps_alive, expects_continue=expects_continue
        )
        if self._serving is None and not self.is_full:
            self._serve(exchange)
            return
        self._waiting.append(exchange)
        if len(self._waiting) == WAITING_MAX:
            exchange.keeps_alive = False
            self._reader.end_after_this()

    def add_body(self, piece: bytes) -> None:
        """Some of its body."""
        if self._arriving is not None:
            self._arriving.add_body(piece)

    def end_request(self) -> None:
        """All of its body is here."""
        if self._arriving is not None:
            self._arriving.end_body()
            self._arriving = None

    def fail_request(self) -> None:
        """Its body cannot be read."""
        if self._arriving is not None:
            self._arriving.fail()
            self._arriving = None

    def refuse(self, scope: dict[str, Any], error: DomainError) -> None:
        """The application says it, so that it is answered and logged as all refusals are."""
        scope["extensions"] = {UNREAD: error}
        self.begin_request(scope, keeps_alive=False, expects_continue=False)
        self.end_request()

    # What the exchange and the acceptor ask.

    @property
    def date_line(self) -> bytes:
        """The line `Date` of this second."""
        return self._acceptor.date_line

    def write_all(self, *parts: bytes) -> None:
        """Send these one after another."""
        self._transport.writelines(parts)

    async def drained(self) -> None:
        """Return when there is room to write."""
        while self.is_full and not self.is_lost:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self.is_lost:
            raise ClientGone

    def follow_reading(self) -> None:
        """Read on exactly while there is room for what is read."""
        arriving = self._arriving
        wanted = self._is_closing or not (
            self.is_full
            or self._waiting
            or (arriving and arriving.body_bytes >= self._acceptor.limits.buffer_bytes_max)
        )
        if wanted is self._is_reading or self._transport.is_closing():
            return
        self._is_reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def answered(self, exchange: Exchange) -> None:
        """Its sender sees at once that nothing follows; what it still sends may be read."""
        if not exchange.keeps_alive and self._transport.can_write_eof():
            self._transport.write_eof()

    def finish(self) -> None:
        """End after the answer that is being made; at once if there is none."""
        if self._serving is None:
            self._transport.close()
        elif not self._serving.has_started:
            self._serving.keeps_alive = False

    def expire(self) -> None:
        """End now: a deadline has passed, or there are too many connections."""
        if self.is_serving or self._transport.get_write_buffer_size():
            self._reset()
        else:
            self._transport.close()

    async def abort(self) -> None:
        """End now, whatever the application is doing."""
        self._reset()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=CANCEL_SECONDS_MAX)

    # From one request to the next.

    def _serve(self, exchange: Exchange) -> None:
        self._serving = exchange
        self.deadline = None
        self._task = self._acceptor.loop.create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._acceptor.app(exchange.scope, exchange.receive, exchange.send)
        except ClientGone:
            pass  # Nobody is there to be told.
        except Exception:
            log.exception("unexpected error")
        finally:
            self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        self._serving = self._task = None
        if self.is_lost:
            return
        if not exchange.is_answered:
            if exchange.has_started:
                self._reset()  # So its client sees that the answer is not whole.
                return
            self.write(_FAILED)
            exchange.keeps_alive = False
        if exchange.keeps_alive and exchange.has_body_ended and not self._acceptor.is_ending:
            self._go_on()
        else:
            self._close()
        self.follow_reading()

    def _go_on(self) -> None:
        if self._waiting and not self.is_full:
            self._serve(self._waiting.popleft())
            return
        limits = self._acceptor.limits
        if self.is_full:
            seconds = limits.send_seconds_max
        elif self._reader.has_begun:
            seconds = limits.head_seconds_max
        else:
            seconds = limits.idle_seconds_max
        self.deadline = self._acceptor.now + seconds
        self.idle_turn = self._acceptor.next_turn()

    def _close(self) -> None:
        """In two steps: a connection that ends with something unread in it takes the answer with it
        (RFC 9112 §9.6).
        """
        self._is_closing = True
        self._waiting.clear()
        limits = self._acceptor.limits
        is_sent = not self._transport.get_write_buffer_size()
        self.deadline = self._acceptor.now + (
            limits.close_seconds_max if is_sent else limits.send_seconds_max
        )
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _throw_away(self, size: int) -> None:
        """What a client sends after its last request."""
        self._thrown_bytes += size
        if self._thrown_bytes > self._acceptor.limits.close_bytes_max:
            self._reset()

    def _reset(self) -> None:
        """End so that nothing more is sent. Else the kernel would keep what the client does not
        take, megabytes of it, long after the end of the connection.
        """
        with suppress(OSError):
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER
            )
        self._transport.abort()
