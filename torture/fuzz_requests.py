"""The requests of the torture `fuzz`: for every route of the OpenAPI document, more or less valid,
and then damaged.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
#: What has a meaning somewhere: to a parser, to a path, to a database.
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"/", b"//", b"?", b"#", b"%"),
    *(b"%00", b"%2F", b"%ff", b"%C3%28", b"..", b"../", b"\xff", b"\xc3\x28", b"\xe2\x80\xae"),
    *(b"-1", b"0", b"9" * 25, b"1e400", b"NaN", b"null", b"{", b"}", b"[" * 600, b'"', b"\\u0000"),
    *(b"\\ud800", b"chunked", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"),
    *(b"Host: other.example\r\n", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2.0", b"0\r\n\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\n"),
)
NAMES = (
    "fuzz",
    "fuzz/other",
    "none",
    "a" * 300,
    "é",
    "\U0001f600",
    " ",
    ".",
    "~",
    "%",
    "\\",
    "\x01",
)
VALUES = ("1", "0", "-1", "true", "x", "9999999999999999999", "2026-01-31T12:00:00Z", "fuzz", "")
HEADERS = {
    "If-Match": ("*", '"1"', '"x", "y"', "W/", ""),
    "If-None-Match": ("*", '"1"', "x" * 3_000),
    "Idempotency-Key": ("key", "k" * 300, ""),
    "Content-Encoding": ("gzip", "identity", "zstd, gzip"),
    "Accept-Encoding": ("gzip", "zstd;q=0", "*;q=x"),
    "Range": ("bytes=0-1", "bytes=-5", "bytes=9-1", "lines=1"),
    "Origin": ("http://evil.example", "null"),
    "Expect": ("100-continue", "a miracle"),
    "Upload-Length": ("5", "-5", "9" * 30),
    "Upload-Offset": ("0", "7", "x"),
    "Tus-Resumable": ("1.0.0", "0.2.2"),
    "Repr-Digest": ("sha-256=:AAAA:", "sha-256=x"),
    "Cookie": ("a" * 9_000,),
}


#: Its answer ends the connection.
LAST = "GET /health/live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Route:
    """An operation as the OpenAPI document describes it."""

    method: str
    path: str
    query: tuple[str, ...]
    media_types: tuple[str, ...]
    examples: tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """The bytes for one connection, in the pieces in which they are written."""

    pieces: tuple[bytes, ...]
    may_be_head: bool
    #: As HTTP/1.0 does after each answer.
    may_end: bool


def routes_of(document: dict[str, Any]) -> list[Route]:
    """Every method of every path. Those that a path has come often."""
    return [
        _route(method, path, operations.get(method, {}))
        for path, operations in document["paths"].items()
        for method in METHODS
        for _ in range(10 if method in operations else 1)
    ]


def _route(method: str, path: str, operation: dict[str, Any]) -> Route:
    content = operation.get("requestBody", {}).get("content", {})
    examples = [
        found
        for media in content.values()
        for found in [media.get("example"), *_values(media.get("examples"))]
        if found is not None
    ]
    query = [each["name"] for each in operation.get("parameters", ()) if each.get("in") == "query"]
    return Route(method.upper(), path, tuple(query), tuple(content), tuple(examples))


def _values(examples: Any) -> Iterator[Any]:
    given = examples.values() if isinstance(examples, dict) else examples or ()
    return (each.get("value") if isinstance(each, dict) else each for each in given)


@dataclass(frozen=True)
class Target:
    """What is attacked: `known` has a value for parameters that need one that exists."""

    routes: list[Route]
    host: str
    token: str
    known: dict[str, str]


class Maker:
    """Makes cases by chance."""

    def __init__(self, chance: random.Random, target: Target) -> None:
        self._chance = chance
        self._target = target

    def case(self) -> Case:
        """A few requests in a row, most of them damaged, and a harmless one that ends all."""
        chance = self._chance
        requests = [self._request() for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        text = b"".join(requests)
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 4))):
            text = self._damaged(text)
        text += LAST.format(host=self._target.host).encode()
        cuts = sorted(chance.randrange(len(text)) for _ in range(chance.choice((0, 0, 1, 2, 5))))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
        return Case(tuple(filter(None, pieces)), b"HEAD" in text, b"HTTP/1.0" in text)

    def _request(self) -> bytes:
        chance, route = self._chance, self._chance.choice(self._target.routes)
        path = "/".join(
            quote(self._value(part[1:-1], NAMES), safe="") if part.startswith("{") else part
            for part in route.path.split("/")
        )
        named = [name for name in route.query if chance.random() < 0.3]
        query = "&".join(f"{name}={quote(self._value(name, VALUES))}" for name in named)
        lines = [f"{route.method} {path}{'?' if query else ''}{query} HTTP/1.1"]
        lines.append(f"Host: {self._target.host}")
        if chance.random() < 0.8:
            lines.append(f"Authorization: Bearer {self._target.token}")
        if "uploads" in path:
            lines.append("Tus-Resumable: 1.0.0")
        named = chance.sample(sorted(HEADERS), chance.choice((0, 0, 1, 3)))
        lines += [f"{name}: {chance.choice(HEADERS[name])}" for name in named]
        body = self._body(route)
        if body or chance.random() < 0.2:
            media_types = (*route.media_types * 5, "application/json", "text/plain")
            lines.append(f"Content-Type: {chance.choice(media_types)}")
            if chance.random() < 0.3:
                lines.append("Transfer-Encoding: chunked")
                body = self._chunked(body)
            else:
                lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _value(self, name: str, others: tuple[str, ...]) -> str:
        known = self._target.known.get(name)
        return (
            self._chance.choice(others) if known is None or self._chance.random() < 0.3 else known
        )

    def _body(self, route: Route) -> bytes:
        chance = self._chance
        if not route.media_types and chance.random() < 0.9:
            return b""
        if route.examples and chance.random() < 0.8:
            body = json.dumps(chance.choice(route.examples)).encode()
            return self._damaged(body) if chance.random() < 0.5 else body
        return chance.choice(
            (b"", b"{}", b"[]", b'{"a": [1, {"b": null}]}', b"\xff\xfe", chance.randbytes(3_000))
        )

    def _chunked(self, body: bytes) -> bytes:
        chunks = []
        while body:
            size = self._chance.randint(1, len(body))
            extension = self._chance.choice((b"", b"", b";a=b"))
            chunks.append(b"%x%s\r\n%s\r\n" % (size, extension, body[:size]))
            body = body[size:]
        trailer = self._chance.choice((b"", b"", b"X-Trailer: y\r\n"))
        return b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"

    def _damaged(self, text: bytes) -> bytes:
        chance = self._chance
        at = self._place(text)
        length = chance.choice((1, 1, 2, 8, 64))
        ways: tuple[Callable[[], bytes], ...] = (
            lambda: text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :],
            lambda: text[:at] + text[at + length :],
            lambda: text[:at] + text[at : at + length] * 2 + text[at + length :],
            lambda: text[:at] + chance.choice(TOKENS) + text[at:],
            lambda: text[:at] + chance.choice(TOKENS) + text[at + length :],
            lambda: text[:at] + chance.randbytes(length) + text[at:],
            lambda: text[:at] + b"A" * chance.choice((300, 9_000)) + text[at:],
            lambda: text[:at],
        )
        return chance.choices(ways, weights=(4, 3, 2, 6, 4, 2, 1, 1))[0]()

    def _place(self, text: bytes) -> int:
        """Mostly in the first lines, where it does most."""
        most = len(text) if self._chance.random() < 0.5 else min(len(text), 200)
        return self._chance.randrange(most + 1)
