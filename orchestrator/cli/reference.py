"""The ways in which a person names a version or an artifact: a tag, a version of a tag, an id, a
hash or its first digits. What they name is for the server to say.
"""

from typing import Any
from uuid import UUID

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.expectation import HASH_DIGITS, HASH_DIGITS_MIN
from orchestrator.cli.failure import WrongUsage

_HEX = frozenset("0123456789abcdef")


def parent_reference(text: str) -> dict[str, str]:
    """The member of a parent that names it. No tag can look like an id or a hash, so there is
    nothing to guess.
    """
    if _is_uuid(text):
        return {"artifact_id": text}
    return {"cas_id": text} if ":" in text else {"tag": text}


def tag_and_version(text: str, version: int | None, at: str | None) -> tuple[str, int | None]:
    """A tag, and the version of it that is meant, which may be a part of its name: tag@3."""
    tag, found, number = text.partition("@")
    if not found:
        return text, version
    if not (number.isascii() and number.isdecimal()):
        raise WrongUsage(f"{text!r} names no version: a version of a tag is written tag@3.")
    if version is not None or at is not None:
        raise WrongUsage(f"{text!r} names a version already: leave --version and --at out.")
    return tag, int(number)


def names_tag(text: str) -> bool:
    """Whether it is a tag or a version of one, if anything; it may be the beginning of a hash."""
    return ":" not in text and not _is_uuid(text)


def may_be_hash(text: str) -> bool:
    """Whether it may be the first digits of a version hash. A tag of this name goes first."""
    return HASH_DIGITS_MIN <= len(text) <= HASH_DIGITS and _HEX.issuperset(text)


def artifact_named(server: ServerConnection, text: str) -> dict[str, Any]:
    """The artifact with all that the server says of it."""
    found: dict[str, Any] = server.get("artifacts", text).json()
    return found


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
