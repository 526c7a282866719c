"""HTTP to one server: addresses, deadlines, repeats, and refusals as failures; it prints nothing.

A drip-feeding server is held to a deadline for each whole body, not only for each read.
"""

import ipaddress
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit
from uuid import uuid4

import msgspec

from orchestrator.cli.failure import CommandFailed, ServerUnusable
from orchestrator.cli.refusal import refusal

if TYPE_CHECKING:
    import httpx2

API = "/api/v1"
JSON = "application/json"
MERGE_CONFLICT = b"urn:orchestrator:problem:merge-conflict"
CONNECT_SECONDS_MAX = 5.0
READ_SECONDS_MAX = 60.0
BODY_SECONDS_MAX = 300.0
RETRY_SECONDS_MAX = 5.0
PAGE_ITEMS_MAX = 1_000
#: These carry an Idempotency-Key, so they may be sent twice.
KEYED = frozenset({"POST", "PATCH"})
REPEATABLE = KEYED | {"GET"}


class ConnectionLost(ServerUnusable):
    """The server was not there, or not to the end of the exchange."""


class Page(msgspec.Struct):
    """A page of any list; the items stay as the server wrote them."""

    items: list[msgspec.Raw]
    next: str | None = None


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Connection:
    """Requests to one server with one token; opened by the first of them."""

    def __init__(
        self, url: str, token: str | None, token_from: str, namespace: str | None = None
    ) -> None:
        self.url = url
        self.has_token = token is not None
        self.token_from = token_from
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._params = {"namespace": namespace} if namespace else {}
        self._client: httpx2.Client | None = None
        self.read_seconds_max = READ_SECONDS_MAX

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client:
            self._client.close()

    def get(self, *path: str, **params: str | int | bool | None) -> Reply:
        """Read what the path names; parameters that are None are left out."""
        return self._accepted(self._send("GET", address(*path), params=params))

    def probe(self, path: str) -> Reply:
        """Read from outside the API, without the token, whatever the status is."""
        return self._send("GET", path, is_public=True)

    def post(self, *path: str, **members: Any) -> Reply:
        """Send a JSON object; members that are None are left out."""
        return self._accepted(self._send("POST", address(*path), *_body(members)))

    def put(self, *path: str, **members: Any) -> Reply:
        """Send a JSON object to what the path names."""
        return self._accepted(self._send("PUT", address(*path), *_body(members)))

    def delete(self, *path: str, expected_version: int | None = None) -> Reply:
        """Delete what the path names, if it is at the expected version."""
        condition = {} if expected_version is None else {"If-Match": f'"{expected_version}"'}
        return self._accepted(self._send("DELETE", address(*path), headers=condition))

    def list_all(self, *path: str, limit: int | None = None, **params: str | int | None) -> Page:
        """All pages in one, or so many items; `next` leads on from there."""
        whole = Page([])
        while limit is None or len(whole.items) < limit:
            wanted = PAGE_ITEMS_MAX if limit is None else limit - len(whole.items)
            reply = self.get(*path, **params, limit=min(wanted, PAGE_ITEMS_MAX), cursor=whole.next)
            page = msgspec.json.decode(reply.body, type=Page)
            whole.items += page.items
            whole.next = page.next
            if page.next is None:
                break
        return whole

    def _send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        media_type: str | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_public: bool = False,
    ) -> Reply:
        """Send it; who does not answer is a failure."""
        client = self._opened()
        request = client.build_request(
            method,
            self.url + path,
            content=content,
            params=None if is_public else _given({**self._params, **(params or {})}),
            headers={
                **({} if is_public else self._headers),
                **({"Content-Type": media_type} if media_type else {}),
                **({"Idempotency-Key": uuid4().hex} if method in KEYED else {}),
                **(headers or {}),
            },
        )
        with self._reaching():
            return _exchange(client, request, may_repeat=method in REPEATABLE and not is_public)

    @contextmanager
    def exchange(
        self,
        method: str,
        path: str,
        *,
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Iterator[httpx2.Response]":
        """One request whose body is sent as it is made, and an answer that is read as it comes.

        Nothing is repeated: ConnectionLost is for the caller to deal with.
        """
        import httpx2

        client = self._opened()
        # Whoever takes nothing of a body is given up; an answer may need a long computation.
        patience = httpx2.Timeout(
            READ_SECONDS_MAX, connect=CONNECT_SECONDS_MAX, read=self.read_seconds_max
        )
        params = None if "?" in path else self._params
        sent = {**self._headers, **(headers or {})}
        request = client.build_request(
            method, self.url + path, content=content, params=params, headers=sent, timeout=patience
        )
        with self._reaching():
            response = client.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """The one place where errors of the transport become failures."""
        import httpx2

        try:
            yield
        except httpx2.TimeoutException as error:
            raise self._unreachable("it did not answer in time.") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise self._unreachable(f"{error}.") from error

    def _opened(self) -> "httpx2.Client":
        if self._client is None:
            import httpx2

            parts = urlsplit(self.url)
            # What is on this machine is asked directly, whatever proxy leads to other ones.
            direct: dict[str, None] = {f"all://{parts.netloc}": None}
            self._client = httpx2.Client(
                timeout=httpx2.Timeout(self.read_seconds_max, connect=CONNECT_SECONDS_MAX),
                mounts=direct if is_loopback(self.url) else {},
                # To load the certificates takes as long as all else; without TLS it is for nothing.
                verify=parts.scheme == "https" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            )
        return self._client

    def _accepted(self, reply: Reply) -> Reply:
        """The answer, or the refusal that it is as a failure."""
        if 200 <= reply.status < 300:
            return reply
        raise self.refusal(reply)

    def refusal(self, reply: Reply) -> CommandFailed:
        """The failure that an answer is."""
        looked = "The token is from" if self.has_token else "Looked for a token at"
        return refusal(
            reply.status,
            reply.headers,
            reply.body,
            url=self.url,
            token_line=f"{looked} {self.token_from}.",
        )

    def _unreachable(self, reason: str) -> ConnectionLost:
        lines = [
            "Start one with: orchestrator serve",
            "Name another with --url or ORCHESTRATOR_URL.",
        ]
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            lines = ["If it is the right one, name its certificate in SSL_CERT_FILE."]
        return ConnectionLost(f"The server at {self.url} cannot be reached: {reason}", lines)

    def patch(
        self, *path: str, content: tuple[bytes, str], message: str | None, if_match: str | None
    ) -> Reply:
        """Send a patch and its media type, for what the path names if that is still this hash."""
        condition = {} if if_match is None else {"If-Match": f'"{if_match}"'}
        params = {"message": message}
        return self._accepted(
            self._send("PATCH", address(*path), *content, params=params, headers=condition)
        )

    def create(self, *path: str, **members: Any) -> Reply:
        """Send a JSON object to where nothing is yet."""
        condition = {"If-None-Match": "*"}
        reply = self._send("PUT", address(*path), *_body(members), headers=condition)
        if reply.status == 412:
            raise CommandFailed(f"The name {path[-1]!r} is taken.")
        return self._accepted(reply)

    def post_merging(self, *path: str, **members: Any) -> Reply:
        """Send a JSON object; the conflicts of a merge are an answer too, with status 409."""
        reply = self._send("POST", address(*path), *_body(members))
        if reply.status == 409 and MERGE_CONFLICT in reply.body:
            return reply
        return self._accepted(reply)


def address(*path: str) -> str:
    """The path below the API; a slash in a name stays inside its segment."""
    for name in path:
        # The client would take these out of the path, and so name something else.
        if name in {"", ".", ".."}:
            raise CommandFailed(f"{name!r} is not a name.")
    return "/".join([API, *(quote(name, safe=":") for name in path)])


def is_loopback(url: str) -> bool:
    """Whether the URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _body(members: Mapping[str, Any]) -> tuple[bytes, str]:
    return msgspec.json.encode(_given(members)), JSON


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _exchange(client: "httpx2.Client", request: "httpx2.Request", *, may_repeat: bool) -> Reply:
    """Send it, and once more after a lost connection or if the server asks for that."""
    import httpx2

    try:
        reply = _exchange_once(client, request)
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        if not may_repeat or isinstance(error, httpx2.ConnectError):
            raise
        return _exchange_once(client, request)
    if may_repeat and reply.status == 503 and "retry-after" in reply.headers:
        time.sleep(_retry_seconds(reply.headers["retry-after"]))
        return _exchange_once(client, request)
    return reply


def _exchange_once(client: "httpx2.Client", request: "httpx2.Request") -> Reply:
    response = client.send(request, stream=True)
    try:
        return Reply(response.status_code, response.headers, b"".join(_chunks(response)))
    finally:
        response.close()


def _chunks(response: "httpx2.Response") -> Iterator[bytes]:
    import httpx2

    deadline = time.monotonic() + BODY_SECONDS_MAX
    for chunk in response.iter_bytes():
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("The body takes too long.")
        yield chunk


def _retry_seconds(retry_after: str) -> float:
    """The header may also be a date; that is taken for a long time."""
    return min(float(retry_after), RETRY_SECONDS_MAX) if retry_after.isdecimal() else 1.0
