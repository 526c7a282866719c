"""Digest fields (RFC 9530): `Repr-Digest` and `Want-Repr-Digest`, with the one algorithm we have.

BLAKE3 is not in the registry of that standard; the entity tag says it.
"""

import re
from base64 import b64decode, b64encode

from orchestrator.core.digest import Sha256
from orchestrator.errors import DigestMismatch, InvalidInput
from orchestrator.handlers.http.call import Call
from orchestrator.models.cas import Received

REPR_DIGEST = "Repr-Digest"
_GIVEN = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]*):", re.ASCII)
_WANTED = re.compile(r"(?:^|,)\s*sha-256\s*=\s*([0-9]+)", re.ASCII)


def repr_digest(sha256: Sha256) -> str:
    """The field's value: a byte sequence of RFC 8941."""
    return f"sha-256=:{b64encode(sha256.raw).decode()}:"


def wants_sha256(call: Call) -> bool:
    """Whether `Want-Repr-Digest` asks for SHA-256; its preference 0 means "not acceptable"."""
    match = _WANTED.search(call.headers.get("want-repr-digest", ""))
    return match is not None and int(match[1][:9]) > 0


def given_sha256(call: Call) -> Sha256 | None:
    """What `Repr-Digest` (or, as nothing is encoded, `Content-Digest`) says of a body sent."""
    for field in ("repr-digest", "content-digest"):
        match = _GIVEN.search(call.headers.get(field, ""))
        if match is None:
            continue
        try:
            raw = b64decode(match[1], validate=True)
        except ValueError:
            raw = b""
        if len(raw) != 32:
            message = f"A sha-256 in {field} is the Base64 of 32 bytes between colons."
            raise InvalidInput.at(f"/{field}", "digest", message)
        return Sha256(raw)
    return None


def check_sha256(given: Sha256 | None, received: Received) -> None:
    """Refuse bytes that are not those that the sender hashed."""
    if given is not None and given != received.sha256:
        raise DigestMismatch(str(given), str(received.sha256))
