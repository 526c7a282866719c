"""An answer whose body comes in pieces; what the pieces are is not its business."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send


class StreamedResponse(Response[bytes]):
    """Headers that say how long the body will be, and then the body, piece by piece.

    The first piece is there before the answer begins, so a failure to get it is an answer of its
    own. A later one cannot be: it ends the connection before the body is whole, and the caller
    sees by the length that it is not.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        *,
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(content=b"", status_code=status_code, headers=dict(headers))
        self._first = first
        self._rest = rest

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """The framework's own would count the body and add a type."""
        first, self._first = self._first, b""
        return _Streaming(first, self._rest, int(self.status_code or 200), self.headers)


class _Streaming(ASGIResponse):
    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            content_length=int(headers["Content-Length"]),
            headers=dict(headers),
            status_code=status_code,
        )
        self._first = first
        self._rest = rest

    async def send_body(self, send: Send, receive: Receive) -> None:  # noqa: ARG002
        async with aclosing(self._rest) as rest:
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            self._first = b""  # It must not stay in memory for as long as the rest takes.
            async for piece in rest:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def streamed(
    pieces: AsyncGenerator[bytes, None], *, status_code: int = 200, headers: Mapping[str, str]
) -> StreamedResponse:
    """The answer, with its first piece; raises what getting that one raises."""
    first = await anext(pieces)
    return StreamedResponse(first, pieces, status_code=status_code, headers=headers)
