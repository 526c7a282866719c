"""Segment tables: what is encoded comes back, garbage is refused, offsets are those of a plain
list of bytes.
"""

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.storage.segments import SEGMENT_BYTES, Segment, SegmentTable

segments = st.builds(
    Segment,
    stored_bytes=st.integers(0, 2**32 - 1),
    digest=st.binary(min_size=32, max_size=32),
)
powers = st.integers(0, 30).map(lambda log2: 1 << log2)


def cut(content: bytes, segment_bytes: int) -> list[bytes]:
    """As intake cuts: the last one is shorter."""
    starts = range(0, len(content), segment_bytes)
    return [content[start : start + segment_bytes] for start in starts]


def records_of(table: SegmentTable) -> list[Segment]:
    return [table[number] for number in range(len(table))]


@given(st.lists(segments, max_size=20), powers)
def test_a_table_comes_back_as_it_was(records: list[Segment], segment_bytes: int) -> None:
    found = SegmentTable.decode(SegmentTable(records, segment_bytes).encode())
    assert (records_of(found), found.segment_bytes) == (records, segment_bytes)


def test_an_empty_blob_has_an_empty_table() -> None:
    found = SegmentTable.decode(SegmentTable([]).encode())
    assert (records_of(found), found.segment_bytes, found.stored_bytes) == ([], SEGMENT_BYTES, 0)
    assert found.covering(range(0)) == range(0)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_is_exactly_what_would_be_encoded(garbage: bytes) -> None:
    try:
        found = SegmentTable.decode(garbage)
    except ValueError:
        return
    assert found.encode() == garbage


@given(st.lists(segments, min_size=1, max_size=5), st.data())
def test_a_table_that_lost_or_won_bytes_is_refused(
    records: list[Segment], data: st.DataObject
) -> None:
    encoded = SegmentTable(records).encode()
    cut_at = data.draw(st.integers(0, len(encoded) - 1))
    # A cut between two records is one that only the length of the blob tells.
    if cut_at < 2 or (cut_at - 2) % 36:
        with pytest.raises(ValueError, match="wrong length"):
            SegmentTable.decode(encoded[:cut_at])
    with pytest.raises(ValueError, match="wrong length"):
        SegmentTable.decode(encoded + bytes(data.draw(st.integers(1, 35))))


@pytest.mark.parametrize(
    ("encoded", "said"),
    [
        (b"", "wrong length"),
        (b"\x01", "wrong length"),
        (b"\x00\x13", "version 0"),
        (b"\x02\x13", "version 2"),
        (b"\x01\x1f", r"2\^31 bytes"),
        (b"\x01\xff", r"2\^255 bytes"),
    ],
)
def test_a_header_that_we_do_not_write_is_refused(encoded: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SegmentTable.decode(encoded)


@given(st.binary(max_size=300))
def test_a_segment_matches_its_own_bytes_and_no_others(stored: bytes) -> None:
    record = Segment.of(stored)
    assert (record.stored_bytes, record.digest) == (len(stored), blake3(stored).digest())
    assert record.matches(stored)
    assert not record.matches(stored + b"\x00")
    if stored:
        assert not record.matches(stored[:-1])
        flipped = bytes([stored[0] ^ 1]) + stored[1:]
        assert not record.matches(flipped)


@given(st.integers(0, 200), st.integers(0, 6), st.data())
def test_the_covering_segments_hold_the_part_and_no_segment_more(
    size: int, log2: int, data: st.DataObject
) -> None:
    content = bytes(number % 251 for number in range(size))
    pieces = cut(content, 1 << log2)
    table = SegmentTable([Segment.of(piece) for piece in pieces], 1 << log2)
    start = data.draw(st.integers(0, size))
    part = range(start, data.draw(st.integers(start, size)))
    numbers = table.covering(part)
    held = b"".join(pieces[numbers.start : numbers.stop])
    at = numbers.start << log2
    assert held[part.start - at : part.stop - at] == content[part.start : part.stop]
    starts = [number << log2 for number in range(len(pieces))]
    wanted = [
        number
        for number, begin in enumerate(starts)
        if part and begin < part.stop and begin + len(pieces[number]) > part.start
    ]
    assert list(numbers) == wanted


@given(st.lists(st.binary(max_size=40), max_size=20), st.data())
def test_the_offset_of_a_segment_is_where_it_stands_in_storage(
    stored: list[bytes], data: st.DataObject
) -> None:
    table = SegmentTable([Segment.of(piece) for piece in stored])
    whole = b"".join(stored)
    assert table.stored_bytes == len(whole)
    number = data.draw(st.integers(0, len(stored)))
    assert whole[table.offset(number) :] == b"".join(stored[number:])
