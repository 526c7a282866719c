"""The body of a request on its way in: how fast it must come, and what becomes of one that nobody
reads to its end.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from litestar.types import Receive

from orchestrator.errors_request import BodyTooSlow
from orchestrator.handlers.http.call import CHUNKED, LENGTH_DIGITS_MAX

#: If no more is left of a body, it is read before the answer, and the connection stays usable.
DRAIN_BYTES_MAX = 64 * 1024
DRAIN_SECONDS_MAX = 1.0


class BodyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Each window must bring so many bytes, or the end of the body. A short body has one window.

    So much of a refused body is read after the answer: who still sends when the connection ends
    never sees the answer (RFC 9112 §9.6).
    """

    window_seconds: float
    window_bytes_min: int
    total_seconds_max: float
    refused_bytes_max: int
    refused_seconds_max: float

    def body(self, headers: Mapping[str, str], receive: Receive) -> "RequestBody | None":
        """The body that the headers announce, if they do."""
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            return None
        return RequestBody(headers, receive, self)


class RequestBody:
    """The channel that a body comes on. A body that is too slow is an error."""

    __slots__ = (
        "_brought",
        "_has_failed",
        "_is_chunked",
        "_is_held_back",
        "_left",
        "_limits",
        "_receive",
        "_total_at",
        "_window_at",
        "has_ended",
    )

    def __init__(self, headers: Mapping[str, str], receive: Receive, limits: BodyLimits) -> None:
        self._receive = receive
        self._limits = limits
        self._is_chunked = headers.get("transfer-encoding", CHUNKED) == CHUNKED
        length = headers.get("content-length", "")
        known = length.isdecimal() and len(length) <= LENGTH_DIGITS_MAX
        #: Of a chunked body nobody knows.
        self._left = int(length) if known else None
        #: Its sender waits until somebody reads (RFC 9110 §10.1.1).
        self._is_held_back = headers.get("expect", "").lower() == "100-continue"
        #: It was too slow, or cannot be read, or its sender went away.
        self._has_failed = False
        self._window_at: float | None = None
        self._total_at = 0.0
        self._brought = 0
        #: After its end there is no deadline.
        self.has_ended = False

    async def __call__(self) -> Any:
        """The next message of the server."""
        if self.has_ended or self._has_failed:
            return await self._receive()
        limits = self._limits
        now = asyncio.get_running_loop().time
        if self._window_at is None:
            self._window_at = now() + limits.window_seconds
            self._total_at = now() + limits.total_seconds_max
        self._is_held_back = False
        try:
            async with asyncio.timeout_at(min(self._window_at, self._total_at)):
                message: Any = await self._receive()
        except TimeoutError:
            self._has_failed = True
            if self._total_at <= self._window_at:
                raise BodyTooSlow(limits.total_seconds_max) from None
            raise BodyTooSlow(limits.window_seconds, limits.window_bytes_min) from None
        self._brought += self._count(message)
        if self._brought >= limits.window_bytes_min:
            self._window_at, self._brought = now() + limits.window_seconds, 0
        return message

    async def drained(self) -> bool:
        """Whether all was read, also the little that was left. If not, the connection must end."""
        if not self._is_chunked:
            # Who reads this body in another way would take a part of it for the next request.
            return False
        if not self._is_skipped() and (self._left or 0) <= DRAIN_BYTES_MAX:
            await self._skip(DRAIN_BYTES_MAX, DRAIN_SECONDS_MAX)
        return self.has_ended

    async def let_sender_end(self) -> None:
        """After the answer: take what still comes, within limits, so that its sender sees it."""
        if not self._is_skipped():
            await self._skip(self._limits.refused_bytes_max, self._limits.refused_seconds_max)

    def _is_skipped(self) -> bool:
        """Whether no more of it will come, or nothing that can be read in time."""
        return self.has_ended or self._is_held_back or self._has_failed

    async def _skip(self, bytes_max: int, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._is_skipped() and bytes_max >= 0:
                    bytes_max -= self._count(await self._receive())

    def _count(self, message: Any) -> int:
        """How much the message brought."""
        size = len(message.get("body", b""))
        if self._left is not None:
            self._left -= size
        self._has_failed = message["type"] == "http.disconnect"
        # Some servers say only later that a body which is all there has ended.
        is_last = self._left == 0 or not message.get("more_body", False)
        self.has_ended = is_last and not self._has_failed
        return size
