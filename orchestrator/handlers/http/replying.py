"""Makes answers: JSON bodies, entity tags, locations. Nothing is decided here."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from orchestrator.models.idempotency import Answer

API = "/api/v1"
JSON = "application/json"


def json_answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """The body is encoded unless it is bytes already."""
    return Answer(
        status=status,
        headers={"Content-Type": JSON, **(headers or {})},
        body=body if isinstance(body, bytes) else msgspec.json.encode(body),
    )


def not_modified(headers: Mapping[str, str]) -> Answer:
    """304 with the headers that the 200 would have had (RFC 9110 §15.4.5)."""
    return Answer(status=304, headers={"Content-Type": JSON, **headers}, body=b"")


def etag(value: object) -> str:
    """A strong entity tag."""
    return f'"{value}"'


def location(kind: str, name: str, namespace: str) -> str:
    """The address of something named, in its namespace."""
    return f"{API}/{kind}/{quote(name, safe=':')}?namespace={quote(namespace, safe='')}"


def spliced(body: object, member: str, content: bytes) -> bytes:
    """The body with one member more, whose value is JSON already: it is not encoded again.

    Of types that JSON does not have the text is written.
    """
    encoded = msgspec.json.encode(body, enc_hook=str)
    return encoded[:-1] + b',"' + member.encode() + b'":' + content + b"}"
