"""Heads of HTTP/1.1 messages (RFC 9112): what a target says, and how the head of an answer is
written. Pure functions.
"""

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE_LINE = b"connection: close\r\n"
KEEP_ALIVE_LINE = b"connection: keep-alive\r\n"
CHUNKED_LINE = b"transfer-encoding: chunked\r\n"
LAST_CHUNK = (b"0\r\n\r\n",)
#: Of a target that is not served, in the log and in the refusal.
SHOWN_BYTES_MAX = 200
#: A body would be taken for the next answer.
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_PHRASES = {each.value: each.phrase.encode() for each in HTTPStatus}
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, b""))
    for status in range(100, 600)
}
_SCHEMES = (b"http://", b"https://")


def authority_and_path(target: bytes) -> tuple[bytes | None, bytes]:
    """Of a target that is not just a path: its authority, if it is in absolute form, and its path
    with the query. ValueError: it has no path.
    """
    if target == b"*":
        return None, target
    scheme = next((each for each in _SCHEMES if target[: len(each)].lower() == each), None)
    if scheme is None:
        raise ValueError("it is neither a path nor an address of http or https")
    rest = target[len(scheme) :]
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    path = rest[end:]
    return rest[:end], path if path.startswith(b"/") else b"/" + path


def answer_head(status: int, headers: Sequence[tuple[bytes, bytes]], lines: bytes) -> bytes:
    """The head of an answer; `lines` are ours. ValueError: a header would be several."""
    said = b"\r\n".join([*map(b": ".join, headers), b""])
    # One look at the whole is cheaper than one at each.
    if said.count(b"\n") != len(headers) or said.count(b"\r") != len(headers):
        raise ValueError("a header has a line break in it")
    return b"%b%b%b\r\n" % (_STATUS_LINES[status], said, lines)


def chunk(piece: bytes) -> tuple[bytes, ...]:
    """A piece as one chunk. The piece itself is not copied; an empty one would be the end."""
    return (b"%x\r\n" % len(piece), piece, b"\r\n") if piece else ()


def date_line(seconds: float) -> bytes:
    """`Date`, as every answer has it (RFC 9110 §6.6.1)."""
    return f"date: {formatdate(seconds, usegmt=True)}\r\n".encode()
