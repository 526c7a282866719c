"""What canonical JSON does not allow, and where it stands in a value; it reads no text."""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from orchestrator.documents.pointer import shown_pointer
from orchestrator.documents.wording import shortened
from orchestrator.errors import VIOLATIONS_MAX, InvalidInput, Violation

INTEGER_MAX = 2**53 - 1
# From here on JavaScript, and so RFC 8785, writes a number with an exponent.
EXPONENT_MIN = 1e21

_SURROGATE = re.compile("[\ud800-\udfff]")


class Spelled(str):
    """A number as it is spelled."""

    __slots__ = ()


def is_writable(number: float) -> bool:
    """Whether the number is finite and its canonical form no integer beyond the limit."""
    return abs(number) <= INTEGER_MAX or (
        isinstance(number, float) and EXPONENT_MIN <= abs(number) < math.inf
    )


def refuse_violations(value: Any, kind: str, depth_max: int) -> None:
    """Raise InvalidInput if a value breaks a rule."""
    refuse(list(islice(_violations(value, depth_max), VIOLATIONS_MAX + 1)), kind)


def refuse(violations: list[Violation], kind: str) -> None:
    """Raise InvalidInput if there are violations."""
    if violations:
        first = violations[0]
        detail = f"The {kind} cannot be stored as canonical JSON: {first.message}"
        raise InvalidInput(detail, violations)


def _violations(value: Any, depth_max: int) -> Iterator[Violation]:
    """What is wrong in a value, in order: of an object first its keys."""
    place: list[str | int] = []
    pending: list[Iterator[tuple[Any, Any]]] = [iter([(None, value)])]
    while pending:
        step = next(pending[-1], None)
        if step is None:
            pending.pop()
            continue
        place[len(pending) - 2 :] = [step[0]] if len(pending) > 1 else []
        child = step[1]
        if not isinstance(child, list | dict):
            yield from _scalar_violations(place, child)
        elif len(place) == depth_max:
            yield too_deep(place, depth_max)
        elif isinstance(child, dict):
            for key in child:
                yield from text_violations([*place, key], key)
            pending.append(iter(child.items()))
        else:
            pending.append(enumerate(child))


def _scalar_violations(place: Iterable[str | int], value: Any) -> Iterable[Violation]:
    if isinstance(value, str):
        return text_violations(place, value)
    return number_violations(place, value) if isinstance(value, int | float) else ()


def too_deep(place: Iterable[str | int], depth_max: int) -> Violation:
    """A container where no other may begin."""
    message = f"This is nested deeper than {depth_max} levels."
    return Violation(shown_pointer(place), "depth", message)


def repeated(place: Iterable[str | int], key: str) -> Violation:
    """A key that the object has before."""
    message = f"The key {shortened(key)} stands more than once in the same object."
    return Violation(shown_pointer(place), "duplicate-key", message)


def text_violations(place: Iterable[str | int], text: str) -> Iterator[Violation]:
    """What is wrong with a text, or with a key."""
    if "\0" in text:
        yield Violation(
            shown_pointer(place), "nul", "Text may not contain the character NUL (U+0000)."
        )
    if not text.isascii() and _SURROGATE.search(text):
        message = "Text may not contain half of a surrogate pair (U+D800 to U+DFFF)."
        yield Violation(shown_pointer(place), "lone-surrogate", message)


def number_violations(place: Iterable[str | int], number: Spelled | float) -> Iterator[Violation]:
    """Numbers are compared as float: that reads a million digits fast, and rounds up the rest."""
    is_integer = isinstance(number, int) or str(number).lstrip("-").isdecimal()
    size = abs(number if isinstance(number, int) else float(number))
    if not is_integer and not math.isfinite(size):
        yield Violation(shown_pointer(place), "not-finite", "A number must be finite.")
    elif size > INTEGER_MAX and (is_integer or not is_writable(size)):
        message = "An integer beyond ±(2^53-1) is not exact everywhere; write it as a string."
        yield Violation(shown_pointer(place), "integer-range", message)
