"""Counts in the text of a JSON document, without reading its values; it refuses nothing.

It goes through the text in slices, so that other threads get their turn however long the text is.
What is counted is right for valid JSON only.
"""

import re
from collections.abc import Iterator

SLICE_BYTES = 64 * 1024
#: Shorter texts are short work and longer ones long work, whatever is in them.
_COUNTED_BYTES_MIN = 4 * 1024
_COUNTED_BYTES_MAX = 64 * 1024
_DIGITS = b"0123456789"
_LARGE_EXPONENT = re.compile(rb"[eE]\+?[1-9][0-9]{2}")
#: The decoder takes some 13 µs for such a number (measured), as for this many bytes of usual text.
_LARGE_EXPONENT_BYTES = 256

_SPACES = b" \t\r\n"


def size_of_reading(body: bytes) -> int:
    """How many bytes of usual text take as long to read as this one."""
    size = len(body)
    if not _COUNTED_BYTES_MIN < size < _COUNTED_BYTES_MAX:
        return size
    # Looking for exponents takes longer than this, and few texts are full of digits.
    if (size - len(body.translate(None, _DIGITS))) * 4 < size:
        return size
    return size + len(_LARGE_EXPONENT.findall(body)) * _LARGE_EXPONENT_BYTES


def has_more_values(body: bytes, values_max: int) -> bool:
    """Whether there are more values than that, at any depth, the document itself included."""
    # Each value is the document, or follows one of these.
    if len(body) <= values_max or 1 + sum(map(body.count, (b",", b"[", b"{"))) <= values_max:
        return False
    values, last = 1, b""
    for part in _outside_of_texts(body):
        text = last + part.translate(None, _SPACES)
        begun = text.count(b",") + text.count(b"[") + text.count(b"{")
        empty = text.count(b"[]") + text.count(b"{}")
        values += begun - empty - (last in (b",", b"[", b"{"))
        if values > values_max + 1:  # Only the list or object begun last may yet prove empty.
            return True
        last = text[-1:]
    return values > values_max


def members_of(body: bytes) -> int:
    """How many members all objects have together, repeated keys included."""
    return sum(part.count(b":") for part in _outside_of_texts(body))


def _outside_of_texts(body: bytes) -> Iterator[bytes]:
    """What stands outside of texts, slice by slice; a quote stands for each text in a slice."""
    is_inside, start = False, 0
    while start < len(body):
        part = body[start : start + SLICE_BYTES]
        if (len(part) - len(part.rstrip(b"\\"))) % 2:
            part += body[start + len(part) : start + len(part) + 1]
        start += len(part)
        # Escaped quotes end no text; an escaped backslash before a quote escapes nothing.
        pieces = part.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b'"'.join(pieces[is_inside::2])
        is_inside ^= len(pieces) % 2 == 0
        yield outside + b'"' if is_inside else outside
