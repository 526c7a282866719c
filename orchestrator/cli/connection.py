"""HTTP to one server: addresses, credentials, and refusals as failures; it prints nothing."""

import ipaddress
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit
from uuid import uuid4

import msgspec

from orchestrator.cli.exchange import Reply, exchange
from orchestrator.cli.failure import CommandFailed, InvalidContent, ServerUnusable
from orchestrator.cli.limits import DEFAULTS, Limits
from orchestrator.cli.refusal import refusal

if TYPE_CHECKING:
    import httpx2

#: The server has its own: what the two have in common is the protocol, not code.
API = "/api/v1"
JSON = "application/json"
NAMESPACE = "namespace"
CONNECT_SECONDS_MAX = 5.0
READ_SECONDS_MAX = 60.0
#: These carry an Idempotency-Key, so they may be sent twice.
KEYED = frozenset({"POST", "PATCH"})
IF_ABSENT = {"If-None-Match": "*"}
NOTHING: Mapping[str, Any] = MappingProxyType({})
REPEATABLE = KEYED | {"GET"}


class ConnectionLost(ServerUnusable):
    """The server could not be reached, or was lost before its answer ended."""


class ListPage(msgspec.Struct):
    """A page of any list; the items stay as the server wrote them."""

    items: list[msgspec.Raw]
    next: str | None = None


