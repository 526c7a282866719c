"""Strict JSON in and canonical JSON (RFC 8785) out; it knows no document format and does no I/O.

What `parse` accepts, `canonicalise` can write, and `parse` reads that back as the same value. Good
input goes through C code and one survey of the values. Only if those find something suspicious does
a slower pass look again, to say what is wrong and where.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec
import rfc8785

from orchestrator.documents.canonical_count import has_more_values, members_of
from orchestrator.documents.canonical_rules import (
    EXPONENT_MIN,
    INTEGER_MAX,
    is_writable,
    refuse,
    refuse_violations,
)
from orchestrator.documents.canonical_scan import violations_in
from orchestrator.errors import InvalidInput, TooLarge

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"

DEPTH_MAX = 64
#: How many values one text may have: a short one takes some 25 times the memory of its text.
VALUES_MAX = 1_000_000

_SORTING_ENCODER = msgspec.json.Encoder(order="sorted")
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
_ESCAPED_NUL = b"\\u0000"
_FIRST_BYTES_OF_ASTRAL = bytes(range(0xF0, 0xF5))


class _Suspicious(ValueError):
    """Something may be wrong; the slow pass will say what, or that nothing is."""


def parse(
    body: bytes,
    *,
    bytes_max: int,
    kind: str = "document",
    depth_max: int = DEPTH_MAX,
    values_max: int = VALUES_MAX,
) -> JSONValue:
    """Read strict JSON; numbers that are integers, such as 1.0, come back as int."""
    if len(body) > bytes_max:
        raise TooLarge(kind, bytes_max, len(body))
    if has_more_values(body, values_max):
        message = f"The {kind} may have at most {values_max} values; this one has more."
        raise InvalidInput.at("", "values-max", message)
    try:
        root, holders = _read(body, depth_max)
    except (ValueError, RecursionError):
        root, holders = _read_slowly(body, kind, depth_max)
    return _with_integers(root, holders)


def canonicalise(value: JSONValue, *, depth_max: int = DEPTH_MAX) -> bytes:
    """The RFC 8785 form of what `parse` returned, or of a value put together from such parts."""
    try:
        holders, _ = _survey([value], depth_max)
        content = _encoded(_SORTING_ENCODER, value)
    except ValueError:
        refuse_violations(value, "value", depth_max)
        holders, _ = _survey([value], depth_max)
        content = _SORTING_ENCODER.encode(value)
    if _has_astral(content) or not all(map(_is_spelled_canonically, _floats(holders))):
        return _ENCODER.encode(_spelled(value))
    return content


def _read(body: bytes, depth_max: int) -> tuple[list[Any], list[Any]]:
    """The value in a list, and the containers that hold floats."""
    if _ESCAPED_NUL in body:
        raise _Suspicious
    root = [_DECODER.decode(body)]
    holders, members = _survey(root, depth_max)
    # What is encoded to the same bytes again, as most programs spell it, has lost nothing.
    # The encoder refuses lone surrogates.
    if _ENCODER.encode(root[0]) == body:
        return root, holders
    # The decoder keeps only the last of equal keys, and reads an integer of many digits as a float.
    if members != body.count(b":") and members != members_of(body):
        raise _Suspicious
    if any(abs(number) >= EXPONENT_MIN for number in _floats(holders)):
        raise _Suspicious
    return root, holders


def _read_slowly(body: bytes, kind: str, depth_max: int) -> tuple[list[Any], list[Any]]:
    """Raise InvalidInput with what is wrong; if nothing is, the same as the fast way."""
    refuse(violations_in(body, kind, depth_max), kind)
    root = [json.loads(body.decode("utf-8"))]
    return root, _survey(root, depth_max)[0]


def _encoded(encoder: msgspec.json.Encoder, value: Any) -> bytes:
    """The encoder refuses lone surrogates. What looks like an escaped NUL may be plain text."""
    content = encoder.encode(value)
    if _ESCAPED_NUL in content:
        raise _Suspicious
    return content


def _survey(root: list[Any], depth_max: int) -> tuple[list[Any], int]:
    """List the containers that hold floats, and count the members of all objects; stop at a number
    or a depth that is not allowed.

    It goes level by level, so it knows the depth without recursion.
    """
    holders: list[Any] = []
    members_count = 0
    level = [root]
    for _ in range(depth_max + 1):
        level, members = _level_below(level, holders)
        members_count += members
        if not level:
            return holders, members_count
    raise _Suspicious


def _level_below(level: list[Any], holders: list[Any]) -> tuple[list[Any], int]:
    below: list[Any] = []
    members_count = 0
    for container in level:
        children: Iterable[Any] = container
        if isinstance(container, dict):
            members_count += len(container)
            children = container.values()
        for child in children:
            kind = type(child)
            if kind is str:
                continue
            if kind is dict or kind is list:
                below.append(child)
            elif kind is int or kind is float:
                if not is_writable(child):
                    raise _Suspicious
                if kind is float and (not holders or holders[-1] is not container):
                    holders.append(container)
            elif child is not None and kind is not bool:
                raise TypeError(f"{kind.__name__} is not a JSON value.")
    return below, members_count


def _with_integers(root: list[Any], holders: list[Any]) -> JSONValue:
    """Turn 1.0 into 1 and -0.0 into 0, which have the same canonical form, and unwrap the root."""
    for holder in holders:
        for key, child in holder.items() if type(holder) is dict else enumerate(holder):
            if type(child) is float and abs(child) <= INTEGER_MAX and child.is_integer():
                holder[key] = int(child)
    value: JSONValue = root[0]
    return value


def _floats(holders: list[Any]) -> Iterator[float]:
    for holder in holders:
        for child in holder.values() if type(holder) is dict else holder:
            if type(child) is float:
                yield child


def _is_spelled_canonically(number: float) -> bool:
    """Whether msgspec spells the number as RFC 8785 asks: 1.0, and exponents, it does not."""
    return 1e-5 <= abs(number) <= INTEGER_MAX and not number.is_integer()


def _has_astral(content: bytes) -> bool:
    """Only characters beyond U+FFFF sort differently in UTF-16, which RFC 8785 asks for."""
    return not content.isascii() and len(content) != len(
        content.translate(None, _FIRST_BYTES_OF_ASTRAL)
    )


def _spelled(value: Any) -> Any:
    """The value with its keys in order and its floats as text, ready for a plain encoder."""
    if type(value) is dict:
        return {key: _spelled(value[key]) for key in sorted(value, key=_utf16)}
    if type(value) is list:
        return [_spelled(child) for child in value]
    return msgspec.Raw(rfc8785.dumps(value)) if type(value) is float else value


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")
