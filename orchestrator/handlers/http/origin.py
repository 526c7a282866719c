"""Where a request may come from: the names this server is known by, and pages of which origins."""

import re
from collections.abc import Mapping
from string import ascii_letters, digits

from orchestrator.errors import InvalidInput
from orchestrator.errors_request import Forbidden

#: The versions of HTTP in which a request need not say its host.
BEFORE_HOST = frozenset({"1", "1.0"})
#: What a Host consists of (RFC 3986 §3.2.2), without the comma between two of them.
HOST = frozenset(ascii_letters + digits + "-._~!$&'()*+;=:[]%")
_PORT = re.compile(r":\d*$")
_OWN_PORTS = {"http": ":80", "https": ":443"}


class Origins:
    """Checks the headers Host and Origin."""

    def __init__(
        self,
        *,
        allowed_hosts: tuple[str, ...],
        allowed_origins: tuple[str, ...],
        behind_proxy: bool = False,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._origins = frozenset(origin.lower() for origin in allowed_origins)
        #: The proxy speaks TLS with the browser, whatever it speaks with us.
        self._scheme = "https" if behind_proxy else None
        #: What a cache must know of every answer, whoever it is for.
        self.vary = ((b"vary", b"Origin"),) if allowed_origins else ()

    def check(self, headers: Mapping[str, str], scheme: str, http_version: str) -> str | None:
        """Refuse a request for another server, or from a page of an origin that is not allowed.
        Returns the origin if it is an allowed one that is not our own.

        Every request of HTTP/1.1 names one host (RFC 9112 §3.2).
        """
        host = headers.get("host", "")
        if not self._hosts or not self._is_known(host):
            if not HOST.issuperset(host) or (not host and http_version not in BEFORE_HOST):
                message = "A request has one Host: a name or an address, and perhaps a port."
                raise InvalidInput.at("/Host", "host", message)
            if self._hosts:
                raise Forbidden(f"This server is not known as {host!r}.")
        if "origin" not in headers:
            return None
        origin = headers["origin"]
        if origin.lower() in self._origins:
            return origin
        if not host or origin.lower() not in _origins_at(self._scheme or scheme, host.lower()):
            raise Forbidden(f"Requests from pages of {origin!r} are not allowed.")
        return None

    def _is_known(self, host: str) -> bool:
        """A page that rebinds its own name to our address must not be answered."""
        return host in self._hosts or _PORT.sub("", host).lower() in self._hosts


def _origins_at(scheme: str, host: str) -> tuple[str, str]:
    """The origin of pages that this host serves: browsers leave out the scheme's own port, which a
    proxy may have added to Host.
    """
    return f"{scheme}://{host}", f"{scheme}://{host.removesuffix(_OWN_PORTS[scheme])}"