class ServerConnection:
    """Requests to one server with one token; opened by the first of them."""

    def __init__(
        self,
        url: str,
        token: str | None,
        token_from: str,
        namespace: str | None = None,
        *,
        limits: Limits = DEFAULTS,
    ) -> None:
        self.url = url
        self.has_token = token is not None
        self.token_from = token_from
        self.limits = limits
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._params = {NAMESPACE: namespace} if namespace else {}
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

    def get(self, *path: str, **params: Any) -> Reply:
        """Read what the path names; parameters that are None are left out."""
        return self._call("GET", path, params=params)

    def probe(self, path: str) -> Reply:
        """Read from outside the API, without the token, whatever the status is."""
        return self._send("GET", path, params=(), is_public=True)

    def post(
        self,
        *path: str,
        is_absent: bool = False,
        params: Mapping[str, Any] = NOTHING,
        **members: Any,
    ) -> Reply:
        """Send a JSON object; members that are None are left out. `is_absent`: only where the tag
        does not exist.
        """
        headers = IF_ABSENT if is_absent else NOTHING
        return self._call("POST", path, _body(members), params=params, headers=headers)

    def put(self, *path: str, is_absent: bool = False, **members: Any) -> Reply:
        """Send a JSON object to what the path names."""
        return self._call("PUT", path, _body(members), headers=IF_ABSENT if is_absent else NOTHING)

    def patch(
        self,
        *path: str,
        content: tuple[bytes, str],
        if_match: str | None = None,
        **params: Any,
    ) -> Reply:
        """Send a patch with its media type; `if_match` is the version hash that it is meant for."""
        headers = NOTHING if if_match is None else {"If-Match": f'"{if_match}"'}
        return self._call("PATCH", path, content, params=params, headers=headers)

    def delete(self, *path: str, **params: Any) -> Reply:
        """Delete what the path names."""
        return self._call("DELETE", path, params=params)

    def _call(
        self,
        method: str,
        path: Sequence[str],
        body: tuple[bytes, str] | tuple[()] = (),
        *,
        params: Mapping[str, Any] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
    ) -> Reply:
        """A request of the API in our namespace; a refusal is a failure."""
        query = {**self._params, **params}.items()
        return self._accepted(
            self._send(method, address(*path), *body, params=query, headers=headers)
        )

    def request(
        self,
        method: str,
        path: str,
        content: bytes | None,
        media_type: str | None,
        *,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
    ) -> Reply:
        """Any request, by its whole path; a namespace among the parameters goes before ours."""
        if path.startswith(f"{API}/") and not any(name == NAMESPACE for name, _ in params):
            params = [*self._params.items(), *params]
        return self._accepted(
            self._send(method, path, content, media_type, params=params, headers=headers)
        )

    def list_all(
        self, *path: str, limit: int | None = None, **params: str | int | None
    ) -> ListPage:
        """All pages in one, or the first items up to a limit; `next` leads on from there."""
        whole = ListPage([])
        while limit is None or len(whole.items) < limit:
            most = self.limits.page_items_max
            wanted = most if limit is None else min(most, limit - len(whole.items))
            reply = self.get(*path, **params, limit=wanted, cursor=whole.next)
            page = msgspec.json.decode(reply.body, type=ListPage)
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
        params: Iterable[tuple[str, Any]],
        headers: Mapping[str, str] = NOTHING,
        is_public: bool = False,
    ) -> Reply:
        """Send a request; no answer is a failure. A parameter that is None is left out."""
        client = self._opened()
        request = client.build_request(
            method,
            self.url + path,
            content=content,
            params=[(name, value) for name, value in params if value is not None],
            headers={
                **({} if is_public else self._headers),
                **({"Content-Type": media_type} if media_type else {}),
                **({"Idempotency-Key": uuid4().hex} if method in KEYED else {}),
                **headers,
            },
        )
        with self._reaching():
            return exchange(
                client,
                request,
                body_seconds_max=self.limits.body_seconds_max,
                may_repeat=method in REPEATABLE and not is_public,
            )

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Iterator[httpx2.Response]":
        """One request whose body is sent as it is made, and an answer that is read as it comes.

        Nothing is repeated: the caller deals with ConnectionLost.
        """
        import httpx2

        client = self._opened()
        # A server that takes nothing of a body is given up; its answer may need a long computation.
        patience = httpx2.Timeout(
            READ_SECONDS_MAX, connect=CONNECT_SECONDS_MAX, read=self.read_seconds_max
        )
        params = None if "?" in path else self._params
        sent = {**self._headers, **(headers or {})}
        request = client.build_request(
            method, self.url + path, content=content, params=params, headers=sent, timeout=patience
        )
        with self._reaching(), ExitStack() as opened:
            response = client.send(request, stream=True)
            opened.callback(response.close)
            if response.status_code == 307 and method == "GET":
                elsewhere = opened.enter_context(httpx2.Client(timeout=patience))
                response = _send_elsewhere(elsewhere, response)
                opened.callback(response.close)
            yield response

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
            # A server on this machine is reached directly, whatever proxy leads to others.
            direct: dict[str, None] = {f"all://{parts.netloc}": None}
            self._client = httpx2.Client(
                timeout=httpx2.Timeout(self.read_seconds_max, connect=CONNECT_SECONDS_MAX),
                mounts=direct if is_loopback(self.url) else {},
                # To load the certificates takes as long as all else, and only TLS needs them.
                verify=parts.scheme == "https" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            )
        return self._client

    def _accepted(self, reply: Reply) -> Reply:
        """The answer if it is one of success; else raise what it refuses as a failure."""
        if 200 <= reply.status < 300:
            return reply
        raise self.refusal(reply)

    def refusal(self, reply: Reply) -> CommandFailed:
        """The failure that a refusing answer becomes."""
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


def _send_elsewhere(client: "httpx2.Client", response: "httpx2.Response") -> "httpx2.Response":
    """Ask the bucket to which a server leads for a large blob. It must not get the token: the
    address is all that it needs. Whoever asked checks what comes.
    """
    sent = response.request.headers
    headers = {name: sent[name] for name in ("Range", "Accept-Encoding") if name in sent}
    where = response.request.url.join(response.headers.get("Location", ""))
    return client.send(client.build_request("GET", where, headers=headers), stream=True)


def address(*path: str) -> str:
    """The path below the API; a slash in a name stays inside its segment."""
    for name in path:
        # The client would take these out of the path, and so name something else.
        if name in {"", ".", ".."}:
            raise InvalidContent(f"{name!r} is not a name.")
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
