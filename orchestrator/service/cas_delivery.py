"""Gives the bytes of blobs out of storage: no byte leaves before its segment was checked.

It knows no names, namespaces or rows: whether a blob may be seen was decided before.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
import zstandard

from orchestrator import metrics
from orchestrator.digest import CasId
from orchestrator.errors import CorruptBlob
from orchestrator.models.cas import Placement
from orchestrator.segments import Segment, SegmentTable
from orchestrator.service.storage_identity import StorageIdentity
from orchestrator.storage.base import MissingObject, Storage
from orchestrator.threads import in_thread

log = structlog.get_logger()


class Delivery:
    """Streams of verified bytes. While a piece is sent, the next one is read and checked."""

    def __init__(self, storage: Storage, identity: StorageIdentity) -> None:
        self._storage = storage
        self._identity = identity

    async def plain(
        self, cas_id: CasId, placement: Placement, part: range
    ) -> AsyncGenerator[bytes, None]:
        """These of the blob's own bytes; CorruptBlob in the place of the first damaged piece."""
        table = _table(cas_id, placement)
        numbers = table.covering(part)
        at = numbers.start * table.segment_bytes
        async with aclosing(self._stored(cas_id, placement, table, numbers)) as pieces:
            async for piece in pieces:
                whole = await _unpacked(piece, table, cas_id) if placement.encoding else piece
                start, stop = max(part.start - at, 0), min(part.stop - at, len(whole))
                at += len(whole)
                metrics.BLOB_BYTES_SENT.inc(stop - start)
                yield whole if stop - start == len(whole) else whole[start:stop]

    async def packed(self, cas_id: CasId, placement: Placement) -> AsyncGenerator[bytes, None]:
        """All bytes as they are stored, for a caller that reads the encoding itself."""
        table = _table(cas_id, placement)
        everything = range(len(table))
        async with aclosing(self._stored(cas_id, placement, table, everything)) as pieces:
            async for piece in pieces:
                metrics.BLOB_BYTES_SENT.inc(len(piece))
                yield piece

    async def whole(self, cas_id: CasId, placement: Placement, size_bytes: int) -> bytes:
        """All of a blob that is known to be small."""
        return b"".join([piece async for piece in self.plain(cas_id, placement, range(size_bytes))])

    async def presigned_url(self, placement: Placement, seconds: int) -> str | None:
        """Where the bytes can be had from the storage itself, unchecked by us."""
        return await self._storage.presigned_url(placement.storage_key, seconds)

    async def _stored(
        self, cas_id: CasId, placement: Placement, table: SegmentTable, numbers: range
    ) -> AsyncGenerator[bytes, None]:
        """Checked pieces as they are stored, one of them ahead of the caller."""
        if numbers.stop > len(table):
            raise CorruptBlob(str(cas_id))
        lengths = table.lengths(numbers)
        source = self._storage.read(placement.storage_key, table.offset(numbers.start), lengths)
        ahead: asyncio.Task[bytes] | None = None
        try:
            for number in numbers:
                piece = await (ahead or _checked(source, table[number], cas_id))
                ahead = None
                if number + 1 in numbers:
                    ahead = asyncio.create_task(_checked(source, table[number + 1], cas_id))
                yield piece
        except MissingObject:
            # What a wrong folder or bucket does not have is not lost.
            await self._identity.check_storage()
            log.exception("missing blob", cas_id=str(cas_id))
            raise CorruptBlob(str(cas_id)) from None
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait([ahead])
            await source.aclose()


async def _checked(source: AsyncGenerator[bytes, None], record: Segment, cas_id: CasId) -> bytes:
    piece = await anext(source)
    if not await in_thread(record.matches, piece):
        log.error("corrupt blob", cas_id=str(cas_id))
        raise CorruptBlob(str(cas_id))
    return piece


async def _unpacked(piece: bytes, table: SegmentTable, cas_id: CasId) -> bytes:
    """A frame says how long its content is; it was made by us, and is checked by now."""
    try:
        return await in_thread(zstandard.ZstdDecompressor().decompress, piece, table.segment_bytes)
    except zstandard.ZstdError as error:
        raise CorruptBlob(str(cas_id)) from error


def _table(cas_id: CasId, placement: Placement) -> SegmentTable:
    try:
        return SegmentTable.decode(placement.segments)
    except ValueError as error:
        raise CorruptBlob(str(cas_id)) from error
