"""Strict JSON in and canonical JSON (RFC 8785) out; it knows no document format and does no I/O.

What `parse` accepts, `canonicalise` can write, and `parse` reads that back as the same value. Good
input goes through C code and one survey of the values; only when those find something odd does a
slower pass look again, to say where and what.
"""

import codecs
import json
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeAlias

import msgspec
import rfc8785

from orchestrator.errors import InvalidInput, TooLarge, Violation

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"
Path: TypeAlias = tuple[str | int, ...]

DEPTH_MAX = 64
INTEGER_MAX = 2**53 - 1
# From here on JavaScript, and so RFC 8785, writes a number with an exponent.
EXPONENT_MIN = 1e21
VIOLATIONS_MAX = 100
POINTER_CHARACTERS_MAX = 1_000

_SORTING_ENCODER = msgspec.json.Encoder(order="sorted")
_ENCODER = msgspec.json.Encoder()
_FAST_DECODER = msgspec.json.Decoder()
_ESCAPED_NUL = b"\\u0000"
_FIRST_BYTES_OF_ASTRAL = bytes(range(0xF0, 0xF5))


class _Odd(ValueError):
    """Something may not be as it is; the slow pass will say what."""


class _Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """The members of an object as they are listed, repeated keys included."""


def parse(
    body: bytes, *, bytes_max: int, kind: str = "document", depth_max: int = DEPTH_MAX
) -> JSONValue:
    """Read strict JSON; numbers that are integers, such as 1.0, come back as int."""
    if len(body) > bytes_max:
        raise TooLarge(kind, bytes_max, len(body))
    try:
        root = [_decoded_alike(body)]
        holders = _survey(root, depth_max)
    except (ValueError, RecursionError):
        return _parse_slowly(body, kind, depth_max)
    return _with_integers(root, holders)


def canonicalise(value: JSONValue, *, depth_max: int = DEPTH_MAX) -> bytes:
    """The RFC 8785 form of what `parse` returned, or of a value put together from such parts."""
    try:
        holders = _survey([value], depth_max)
        content = _encoded(_SORTING_ENCODER, value)
    except ValueError:
        _refuse_violations(value, "value", depth_max)
        holders, content = _survey([value], depth_max), _SORTING_ENCODER.encode(value)
    if _has_astral(content) or not all(map(_is_spelled_alike, _floats(holders))):
        return _ENCODER.encode(_spelled(value))
    return content


def pointer(path: Iterable[str | int]) -> str:
    """An RFC 6901 pointer; one that would be very long stops at the last ancestor that fits."""
    text = ""
    for part in path:
        # A key may be as long as the document, and may hold what UTF-8 cannot write.
        name = str(part)[: POINTER_CHARACTERS_MAX + 1].encode("utf-8", "replace").decode("utf-8")
        longer = f"{text}/{name.replace('~', '~0').replace('/', '~1')}"
        if len(longer) > POINTER_CHARACTERS_MAX:
            break
        text = longer
    return text


def shortened(text: str, *, characters_max: int = 80) -> str:
    """Text from a document as it may stand in a message."""
    quoted = json.dumps(text[:characters_max], ensure_ascii=not text.isprintable())
    return quoted if len(text) <= characters_max else f'{quoted[:-1]}…"'


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise _Odd
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _decoded_alike(body: bytes) -> Any:
    """The value, with nothing lost. The fast decoder would drop the first of two equal keys, but
    then what it read is not written as it was sent. Most programs send no spaces between the
    tokens, and their bodies are written just so: a third of the time of the careful decoder.
    """
    value = _FAST_DECODER.decode(body)
    if _ESCAPED_NUL in body:
        raise _Odd
    if _ENCODER.encode(value) != body:
        value = _DECODER.decode(body.decode("utf-8"))
        if b"\\u" in body:
            _encoded(_ENCODER, value)
    return value


def _encoded(encoder: msgspec.json.Encoder, value: Any) -> bytes:
    """The encoder refuses lone surrogates by itself; the escape of NUL may also be plain text."""
    content = encoder.encode(value)
    if _ESCAPED_NUL in content:
        raise _Odd
    return content


def _survey(root: list[Any], depth_max: int = DEPTH_MAX) -> list[Any]:
    """List the containers that hold floats; stop at numbers and depths that may not be.

    It goes level by level, so depth is known and costs no recursion.
    """
    holders: list[Any] = []
    level = [root]
    for _ in range(depth_max + 1):
        level = _level_below(level, holders)
        if not level:
            return holders
    raise _Odd


