"""Tables and records as lines of text that fit a width; it prints nothing and knows no command.

Names, versions, hashes and times are never cut: at a narrow terminal free text is cut first, then
columns that say less are left out, and in the end each row becomes a record.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

#: How the header of a table and the labels of a record are made to stand out.
Emphasis: TypeAlias = Callable[[str], str]

#: Between two columns.
GAP = 2
#: Free text that would be shorter says nothing.
TEXT_WIDTH_MIN = 10
#: Free text: it may be cut.
_TEXT = frozenset({"message", "meta", "detail"})
#: What each row is about, and may be copied into the next command. The first column is, too.
_KEPT = frozenset({"name", "tag", "version", "seq", "version_hash", "cas_id", "child", "parent"})
#: What is left out first if there is no room.
_SPARE = ("transaction_id", "artifact_id", "kind", "op_count", "edges_count", "nodes_count")


@dataclass(frozen=True)
class Column:
    """The cells of one member, as text."""

    name: str
    header: str
    cells: Sequence[str]
    is_number: bool

    @cached_property
    def width(self) -> int:
        """That of the widest cell."""
        return max(map(cell_width, (self.header, *self.cells)))

    @property
    def is_text(self) -> bool:
        """Whether it may be cut."""
        return self.name in _TEXT

    def is_kept(self, at: int) -> bool:
        """Whether a row means nothing without it."""
        return at == 0 or self.name in _KEPT or self.name.endswith("_at")


def column(name: str, header: str, values: Iterable[object], cells: Sequence[str]) -> Column:
    """Numbers stand to the right."""
    is_number = bool(cells) and all(isinstance(value, int) for value in values)
    return Column(name, header, cells, is_number)


def cell_width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def table_lines(
    columns: Sequence[Column], width_max: int | None, emphasis: Emphasis
) -> Iterator[str]:
    """The header and a line for each row; None is as wide as need be."""
    fitted = list(columns) if width_max is None else _fitted(columns, width_max)
    if width_max is not None and _width(fitted) > width_max:
        for row in zip(*(each.cells for each in columns), strict=True):
            headers = [each.header for each in columns]
            yield from record_lines(dict(zip(headers, row, strict=True)), emphasis)
            yield ""
        return
    header, *rows = (_line(fitted, at) for at in range(-1, len(fitted[0].cells)))
    yield emphasis(header)
    yield from rows


def record_lines(members: Mapping[str, str], emphasis: Emphasis) -> Iterator[str]:
    """A line for each member; a long value goes on, so that it can be copied as a whole."""
    width = max(map(cell_width, members), default=0)
    for label, value in members.items():
        yield f"{emphasis(_padded(label, width))}{' ' * GAP}{value}".rstrip()


def _line(columns: Sequence[Column], at: int) -> str:
    """A row, or the header before the first of them."""
    cells = [
        _padded(each.header if at < 0 else each.cells[at], each.width, to_the_right=each.is_number)
        for each in columns
    ]
    return (" " * GAP).join(cells).rstrip()


def _fitted(columns: Sequence[Column], width_max: int) -> list[Column]:
    """What fits if anything does: text is cut, then columns go that say less."""
    left = list(columns)
    spare = sorted(
        (each for at, each in enumerate(columns) if not each.is_kept(at)),
        key=lambda each: _SPARE.index(each.name) if each.name in _SPARE else len(_SPARE),
    )
    while True:
        narrowed = _with_text_cut(left, width_max)
        if _width(narrowed) <= width_max or not spare:
            return narrowed
        left.remove(spare.pop(0))


def _with_text_cut(columns: Sequence[Column], width_max: int) -> list[Column]:
    excess = _width(columns) - width_max
    fitted = []
    for each in columns:
        if excess > 0 and each.is_text:
            room = max(each.width - excess, TEXT_WIDTH_MIN)
            excess -= each.width - room
            cells = [_cut(cell, room) for cell in each.cells]
            fitted.append(Column(each.name, each.header, cells, each.is_number))
        else:
            fitted.append(each)
    return fitted


def _width(columns: Sequence[Column]) -> int:
    return sum(each.width for each in columns) + GAP * (len(columns) - 1)


def _cut(text: str, width: int) -> str:
    if cell_width(text) <= width:
        return text
    cut = text[: width - 1]
    while cell_width(cut) > width - 1:
        cut = cut[:-1]
    return f"{cut}…"


def _padded(text: str, width: int, *, to_the_right: bool = False) -> str:
    space = " " * (width - cell_width(text))
    return space + text if to_the_right else text + space
