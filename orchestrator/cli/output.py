"""Prints: tables for people, bodies for programs; it knows no command."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, TextIO

import msgspec

#: Not a terminal, so nothing needs to fit.
WIDTH_MAX = 10_000
#: Between two columns.
GAP = 2
#: JSON escapes the control characters of ASCII except this one.
_NOT_ASCII = re.compile(r"[\x7f-\U0010ffff]+")


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


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One line for each row; on a narrow terminal the widest columns are cut."""
    from rich.cells import cell_len
    from rich.table import Table

    screen = console(sys.stdout)
    values = list(rows)
    lines = [[_cell(value) for value in row] for row in values]
    widths = [max(map(cell_len, column)) for column in zip(columns, *lines, strict=True)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, width in enumerate(_fitted(widths, screen.width)):
        is_number = bool(values) and all(isinstance(row[at], int) for row in values)
        side: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(columns[at], width=width, no_wrap=True, overflow="ellipsis", justify=side)
    for line in lines:
        table.add_row(*line)
    _print(screen, table)


def _fitted(widths: list[int], width_max: int) -> list[int]:
    """Widths that fit together: the widest column is cut first, short ones last."""
    fitted = list(widths)
    gaps = GAP * (len(fitted) - 1)
    while sum(fitted) + gaps > width_max and max(fitted) > 1:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def write_record(members: Mapping[str, Any], names: Iterable[str]) -> None:
    """One line for each member that has a value."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name in names:
        if members.get(name) is not None:
            table.add_row(name.replace("_", " "), _cell(members[name]))
    _print(console(sys.stdout), table)


def printable(text: str) -> str:
    """Escape what could move the cursor of a terminal, in text that others wrote."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def _print(screen: Any, table: Any) -> None:
    """Print the table; without trailing spaces where a program may read it."""
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


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


def write_warning(text: str) -> None:
    """What may be a mistake, of something that was done."""
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    print(f"warning: {printable(text)}", file=sys.stderr)


def write_error(detail: str, lines: Iterable[str] = ()) -> None:
    """What went wrong, and more about it below."""
    # If both streams go to one file, what was printed before stands there before the error.
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    print(f"error: {printable(detail)}", file=sys.stderr)
    for line in lines:
        print(f"  {printable(line)}", file=sys.stderr)
