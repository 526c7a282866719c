"""Finds what canonical JSON does not allow in the text of a document; it builds no values.

One pass in small steps, so that other threads get their turn however long the text is. In memory it
has the place where it is, and the keys of the objects around it.
"""

import codecs
import json
import re
from collections.abc import Iterable
from typing import Any

from orchestrator.documents.canonical_rules import (
    Spelled,
    number_violations,
    repeated,
    text_violations,
    too_deep,
)
from orchestrator.errors import VIOLATIONS_MAX, InvalidInput, Violation

#: A text that nests deeper is not read on, even to look for errors of syntax.
NESTED_MAX = 1_000

_SPACE = re.compile(r"[ \t\n\r]*+")
_KEY = re.compile(r'"([^"\\\x00-\x1f]*+)"[ \t\n\r]*+:')
#: A value that can break no rule.
_HARMLESS = re.compile(r'"[^"\\\x00-\x1f]*+"|true|false|null|-?(?:0|[1-9][0-9]{0,14})(?![0-9.eE])')
#: Many such values at once, in a list.
_HARMLESS_RUN = re.compile(
    r"(?:(?:-?(?:0|[1-9][0-9]{0,14})|true|false|null)[ \t\n\r]*+,[ \t\n\r]*+){1,1000}"
)
_SPELLED = json.JSONDecoder(parse_int=Spelled, parse_float=Spelled, parse_constant=Spelled)
_CLOSING = {"{": "}", "[": "]"}


def violations_in(body: bytes, kind: str, depth_max: int) -> list[Violation]:
    """The first violations, and one more than may be listed if there are so many.

    InvalidInput says why it is no JSON, unless as many violations stand before that.
    """
    scan = _Scan(_decoded(body, kind), depth_max)
    try:
        scan.run()
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        message = f"The {kind} is not valid JSON: {error.msg.removesuffix(' at')} at {place}."
        raise InvalidInput.at("", "syntax", message) from error
    except _NestedTooDeepError as error:
        message = f"The {kind} nests deeper than {depth_max} levels."
        raise InvalidInput.at("", "depth", message) from error
    return scan.found


def _decoded(body: bytes, kind: str) -> str:
    if body.startswith(codecs.BOM_UTF8):
        message = f"The {kind} starts with a byte order mark, which JSON does not allow."
        raise InvalidInput.at("", "syntax", message)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The {kind} is not valid UTF-8: byte {error.start} cannot stand there."
        raise InvalidInput.at("", "utf-8", message) from error


class _NestedTooDeepError(Exception):
    """The text nests so deeply that it is not read on."""


class _Scan:
    """One pass over a text."""

    def __init__(self, text: str, depth_max: int) -> None:
        self.found: list[Violation] = []
        self._text = text
        self._depth_max = depth_max
        #: The keys and indexes on the way to the value that comes next.
        self._place: list[Any] = []
        #: For each container that is open: the keys that an object had until now, None for a list.
        self._open: list[set[str] | None] = []

    def run(self) -> None:
        """Go to the end, or to more violations than may be listed."""
        at = self._spaces(0)
        while len(self.found) <= VIOLATIONS_MAX:
            at, is_next = self._value(at)
            while not is_next and self._open:
                at, is_next = self._behind_value(self._spaces(at))
            if not self._open:
                at = self._spaces(at)
                if at != len(self._text):
                    raise json.JSONDecodeError("Extra data", self._text, at)
                return

    def _value(self, at: int) -> tuple[int, bool]:
        """Read a value, but of a container only its beginning; return where to go on.

        True: another value must stand there.
        """
        text = self._text
        start = text[at : at + 1]
        if start in _CLOSING:
            return self._container(at, start)
        if self._open and self._open[-1] is None and (run := _HARMLESS_RUN.match(text, at)):
            self._place[-1] += text.count(",", at, run.end())
            return run.end(), True
        if harmless := _HARMLESS.match(text, at):
            return harmless.end(), False
        value, end = _SPELLED.raw_decode(text, at)
        if isinstance(value, Spelled):
            self._find(number_violations(self._place, value))
        elif isinstance(value, str):
            self._find(text_violations(self._place, value))
        return end, False

    def _container(self, at: int, start: str) -> tuple[int, bool]:
        if len(self._open) == self._depth_max:
            self._find([too_deep(self._place, self._depth_max)])
        if len(self._open) == NESTED_MAX:
            raise _NestedTooDeepError
        at = self._spaces(at + 1)
        if self._text[at : at + 1] == _CLOSING[start]:
            return at + 1, False
        keys: set[str] | None = set() if start == "{" else None
        self._open.append(keys)
        self._place.append(0)
        return (at if keys is None else self._member(at, keys)), True

    def _behind_value(self, at: int) -> tuple[int, bool]:
        """Go to the next value of the same container, or behind the container if it ends here."""
        keys, mark = self._open[-1], self._text[at : at + 1]
        if mark == ",":
            at = self._spaces(at + 1)
            if keys is not None:
                return self._member(at, keys), True
            self._place[-1] += 1
            return at, True
        if mark != ("]" if keys is None else "}"):
            raise json.JSONDecodeError("Expecting ',' delimiter", self._text, at)
        self._open.pop()
        self._place.pop()
        return at + 1, False

    def _member(self, at: int, keys: set[str]) -> int:
        """Read the key of a member; return where its value begins."""
        text = self._text
        plain = _KEY.match(text, at)
        if plain:
            key, at = plain[1], plain.end()
        else:
            if text[at : at + 1] != '"':
                wanted = "Expecting property name enclosed in double quotes"
                raise json.JSONDecodeError(wanted, text, at)
            key, at = _SPELLED.raw_decode(text, at)
            at = self._spaces(at) + 1
            if text[at - 1 : at] != ":":
                raise json.JSONDecodeError("Expecting ':' delimiter", text, at - 1)
        self._place[-1] = key
        if key in keys:
            self._find([repeated(self._place, key)])
        if not plain:
            self._find(text_violations(self._place, key))
        keys.add(key)
        return self._spaces(at)

    def _spaces(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _find(self, violations: Iterable[Violation]) -> None:
        """Note violations, but none inside a container that is too deep: one is enough."""
        if len(self._open) <= self._depth_max:
            self.found += violations
