"""Where a request may come from: the names this server is known by, and pages of which origins."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address

from orchestrator.errors import InvalidInput
from orchestrator.errors_request import Forbidden

#: The versions of HTTP in which a request need not say its host.
BEFORE_HOST = frozenset({"1", "1.0"})
#: A name or an IPv4 address, or an IPv6 address, and perhaps a port (RFC 3986 §3.2.2), without the
#: comma between two of them.
_HOST = re.compile(r"(\[([0-9a-f:.]+)\]|[a-z0-9_.~!$&'()*+;=%-]+)(?::(\d{0,5}))?", re.IGNORECASE)
_PORT_MAX = 65_535
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
        if host not in self._hosts:
            name = _name_of(host)
            if name is None and (host or http_version not in BEFORE_HOST):
                message = "A request has one Host: a name or an address, and perhaps a port."
                raise InvalidInput.at("/Host", "host", message)
            # A page that rebinds its own name to our address must not be answered.
            if self._hosts and name not in self._hosts:
                raise Forbidden(f"This server is not known as {host!r}.")
        if "origin" not in headers:
            return None
        origin = headers["origin"]
        if origin.lower() in self._origins:
            return origin
        if not host or origin.lower() not in _origins_at(self._scheme or scheme, host.lower()):
            raise Forbidden(f"Requests from pages of {origin!r} are not allowed.")
        return None


def _name_of(host: str) -> str | None:
    """A Host without its port, in small letters; None if it is none."""
    found = _HOST.fullmatch(host)
    if found is None or int(found[3] or 0) > _PORT_MAX:
        return None
    if found[2] is not None and not _is_address(found[2]):
        return None
    return found[1].lower()


def _is_address(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _origins_at(scheme: str, host: str) -> tuple[str, str]:
    """The origin of pages that this host serves: browsers leave out the scheme's own port, which a
    proxy may have added to Host.
    """
    return f"{scheme}://{host}", f"{scheme}://{host.removesuffix(_OWN_PORTS[scheme])}"
