"""How fast a request body must come: a body that comes slowly holds memory and a connection."""

import asyncio
from typing import Any

import msgspec
from litestar.types import Receive

from orchestrator.errors import BodyTooSlow


class BodyDeadline(msgspec.Struct, frozen=True, kw_only=True):
    """Each window must bring so many bytes, or the end of the body. A short body has one window."""

    window_seconds: float
    window_bytes_min: int
    total_seconds_max: float

    def on(self, receive: Receive) -> Receive:
        """The same channel, on which a body that is too slow is an error."""
        return _Watched(receive, self)


class _Watched:
    """Counts what the body brings. After its end there is no deadline."""

    __slots__ = ("_brought", "_deadline", "_ended", "_receive", "_total_at", "_window_at")

    def __init__(self, receive: Receive, deadline: BodyDeadline) -> None:
        self._receive = receive
        self._deadline = deadline
        self._window_at: float | None = None
        self._total_at = 0.0
        self._brought = 0
        self._ended = False

    async def __call__(self) -> Any:
        if self._ended:
            return await self._receive()
        deadline = self._deadline
        now = asyncio.get_running_loop().time
        if self._window_at is None:
            self._window_at = now() + deadline.window_seconds
            self._total_at = now() + deadline.total_seconds_max
        try:
            async with asyncio.timeout_at(min(self._window_at, self._total_at)):
                message: Any = await self._receive()
        except TimeoutError:
            if self._total_at <= self._window_at:
                raise BodyTooSlow(deadline.total_seconds_max) from None
            raise BodyTooSlow(deadline.window_seconds, deadline.window_bytes_min) from None
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        self._brought += len(message.get("body", b""))
        if self._brought >= deadline.window_bytes_min:
            self._window_at, self._brought = now() + deadline.window_seconds, 0
        return message
