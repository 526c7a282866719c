"""Prints: tables and records for people, bodies for programs; it knows no command."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO

import msgspec

from orchestrator.cli.table import Column, record_lines, table_lines

#: Not a terminal, so nothing needs to fit.
WIDTH_MAX = 10_000
#: JSON escapes the control characters of ASCII except this one.
_NOT_ASCII = re.compile(r"[\x7f-\U0010ffff]+")
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


def write_json(body: bytes) -> None:
    """As the server sent it, on one line; on a terminal indented."""
    if sys.stdout.isatty():
        body = msgspec.json.format(body, indent=2)
    write_exactly(body + b"\n")


def write_document(content: bytes) -> None:
    """JSON for a person."""
    write_exactly(msgspec.json.format(content, indent=2) + b"\n")


def write_exactly(content: bytes) -> None:
    """JSON byte for byte; on a terminal with escapes for what the terminal could obey."""
    write_bytes(escaped_json(content) if sys.stdout.isatty() else content)


def escaped_json(content: bytes) -> bytes:
    """The same JSON value, without characters that are commands or change the order of others.

    Outside of strings JSON is ASCII, so all that is escaped is in strings.
    """
    return _NOT_ASCII.sub(lambda found: _escaped(found[0]), content.decode()).encode()


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def write_bytes(content: bytes) -> None:
    """Exactly these bytes, after what was printed before."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def write_lines(lines: Iterable[str]) -> None:
    """Lines of text."""
    write_bytes("".join(f"{line}\n" for line in lines).encode())


def write_table(columns: Sequence[Column]) -> None:
    """One line for each row, as wide as the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    write_lines(table_lines(columns, width, _emphasised))


def write_record(members: Mapping[str, str]) -> None:
    """One line for each member."""
    write_lines(record_lines(members, _emphasised))


def _emphasised(text: str) -> str:
    is_plain = not sys.stdout.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}
    return text if is_plain else f"{_BOLD}{text}{_PLAIN}"


def printable(text: str) -> str:
    """Escape what could move the cursor of a terminal, in text that others wrote."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def console(stream: TextIO) -> Any:
    """Colours and a limited width on a terminal only; NO_COLOR switches the colours off."""
    from rich.console import Console

    return Console(
        file=stream,
        width=None if stream.isatty() else WIDTH_MAX,
        markup=False,
        emoji=False,
        highlight=False,
    )


def write_error(detail: str, lines: Iterable[str] = ()) -> None:
    """What went wrong, and more about it below."""
    text = [f"error: {printable(detail)}", *(f"  {printable(line)}" for line in lines)]
    write_to_stderr("".join(f"{line}\n" for line in text))


def write_warning(text: str) -> None:
    """What may be a mistake, of something that was done."""
    write_to_stderr(f"warning: {printable(text)}\n")


def write_to_stderr(text: str) -> None:
    """After what was printed before, if both streams go to one file."""
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.write(text)
    sys.stderr.flush()
