"""Reads files and standard input as documents; a failure names the file that cannot be read.

A file is JSON, or YAML if its name says so. Where no name says it, JSON begins with a bracket.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.failure import CommandFailed, InvalidContent, violation_lines
from orchestrator.errors import InvalidInput

if TYPE_CHECKING:
    from orchestrator.documents.canonical import JSONValue

STDIN = Path("-")
_YAML = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class Document:
    """What a file says, and the JSON that is sent for it."""

    value: Any
    content: bytes


def read_bytes(path: Path) -> bytes:
    """The whole file; `-` is standard input."""
    try:
        return sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from error


def read_document(path: Path) -> Document:
    """A document of our own, in JSON or in YAML."""
    return parse_document(path, read_bytes(path))


def parse_document(path: Path, content: bytes) -> Document:
    """The content of such a file. JSON is sent as it is."""
    if not is_yaml(path, content):
        return Document(parse_json(path, content), content)
    from orchestrator.cli.yaml_text import parse_yaml
    from orchestrator.documents.canonical import canonicalise

    parsed = parse_yaml(content, shown_name(path))
    parsed.check(shown_name(path))
    with naming(path):
        return Document(parsed.value, canonicalise(parsed.value))


def read_workflow(path: Path) -> Document:
    """A workflow; that of another program is refused, and named."""
    content = read_bytes(path)
    value = None if is_yaml(path, content) else parse_json(path, content)
    _refuse_foreign(path, content, value)
    return parse_document(path, content) if value is None else Document(value, content)


def _refuse_foreign(path: Path, content: bytes, value: object) -> None:
    from orchestrator.cli.foreign import foreign_format

    if kind := foreign_format(content.decode("utf-8", "replace"), value):
        raise InvalidContent(
            f"{shown_name(path)}: This is {kind}, and cannot be imported yet.",
            ["What can be: our own workflows, as JSON or YAML, and WfFormat (wfcommons.org)."],
        )


def is_yaml(path: Path, content: bytes) -> bool:
    """Whether a file is not JSON: by its ending, else by how it begins."""
    if path.suffix in _YAML or path.suffix == ".json":
        return path.suffix in _YAML
    return content.lstrip()[:1] not in {b"{", b"["}


def parse_json(path: Path, content: bytes) -> "JSONValue":
    """The content as strict JSON: no key twice, no number that is not one."""
    from orchestrator.documents.canonical import parse

    with naming(path):
        return parse(content, bytes_max=len(content), kind="file")


def shown_name(path: Path) -> str:
    """As a person calls it."""
    return "standard input" if path == STDIN else str(path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let the failure name the file, if something is refused in this block."""
    try:
        yield
    except InvalidInput as error:
        lines = violation_lines(str(error), getattr(error, "errors", []))
        raise InvalidContent(f"{shown_name(path)}: {error}", lines) from error
