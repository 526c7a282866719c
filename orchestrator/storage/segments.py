"""The segment table of a blob in storage, with which any part is found, checked and unpacked.

A blob outside PostgreSQL is cut into segments of 256 KiB, the last one shorter. Each is stored as
it is, or as one zstd frame (RFC 8878: frames may follow each other, so all of them together are one
zstd stream too). The table has the stored length and the BLAKE3 of the *stored* bytes of each
segment: nothing is used, unpacked or sent before it was checked, wherever a read begins.
"""

import struct
from array import array
from collections.abc import Iterable, Sequence

import msgspec
from blake3 import blake3

SEGMENT_BYTES = 256 * 1024
#: Version of the format, log2 of the segment size; then a record for each segment.
_HEADER = struct.Struct("<BB")
_RECORD = struct.Struct("<I32s")
_VERSION = 1
#: Larger segments could not be unpacked in memory.
_LOG2_MAX = 30


class Segment(msgspec.Struct, frozen=True):
    """One piece of a blob as it is stored."""

    stored_bytes: int
    digest: bytes

    @classmethod
    def of(cls, stored: bytes | memoryview) -> "Segment":
        """The record of these stored bytes."""
        return cls(len(stored), blake3(stored).digest())

    def matches(self, stored: bytes | memoryview) -> bool:
        """Whether these are the bytes that were stored."""
        return len(stored) == self.stored_bytes and blake3(stored).digest() == self.digest


class SegmentTable:
    """All segments of one blob, in order. An empty blob has none.

    It stays encoded in memory: a large blob has tens of thousands of segments, which as objects
    would take more memory than the pieces of a transfer.
    """

    def __init__(
        self, segments: Iterable[Segment] = (), segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.segment_bytes = segment_bytes
        self._records: bytearray | memoryview = bytearray()
        for segment in segments:
            self.append(segment)

    def append(self, segment: Segment) -> None:
        """Add one at the end. A table that was decoded cannot grow."""
        if not isinstance(self._records, bytearray):
            raise TypeError("the table was decoded")
        self._records += _RECORD.pack(segment.stored_bytes, segment.digest)

    def __len__(self) -> int:
        return len(self._records) // _RECORD.size

    def __getitem__(self, number: int) -> Segment:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return Segment(*_RECORD.unpack_from(self._records, number * _RECORD.size))

    @property
    def stored_bytes(self) -> int:
        """The size of the blob in storage."""
        return self.offset(len(self))

    def covering(self, part: range) -> range:
        """The numbers of the segments that hold this part of the blob's own bytes."""
        if not part:
            return range(0)
        return range(part.start // self.segment_bytes, (part.stop - 1) // self.segment_bytes + 1)

    def lengths(self, numbers: range) -> Sequence[int]:
        """How long these segments are in storage."""
        some = memoryview(self._records)[numbers.start * _RECORD.size : numbers.stop * _RECORD.size]
        return array("I", (stored_bytes for stored_bytes, _ in _RECORD.iter_unpack(some)))

    def offset(self, number: int) -> int:
        """Where a segment begins in storage."""
        return sum(self.lengths(range(number)))

    def encode(self) -> bytes:
        """The table as the database stores it."""
        return _HEADER.pack(_VERSION, self.segment_bytes.bit_length() - 1) + self._records

    @classmethod
    def decode(cls, encoded: bytes) -> "SegmentTable":
        """Raise ValueError for anything that `encode` did not make."""
        if len(encoded) < _HEADER.size or (len(encoded) - _HEADER.size) % _RECORD.size:
            raise ValueError("a segment table of a wrong length")
        version, log2 = _HEADER.unpack_from(encoded)
        if version != _VERSION:
            raise ValueError(f"a segment table of version {version}")
        if log2 > _LOG2_MAX:
            raise ValueError(f"a segment table of segments of 2^{log2} bytes")
        table = cls((), 1 << log2)
        table._records = memoryview(encoded)[_HEADER.size :]
        return table