def _level_below(level: list[Any], holders: list[Any]) -> list[Any]:
    below: list[Any] = []
    for container in level:
        children: Iterable[Any] = container
        if isinstance(container, dict):
            children = container.values()
        for child in children:
            kind = type(child)
            if kind is str:
                continue
            if kind is dict or kind is list:
                below.append(child)
            elif kind is int or kind is float:
                if not _is_writable(child):
                    raise _Odd
                if kind is float and (not holders or holders[-1] is not container):
                    holders.append(container)
            elif child is not None and kind is not bool:
                raise TypeError(f"{kind.__name__} is not a JSON value.")
    return below


def _is_writable(number: float) -> bool:
    """Whether the number is finite and its canonical form no integer beyond the limit."""
    return abs(number) <= INTEGER_MAX or (
        isinstance(number, float) and EXPONENT_MIN <= abs(number) < math.inf
    )


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


def _is_spelled_alike(number: float) -> bool:
    """Whether msgspec writes the number as RFC 8785 wants it."""
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


def _parse_slowly(body: bytes, kind: str, depth_max: int) -> JSONValue:
    """Refuse with the reason; without one the alarm was false, and the value is returned."""
    text = _decoded(body, kind)
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_Members,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        message = f"The {kind} is not valid JSON: {error.msg.removesuffix(' at')} at {place}."
        raise InvalidInput.at("", "syntax", message) from error
    except RecursionError as error:
        message = f"The {kind} nests deeper than {depth_max} levels."
        raise InvalidInput.at("", "depth", message) from error
    _refuse_violations(tree, kind, depth_max)
    root = [_DECODER.decode(text)]
    return _with_integers(root, _survey(root, depth_max))


def _decoded(body: bytes, kind: str) -> str:
    if body.startswith(codecs.BOM_UTF8):
        message = f"The {kind} starts with a byte order mark, which JSON does not allow."
        raise InvalidInput.at("", "syntax", message)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The {kind} is not valid UTF-8: byte {error.start} cannot stand there."
        raise InvalidInput.at("", "utf-8", message) from error


def _refuse_violations(tree: Any, kind: str, depth_max: int) -> None:
    violations = list(islice(_violations(tree, depth_max), VIOLATIONS_MAX))
    if violations:
        first = violations[0]
        detail = f"The {kind} cannot be stored as canonical JSON: {first.message}"
        raise InvalidInput(detail, violations)


def _violations(tree: Any, depth_max: int) -> Iterator[Violation]:
    """What is wrong in a value or in a tree of spelled members, in the order of the text."""
    pending: list[tuple[Path, Any]] = [((), tree)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, list | dict):
            if len(path) == depth_max:
                message = f"This is nested deeper than {depth_max} levels."
                yield Violation(pointer(path), "depth", message)
                continue
            children: list[tuple[str | int, Any]] = list(_children(value))
            if not isinstance(value, list) or isinstance(value, _Members):
                yield from _key_violations(path, [str(key) for key, _ in children])
            pending.extend(((*path, key), child) for key, child in reversed(children))
        elif isinstance(value, _Number | int | float):
            yield from _number_violations(path, value)
        elif isinstance(value, str):
            yield from _text_violations(path, value)


def _children(container: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(container, dict):
        return container.items()
    return container if isinstance(container, _Members) else enumerate(container)


def _key_violations(path: Path, keys: list[str]) -> Iterator[Violation]:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            message = f"The key {shortened(key)} stands more than once in the same object."
            yield Violation(pointer((*path, key)), "duplicate-key", message)
        seen.add(key)
        yield from _text_violations((*path, key), key)


def _text_violations(path: Path, text: str) -> Iterator[Violation]:
    if "\0" in text:
        yield Violation(pointer(path), "nul", "Text may not contain the character NUL (U+0000).")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        message = "Text may not contain half of a surrogate pair (U+D800 to U+DFFF)."
        yield Violation(pointer(path), "lone-surrogate", message)


def _number_violations(path: Path, number: _Number | float) -> Iterator[Violation]:
    """Numbers are compared as float: that reads a million digits fast, and rounds up the rest."""
    is_integer = isinstance(number, int) or str(number).lstrip("-").isdecimal()
    size = abs(number if isinstance(number, int) else float(number))
    if not is_integer and not math.isfinite(size):
        yield Violation(pointer(path), "not-finite", "A number must be finite.")
    elif size > INTEGER_MAX and (is_integer or not _is_writable(size)):
        message = "An integer beyond ±(2^53-1) is not exact everywhere; write it as a string."
        yield Violation(pointer(path), "integer-range", message)
