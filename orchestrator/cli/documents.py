"""Reads files and standard input; a failure names the file that cannot be read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cli.failure import CommandFailed, violation_lines
from orchestrator.documents.canonical import JSONValue, parse
from orchestrator.errors import InvalidInput

STDIN = Path("-")


def read_bytes(path: Path) -> bytes:
    """The whole file; `-` is standard input."""
    try:
        return sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from error


def parse_json(path: Path, content: bytes) -> JSONValue:
    """The content as strict JSON: no key twice, no number that is not one."""
    with naming(path):
        return parse(content, bytes_max=len(content), kind="file")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let the failure name the file, if something is refused in this block."""
    try:
        yield
    except InvalidInput as error:
        lines = violation_lines(str(error), getattr(error, "errors", []))
        name = "standard input" if path == STDIN else path
        raise CommandFailed(f"{name}: {error}", lines) from error
