"""Reads the answers on a connection as strictly as HTTP/1.1 wants them written; judges nothing."""

import json
import re
from dataclasses import dataclass
from typing import Any

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d) [\t\x20-\x7e]*")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
PROBLEM = "application/problem+json"
#: Answers that never have a body.
_BODILESS = {204, 304}


class UnreadableError(Exception):
    """The bytes are no answer."""


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    #: Its connection ended before it did.
    is_cut: bool = False

    def problem(self) -> dict[str, Any] | None:
        """The problem document that it is, if it is one that fits its status."""
        if self.headers.get("content-type") != PROBLEM:
            return None
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        is_whole = isinstance(found, dict) and {"type", "title", "detail", "error"} <= found.keys()
        return found if is_whole and found.get("status") == self.status else None


def answers(received: bytes, *, may_be_head: bool) -> list[RawAnswer]:
    """All answers in what a connection brought until its end. Without their requests nobody knows
    which are those to a HEAD: if there may be one, an answer without its body is one too.
    """
    found = []
    while received:
        answer, received = _first(received, may_be_head=may_be_head)
        if answer.status >= 200:
            found.append(answer)
    return found


def _first(received: bytes, *, may_be_head: bool) -> tuple[RawAnswer, bytes]:
    head, ended, rest = received.partition(b"\r\n\r\n")
    if not ended:
        raise UnreadableError(f"a head without an end: {head[:200]!r}")
    line, *fields = head.split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(line)
    if status_line is None:
        raise UnreadableError(f"no status line: {line[:200]!r}")
    headers: dict[str, str] = {}
    for each in fields:
        field = _FIELD.fullmatch(each)
        if field is None:
            raise UnreadableError(f"no header: {each[:200]!r}")
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    status = int(status_line[1])
    no_body = status < 200 or status in _BODILESS
    if no_body or (may_be_head and (not rest or rest.startswith(b"HTTP/1."))):
        return RawAnswer(status, headers, b""), rest
    if headers.get("transfer-encoding") == "chunked":
        body, rest, is_cut = _chunked(rest)
        return RawAnswer(status, headers, body, is_cut), rest
    length = headers.get("content-length")
    if length is None or not length.isdecimal():
        raise UnreadableError(f"an answer without a length: {head[:200]!r}")
    body, rest = rest[: int(length)], rest[int(length) :]
    return RawAnswer(status, headers, body, len(body) < int(length)), rest


def _chunked(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        line, ended, rest = rest.partition(b"\r\n")
        if not ended:
            return body, b"", True
        size = int(line.partition(b";")[0], 16)
        if not size:
            return body, rest.removeprefix(b"\r\n"), False
        body, rest = body + rest[:size], rest[size + 2 :]
