"""YAML to JSON values and back, for our own documents; it reads no files.

YAML 1.1 and 1.2 read the same text differently: `no` is false or text, `1e3` text or a number, and
`12:30` a number or text. Nothing becomes another value unseen here: what both read alike is read
so, a date is the text that it is, since JSON has no dates, and everything else is refused with a
line, a column, and what to write instead.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from orchestrator.cli.failure import InvalidContent

#: As deep as a JSON document may be.
DEPTH_MAX = 64
#: An alias counts as much as what it stands for, so a small file cannot become a huge document.
VALUES_MAX = 1_000_000
#: Of what is refused so many are listed.
DOUBTS_MAX = 20

_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
#: What YAML 1.1 and 1.2 both read as a number, and as the same one.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?")
#: Truth values of YAML 1.1, text in 1.2.
_TRUTHS = {
    spelled: value
    for word, value in (("yes", "true"), ("no", "false"), ("on", "true"), ("off", "false"))
    for spelled in (word, word.capitalize(), word.upper())
}
#: A number in one of the two, or in both but spelled as JSON does not.
_NUMBERLIKE = re.compile(
    r"""[-+]?(?:
        0b[01_]+ | 0o[0-7]+ | 0x[0-9a-fA-F_]+
        | [0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
        | (?:[0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
        | \.(?:inf|Inf|INF)
    ) | \.(?:nan|NaN|NAN)""",
    re.VERBOSE,
)
_STR, _NULL_TAG = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
_TAGS: dict[str, type | tuple[type, ...]] = {
    "tag:yaml.org,2002:bool": bool,
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": (int, float),
    _NULL_TAG: type(None),
}
_MERGE = "<<"


@dataclass
class Parsed:
    """A document, and what was read as text that others may read as something else."""

    value: Any = None
    doubts: list[str] = field(default_factory=list)

    def check(self, name: str) -> None:
        """Refuse what is read differently by different programs."""
        if not self.doubts:
            return
        shown = self.doubts[:DOUBTS_MAX]
        if len(self.doubts) > len(shown):
            shown.append(f"and {len(self.doubts) - len(shown)} more")
        raise InvalidContent(
            f"{name}: Different programs read this differently, so say which is meant.", shown
        )


def parse_yaml(content: bytes, name: str) -> Parsed:
    """One document of JSON values; a failure names the file and the line."""
    reader = _Reader(name)
    try:
        events = yaml.parse(content, Loader=_LOADER)
        return Parsed(reader.document(events), reader.doubts)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        where = f"{_at(mark)}: " if mark else ""
        raise InvalidContent(f"{name}: This is not YAML: {where}{problem}.") from error


class _Reader:
    """Makes a value of the events of a parser."""

    def __init__(self, name: str) -> None:
        self.doubts: list[str] = []
        self._name = name
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0

    def document(self, events: Iterator[Any]) -> Any:
        """The one document of a stream."""
        next(events)
        started = next(events)
        if isinstance(started, yaml.StreamEndEvent):
            raise InvalidContent(f"{self._name}: This is empty.")
        value = self._value(next(events), events, 0)
        next(events)
        following = next(events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise self._refused(following, "Here begins a second document: give one.")
        return value

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise self._refused(event, f"This is nested deeper than {DEPTH_MAX} levels.")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        self._counted(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        else:
            if not event.implicit:
                raise self._refused(event, f"The tag {event.tag} has no meaning here.")
            is_list = isinstance(event, yaml.SequenceStartEvent)
            value = (self._list if is_list else self._object)(events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._count - before
        return value

    def _list(self, events: Iterator[Any], depth: int) -> list[Any]:
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, depth + 1))
        return items

    def _object(self, events: Iterator[Any], depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._value(event, events, depth + 1)
            if not isinstance(key, str):
                raise self._refused(event, "The name of a member is text: quote it.")
            if key == _MERGE and _is_plain(event):
                raise self._refused(event, "Merge keys are not read: write the members out.")
            if key in members:
                raise self._refused(event, f"The member {key!r} is here twice.")
            members[key] = self._value(next(events), events, depth + 1)
        return members

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise self._refused(event, f"Nothing whole is called &{event.anchor} before this.")
        value, count = self._anchors[event.anchor]
        self._counted(event, count)
        return value

    def _scalar(self, event: Any) -> Any:
        if event.tag not in {None, "!", _STR, *_TAGS}:
            raise self._refused(event, f"The tag {event.tag} has no meaning here.")
        if event.tag in _TAGS:
            value = plain_value(event.value)
            if not isinstance(value, _TAGS[event.tag]):
                raise self._refused(event, f"{event.value!r} is not what its tag says.")
            return value
        if not _is_plain(event):
            return event.value
        if doubt := doubt_about(event.value):
            self.doubts.append(f"{_at(event.start_mark)}: {doubt}")
        return plain_value(event.value)

    def _counted(self, event: Any, count: int) -> None:
        self._count += count
        if self._count > VALUES_MAX:
            raise self._refused(event, f"With its aliases it has more than {VALUES_MAX:,} values.")

    def _refused(self, event: Any, message: str) -> InvalidContent:
        return InvalidContent(f"{self._name}: {_at(event.start_mark)}: {message}")


def plain_value(text: str) -> Any:
    """What an unquoted scalar is; text, unless YAML 1.1 and 1.2 both read something else."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def doubt_about(text: str) -> str | None:
    """How an unquoted scalar is read differently, and what to write; None if it is not."""
    if text in _TRUTHS:
        return f'{text} is text or {_TRUTHS[text]}: write "{text}" or {_TRUTHS[text]}.'
    if isinstance(plain_value(text), str) and _NUMBERLIKE.fullmatch(text):
        return f'{text} is text or a number: write "{text}", or the number as JSON does.'
    return None


def _is_plain(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.implicit[0] and not event.style


def _at(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def dump_yaml(value: Any) -> str:
    """The value as every reader of YAML reads it back; what a terminal could obey is escaped."""
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=_is_printable(value),
        width=100,
    )
    # The end of a document is written only after a scalar that is one.
    return str(text).removesuffix("...\n")


def _is_printable(value: Any) -> bool:
    if isinstance(value, str):
        return value.replace("\n", "").isprintable()
    if isinstance(value, dict):
        return all(map(_is_printable, value)) and all(map(_is_printable, value.values()))
    return not isinstance(value, list) or all(map(_is_printable, value))


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_BASE):  # type: ignore[misc] # Its base is chosen as the program runs.
    """Quotes every text that some reader could take for something else."""

    def ignore_aliases(self, _: object) -> bool:
        """Write a value as often as it occurs."""
        return True


def _text_node(dumper: Any, text: str) -> Any:
    is_other = not isinstance(plain_value(text), str) or doubt_about(text)
    is_block = "\n" in text and text.replace("\n", "").isprintable()
    return dumper.represent_scalar(_STR, text, style='"' if is_other else "|" if is_block else None)


_Dumper.add_representer(str, _text_node)
