"""Who calls: the bearer token of a request becomes a principal, or the request is refused."""

import hmac
import re
from hashlib import sha256

from orchestrator.errors_request import Unauthenticated
from orchestrator.models.principal import TOKEN68, Principal

RIGHT_MAX = 16
_BEARER = re.compile(f"bearer +({TOKEN68.pattern})", re.IGNORECASE | re.ASCII)


class Authenticator:
    """Knows the hash of the admin token, never the token."""

    def __init__(self, admin_token_sha256: str, *, namespace: str) -> None:
        self._admin_digest = bytes.fromhex(admin_token_sha256)
        self._admin = Principal(name="admin", namespace=namespace)
        #: Headers that were right, as most requests have the same one. A look into a dict tells
        #: nothing of them: what it compares first is a hash that only this process can compute.
        self._right: dict[str, Principal] = {}

    def authenticate(self, authorization: str | None) -> Principal:
        """RFC 6750 bearer tokens. Comparing digests in constant time tells nothing of the token."""
        if authorization is None:
            raise Unauthenticated("Send the header 'Authorization: Bearer <token>'.")
        if (known := self._right.get(authorization)) is not None:
            return known
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            raise Unauthenticated("The Authorization header is not a bearer token.")
        digest = sha256(bearer[1].encode("ascii")).digest()
        if not hmac.compare_digest(digest, self._admin_digest):
            raise Unauthenticated("The token is not valid.")
        if len(self._right) < RIGHT_MAX:  # The same token can be written in many ways.
            self._right[authorization] = self._admin
        return self._admin
