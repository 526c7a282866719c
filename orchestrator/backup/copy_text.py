"""Reads files in the text format of PostgreSQL's COPY; it writes none and knows no tables."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_NULL = rb"\N"

Row = dict[str, str | None]


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Row by row, so that there may be many. A line break within a value is escaped in the file."""
    with path.open("rb") as file:
        for line in file:
            fields = line.removesuffix(b"\n").split(b"\t")
            yield dict(zip(columns, map(_value, fields), strict=True))


def as_bytes(value: str | None) -> bytes | None:
    r"""A `bytea`, which PostgreSQL writes as `\x` and hexadecimal digits."""
    return None if value is None else bytes.fromhex(value.removeprefix(r"\x"))


def as_time(value: str | None) -> datetime | None:
    """A `timestamptz` that was written in UTC."""
    return None if value is None else datetime.fromisoformat(value)


def _value(field: bytes) -> str | None:
    if field == _NULL:
        return None
    if b"\\" in field:
        field = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), field)
    return field.decode()
