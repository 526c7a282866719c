"""JSON Pointers (RFC 6901) as text and as tokens; it looks nothing up in a document."""

import re
from collections.abc import Iterable

_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*")
_INDEX = re.compile(r"0|[1-9][0-9]*")


def is_pointer(text: str) -> bool:
    """Whether the text is "" or tokens that each follow a slash, with ~0 and ~1 as only escapes."""
    return _POINTER.fullmatch(text) is not None


def is_index(token: str) -> bool:
    """Whether the token can be the index of a list: digits without a leading zero."""
    return _INDEX.fullmatch(token) is not None


def tokens_of(pointer: str) -> tuple[str, ...]:
    """Take a valid pointer apart."""
    if "~" not in pointer:
        return tuple(pointer.split("/")[1:])
    # "~01" is the key "~1": the slash must be unescaped before the tilde.
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def escaped(token: str) -> str:
    """One token as it stands in a pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def pointer_to(tokens: Iterable[str]) -> str:
    """Put a pointer together."""
    return "".join(f"/{escaped(token)}" for token in tokens)
