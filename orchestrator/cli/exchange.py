"""One request and its whole answer: repeats and the deadline of the body; it knows no API.

A server that sends a little now and then has a deadline for the whole body, not only for each read.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import httpx2

RETRY_SECONDS_MAX = 5.0


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


def exchange(
    client: "httpx2.Client",
    request: "httpx2.Request",
    *,
    body_seconds_max: float,
    may_repeat: bool,
) -> Reply:
    """Send it, and once more after a lost connection or if the server asks for that."""
    import httpx2

    try:
        reply = _exchange_once(client, request, body_seconds_max)
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        if not may_repeat or isinstance(error, httpx2.ConnectError):
            raise
        return _exchange_once(client, request, body_seconds_max)
    if may_repeat and reply.status == 503 and "retry-after" in reply.headers:
        time.sleep(_retry_seconds(reply.headers["retry-after"]))
        return _exchange_once(client, request, body_seconds_max)
    return reply


def _exchange_once(
    client: "httpx2.Client", request: "httpx2.Request", body_seconds_max: float
) -> Reply:
    response = client.send(request, stream=True)
    try:
        body = b"".join(_chunks(response, body_seconds_max))
        return Reply(response.status_code, response.headers, body)
    finally:
        response.close()


def _chunks(response: "httpx2.Response", seconds_max: float) -> Iterator[bytes]:
    import httpx2

    deadline = time.monotonic() + seconds_max
    for chunk in response.iter_bytes():
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("The body takes too long.")
        yield chunk


def _retry_seconds(retry_after: str) -> float:
    """The header may also be a date; the pause is then a second."""
    return min(float(retry_after), RETRY_SECONDS_MAX) if retry_after.isdecimal() else 1.0
