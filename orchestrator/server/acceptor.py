"""What a connection and the one who accepts it know of each other; nothing is done here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

import msgspec

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may take."""

    head_bytes_max: int
    fields_max: int
    #: From the first byte of a head, or of the connection, to the end of the head.
    head_seconds_max: float
    #: Between two requests.
    idle_seconds_max: float
    #: For what is left to be sent after the last piece of an answer.
    send_seconds_max: float
    #: Of a body that is not asked for.
    buffer_bytes_max: int
    #: After the last answer, for the client to end the connection before we do, and how much it may
    #: still send until then (RFC 9112 §9.6).
    close_seconds_max: float
    close_bytes_max: int


class Accepted(Protocol):
    """A connection, as the one sees it who accepted it."""

    #: Whose it is, for the number of its connections.
    peer: str
    #: By the clock of the acceptor; None while somebody else sees to its end.
    deadline: float | None
    #: When it last had nothing to do: who has waited longest is ended first.
    idle_turn: int

    @property
    def is_serving(self) -> bool:
        """Whether a request is being answered."""

    def finish(self) -> None:
        """End after the answer that is being made; at once if there is none."""

    def expire(self) -> None:
        """End now: a deadline has passed, or there are too many connections."""

    async def abort(self) -> None:
        """End now, whatever the application is doing."""


class Acceptor(Protocol):
    """Who accepts the connections of a worker, as one of them sees it."""

    app: Application
    loop: asyncio.AbstractEventLoop
    limits: ConnectionLimits
    #: Of all requests.
    scope: dict[str, Any]
    #: Seconds of a clock that moves with each look at the connections.
    now: float
    date_line: bytes
    is_ending: bool

    def add(self, connection: Accepted) -> None:
        """A client has connected."""

    def remove(self, connection: Accepted) -> None:
        """The connection has ended."""

    def next_turn(self) -> int:
        """Numbers that grow."""
