"""What an operation gives back: an answer, an encoded answer, or one that comes in pieces; and how
answers are made. Nothing is decided here.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec
from litestar.types import Send

from orchestrator.models.idempotency import Answer

API = "/api/v1"
JSON = "application/json"
#: A longer body goes out in pieces of this size, only a few of which the server keeps.
PIECE_BYTES = 64 * 1024
_NO_CACHE = (b"cache-control", b"no-cache")
#: No header more.
NONE: Mapping[str, str] = MappingProxyType({})
#: Of an answer whose encoding is negotiated.
VARY = {"Vary": "Accept-Encoding"}
#: Of what never changes. Shared caches do not know who may see it.
IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}
#: An answer without a body has no length, and a 304 would have that of another answer.
_WITHOUT_LENGTH = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class EncodedAnswer(msgspec.Struct, frozen=True):
    """An answer as it goes out, so that it can be given again without being made again."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, answer: Answer) -> "EncodedAnswer":
        """The answer with its length."""
        headers = _headers_of_answer(answer.headers, answer.status)
        if answer.status not in _WITHOUT_LENGTH and "Content-Length" not in answer.headers:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        return cls(answer.status, headers, answer.body)

    async def send(self, send: Send, added: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """All of it, with some headers more."""
        await send(_start(self.status, [*self.headers, *added]))
        await send(_piece(self.body, more=False))


class StreamedAnswer:
    """Headers that say how long the body will be, and then the body, piece by piece.

    The first piece is there before the answer begins, so a failure to get it is an answer of its
    own. A later one cannot be: it ends the connection before the body is whole, and the caller
    sees by the length that it is not.
    """

    __slots__ = ("_first", "_rest", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        first: bytes,
        rest: AsyncGenerator[bytes, None],
    ) -> None:
        self.status = status
        self.headers = headers
        self._first = first
        self._rest = rest

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All of the body, once."""
        first, self._first = self._first, b""
        async with aclosing(self._rest) as rest:
            yield first
            del first  # It must not stay in memory for as long as the rest takes.
            async for piece in rest:
                yield piece

    async def send(self, send: Send) -> None:
        """The pieces as they come."""
        async with aclosing(self.pieces()) as pieces:
            await send(_start(self.status, _headers_of_answer(self.headers, self.status)))
            async for piece in pieces:
                await send(_piece(piece))
            await send(_piece(b"", more=False))


Reply: TypeAlias = Answer | EncodedAnswer | StreamedAnswer


def sliced(body: bytes) -> Iterator[bytes]:
    """The body in pieces. Each is a copy that lives until it is sent; the body may be shared."""
    return (body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES))


async def send_sliced(send: Send, body: bytes) -> None:
    """A whole body in pieces."""
    *pieces, last = sliced(body)
    for piece in pieces:
        await send(_piece(piece))
    await send(_piece(last, more=False))


async def streamed(
    pieces: AsyncGenerator[bytes, None], *, status: int = 200, headers: dict[str, str]
) -> StreamedAnswer:
    """The answer, with its first piece; raises what getting that one raises."""
    return StreamedAnswer(status, headers, await anext(pieces), pieces)


def json_answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """The body is encoded unless it is bytes already."""
    return Answer(
        status=status,
        headers={"Content-Type": JSON, **(headers or {})},
        body=body if isinstance(body, bytes) else msgspec.json.encode(body),
    )


def not_modified(headers: Mapping[str, str]) -> Answer:
    """304 with the headers that the 200 would have had (RFC 9110 §15.4.5)."""
    return Answer(status=304, headers={"Content-Type": JSON, **headers}, body=b"")


def etag(value: object) -> str:
    """A strong entity tag."""
    return f'"{value}"'


def location(kind: str, name: str, namespace: str) -> str:
    """The address of something named, in its namespace."""
    return f"{API}/{kind}/{quote(name, safe=':')}?namespace={quote(namespace, safe='')}"


def spliced(
    body: object, member: str, content: bytes, headers: Mapping[str, str], *, owner: object = None
) -> Reply:
    """200 with the body and one member more, whose value is JSON already: it is not encoded again.

    Of types that JSON does not have the text is written. What is long is not copied: it stays in
    memory once, with its owner, for all answers that are made of it.
    """
    start = msgspec.json.encode(body, enc_hook=str)[:-1] + b',"' + member.encode() + b'":'
    if len(content) <= PIECE_BYTES:
        return json_answer(start + content + b"}", headers=headers)

    async def rest(_: object = owner) -> AsyncGenerator[bytes, None]:
        for piece in sliced(content):
            yield piece
        yield b"}"

    length = str(len(start) + len(content) + 1)
    all_headers = {"Content-Type": JSON, "Content-Length": length, **headers}
    return StreamedAnswer(200, all_headers, start, rest())


def encoded_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """As ASGI wants them."""
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]


def _headers_of_answer(headers: Mapping[str, str], status: int) -> list[tuple[bytes, bytes]]:
    """A 304 has no body, so it has no type either (RFC 9110 §15.4.5). What does not say how long it
    may be used may change at any time.
    """
    encoded = encoded_headers(headers)
    if status == HTTPStatus.NOT_MODIFIED:
        encoded = [each for each in encoded if each[0] != b"content-type"]
    if "Cache-Control" not in headers:
        encoded.append(_NO_CACHE)
    return encoded


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> Any:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _piece(body: bytes, *, more: bool = True) -> Any:
    return {"type": "http.response.body", "body": body, "more_body": more}
