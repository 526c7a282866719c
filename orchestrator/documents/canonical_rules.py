"""What canonical JSON does not allow, where it stands in a document, and why; it writes nothing.

This is the slow pass: it runs when something suspicious was found, to say where it is and what.
"""

import codecs
import json
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from orchestrator.documents.pointer import Place, shown_pointer
from orchestrator.documents.wording import shortened
from orchestrator.errors import InvalidInput, Violation

INTEGER_MAX = 2**53 - 1
# From here on JavaScript, and so RFC 8785, writes a number with an exponent.
EXPONENT_MIN = 1e21
VIOLATIONS_MAX = 100


class _Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """The members of an object as they are listed, repeated keys included."""


def is_writable(number: float) -> bool:
    """Whether the number is finite and its canonical form no integer beyond the limit."""
    return abs(number) <= INTEGER_MAX or (
        isinstance(number, float) and EXPONENT_MIN <= abs(number) < math.inf
    )


def read_spelled(body: bytes, kind: str, depth_max: int) -> Any:
    """The document as it is spelled: numbers as text, and every member of an object.

    InvalidInput says why it is no JSON.
    """
    try:
        return json.loads(
            _decoded(body, kind),
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


def refuse_violations(tree: Any, kind: str, depth_max: int) -> None:
    """Raise InvalidInput if a value, or a document as it is spelled, breaks a rule."""
    violations = list(islice(_violations(tree, depth_max), VIOLATIONS_MAX))
    if violations:
        first = violations[0]
        detail = f"The {kind} cannot be stored as canonical JSON: {first.message}"
        raise InvalidInput(detail, violations)


def _decoded(body: bytes, kind: str) -> str:
    if body.startswith(codecs.BOM_UTF8):
        message = f"The {kind} starts with a byte order mark, which JSON does not allow."
        raise InvalidInput.at("", "syntax", message)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The {kind} is not valid UTF-8: byte {error.start} cannot stand there."
        raise InvalidInput.at("", "utf-8", message) from error


def _violations(tree: Any, depth_max: int) -> Iterator[Violation]:
    """What is wrong in a value or in a tree of spelled members, in the order of the text."""
    pending: list[tuple[Place, Any]] = [((), tree)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, list | dict):
            if len(path) == depth_max:
                message = f"This is nested deeper than {depth_max} levels."
                yield Violation(shown_pointer(path), "depth", message)
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


def _key_violations(path: Place, keys: list[str]) -> Iterator[Violation]:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            message = f"The key {shortened(key)} stands more than once in the same object."
            yield Violation(shown_pointer((*path, key)), "duplicate-key", message)
        seen.add(key)
        yield from _text_violations((*path, key), key)


def _text_violations(path: Place, text: str) -> Iterator[Violation]:
    if "\0" in text:
        yield Violation(
            shown_pointer(path), "nul", "Text may not contain the character NUL (U+0000)."
        )
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        message = "Text may not contain half of a surrogate pair (U+D800 to U+DFFF)."
        yield Violation(shown_pointer(path), "lone-surrogate", message)


def _number_violations(path: Place, number: _Number | float) -> Iterator[Violation]:
    """Numbers are compared as float: that reads a million digits fast, and rounds up the rest."""
    is_integer = isinstance(number, int) or str(number).lstrip("-").isdecimal()
    size = abs(number if isinstance(number, int) else float(number))
    if not is_integer and not math.isfinite(size):
        yield Violation(shown_pointer(path), "not-finite", "A number must be finite.")
    elif size > INTEGER_MAX and (is_integer or not is_writable(size)):
        message = "An integer beyond ±(2^53-1) is not exact everywhere; write it as a string."
        yield Violation(shown_pointer(path), "integer-range", message)
