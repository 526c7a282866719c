"""JSON Pointers (RFC 6901): written from places, and read; nothing is looked up in a document."""

import re
from collections.abc import Iterable
from typing import TypeAlias

#: Where something stands in a document: the keys and indexes on the way from its root.
Place: TypeAlias = tuple[str | int, ...]

#: Of a pointer in a message. One in a patch may be as long as it must be.
SHOWN_CHARACTERS_MAX = 1_000

_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*")
_INDEX = re.compile(r"0|[1-9][0-9]*")
_FIELD_OR_INDEX = re.compile(r"[^.\[\]]+")


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


def pointer_to(place: Iterable[str | int]) -> str:
    """The pointer to a place, whole and exact."""
    return "".join(f"/{escaped(str(token))}" for token in place)


def pointer_to_field(path: str) -> str:
    """What msgspec writes as `.operations[0].tag`; a key of a map, written `[...]`, is left out."""
    return pointer_to(_FIELD_OR_INDEX.findall(path))


def shown_pointer(place: Iterable[str | int]) -> str:
    """The pointer as it stands in a message: a very long one stops at the last ancestor that fits.

    A key may be as long as the document, and may hold what UTF-8 cannot write.
    """
    text = ""
    for token in place:
        start = str(token)[: SHOWN_CHARACTERS_MAX + 1]
        longer = text + pointer_to([start.encode("utf-8", "replace").decode("utf-8")])
        if len(longer) > SHOWN_CHARACTERS_MAX:
            break
        text = longer
    return text
