"""Reads blobs out of storage: no byte is returned before its segment was checked.

It knows no names, namespaces or rows: what may be read, and what damage leads to, is decided by
those who use it.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
import zstandard

from orchestrator.core.digest import CasId
from orchestrator.core.threads import Threads
from orchestrator.errors import CorruptBlob
from orchestrator.models.cas import Placement
from orchestrator.storage.base import Storage
from orchestrator.storage.segments import SEGMENT_BYTES, Segment, SegmentTable

log = structlog.get_logger()

#: A piece is so many segments: with one, an answer costs a tenth more CPU; four hold up other
#: requests for longer and gain nothing.
_PIECE_SEGMENTS = 2


class CheckedReader:
    """Streams of verified bytes, with one piece of each in memory.

    Raises CorruptBlob in the place of the first damaged piece, MissingObject when the storage has
    no such object.
    """

    def __init__(self, storage: Storage, threads: Threads) -> None:
        self._storage = storage
        self._threads = threads

    async def plain(
        self, cas_id: CasId, placement: Placement, part: range
    ) -> AsyncGenerator[bytes, None]:
        """These of the blob's own bytes."""
        table = _table(cas_id, placement)
        numbers = table.covering(part)
        at = numbers.start * table.segment_bytes
        each = 1 if placement.encoding else _PIECE_SEGMENTS
        async with aclosing(self._stored(cas_id, placement, table, numbers, each)) as pieces:
            async for piece in pieces:
                whole = await self._unpacked(piece, table, cas_id) if placement.encoding else piece
                start, stop = max(part.start - at, 0), min(part.stop - at, len(whole))
                at += len(whole)
                yield whole if stop - start == len(whole) else whole[start:stop]

    async def packed(self, cas_id: CasId, placement: Placement) -> AsyncGenerator[bytes, None]:
        """All bytes as they are stored, for a reader that decodes them itself."""
        table = _table(cas_id, placement)
        stored = self._stored(cas_id, placement, table, range(len(table)), _PIECE_SEGMENTS)
        async with aclosing(stored) as pieces:
            async for piece in pieces:
                yield piece

    async def _stored(
        self, cas_id: CasId, placement: Placement, table: SegmentTable, numbers: range, each: int
    ) -> AsyncGenerator[bytes, None]:
        """Checked pieces as they are stored, of so many segments each.

        Nothing is read ahead here: the disk and the network go on while a piece is sent, and what
        is in memory already is not worth a task.
        """
        if numbers.stop > len(table):
            raise CorruptBlob(str(cas_id))
        stored = table.lengths(numbers)
        starts = range(0, len(numbers), each)
        lengths = [sum(stored[start : start + each]) for start in starts]
        offset = table.offset(numbers.start)
        async with aclosing(self._storage.read(placement.storage_key, offset, lengths)) as source:
            for start in starts:
                records = [table[number] for number in numbers[start : start + each]]
                yield await self._checked(source, records, cas_id)

    async def _checked(
        self, source: AsyncGenerator[bytes, None], records: list[Segment], cas_id: CasId
    ) -> bytes:
        piece = await anext(source)
        # In line: to check a piece of the usual size takes 0.1 ms, and the way to a thread and back
        # costs as much again.
        is_long = len(piece) > _PIECE_SEGMENTS * SEGMENT_BYTES
        if not (
            await self._threads.run(_match, records, piece) if is_long else _match(records, piece)
        ):
            log.error("corrupt blob", cas_id=str(cas_id))
            raise CorruptBlob(str(cas_id))
        return piece

    async def _unpacked(self, piece: bytes, table: SegmentTable, cas_id: CasId) -> bytes:
        """A frame says how long its content is; it was made by us, and is checked by now."""
        try:
            return await self._threads.run(
                zstandard.ZstdDecompressor().decompress, piece, table.segment_bytes
            )
        except zstandard.ZstdError as error:
            raise CorruptBlob(str(cas_id)) from error


def _match(records: list[Segment], piece: bytes) -> bool:
    view = memoryview(piece)
    for record in records:
        if not record.matches(view[: record.stored_bytes]):
            return False
        view = view[record.stored_bytes :]
    return not view


def _table(cas_id: CasId, placement: Placement) -> SegmentTable:
    try:
        return SegmentTable.decode(placement.segments)
    except ValueError as error:
        raise CorruptBlob(str(cas_id)) from error
