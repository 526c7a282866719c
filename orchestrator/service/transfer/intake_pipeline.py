"""Hashes, packs and writes a blob batch by batch, while the next batch is on its way.

It decides nothing: intake says which bytes, which writer, and whether to compress.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256

import zstandard
from blake3 import blake3

from orchestrator.core.digest import BlobName, CasId, Sha256
from orchestrator.core.threads import Threads
from orchestrator.errors import DigestMismatch
from orchestrator.models.cas import Placement, Received
from orchestrator.storage.base import Writer
from orchestrator.storage.segments import SEGMENT_BYTES, Segment, SegmentTable
from orchestrator.telemetry import metrics

ZSTD = "zstd"
#: The first segment must lose at least this part of itself, or the blob is stored as it is.
_GAIN_MIN = 0.1


class IntakePipeline:
    """Hashes, packs and writes one batch of segments while the next one is on its way."""

    def __init__(
        self,
        writer: Writer,
        threads: Threads,
        compressor: zstandard.ZstdCompressor | None,
        *,
        wants_sha256: bool,
    ) -> None:
        self._writer = writer
        self._threads = threads
        self._compressor = compressor
        self._blake3 = blake3()
        self._sha256 = sha256() if wants_sha256 else None
        self._size = 0
        self._table = SegmentTable()
        self._pending: asyncio.Task[None] | None = None

    async def feed(self, batch: bytes) -> None:
        """Returns when the one before is done."""
        await self._settle()
        self._pending = asyncio.create_task(self._process(batch))

    async def finish(self, media_type: str, expected: BlobName | None) -> Received:
        """The object is durable when this returns, and not made if its name is not as expected."""
        await self._settle()
        cas_id = CasId(b"\x01" + self._blake3.digest())
        second = Sha256(self._sha256.digest()) if self._sha256 else None
        check_name(expected, cas_id, second)
        key = await self._writer.commit(cas_id)
        table = self._table
        metrics.STORAGE_BYTES_WRITTEN.inc(table.stored_bytes)
        return Received(
            cas_id=cas_id,
            size_bytes=self._size,
            media_type=media_type,
            sha256=second,
            placement=Placement(
                storage_key=key,
                segments=table.encode(),
                stored_bytes=table.stored_bytes,
                encoding=ZSTD if self._compressor else None,
            ),
        )

    async def abort(self) -> None:
        """Leave nothing behind."""
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait([self._pending])
        await self._writer.abort()

    async def _settle(self) -> None:
        if self._pending is not None:
            await self._pending
            self._pending = None

    async def _process(self, batch: bytes) -> None:
        await self._writer.write(await self._threads.run(self._digest, batch))
        self._size += len(batch)
        metrics.BLOB_BYTES_RECEIVED.inc(len(batch))

    def _digest(self, batch: bytes) -> bytes:
        """Hash the batch and return the bytes to store. One call in a thread does all of it: with a
        call for each step of each segment, the same bytes took a third more CPU.
        """
        self._blake3.update(batch)
        if self._sha256 is not None:
            self._sha256.update(batch)
        starts = range(0, len(batch), SEGMENT_BYTES)
        segments = [memoryview(batch)[start : start + SEGMENT_BYTES] for start in starts]
        packed = self._packed(segments)
        for each in packed or segments:
            self._table.append(Segment.of(each))
        return b"".join(packed) if packed else batch

    def _packed(self, segments: Sequence[memoryview]) -> list[bytes] | None:
        """A frame for each segment; None if they are stored as they are."""
        if self._compressor is None:
            return None
        frames = [self._compressor.compress(segments[0])]
        if not self._table and len(frames[0]) > len(segments[0]) * (1 - _GAIN_MIN):
            self._compressor = None
            return None
        return frames + [self._compressor.compress(each) for each in segments[1:]]


def check_name(expected: BlobName | None, cas_id: CasId, second: Sha256 | None) -> None:
    """Refuse content sent under another name than its own."""
    actual = second if isinstance(expected, Sha256) else cas_id
    if expected is not None and expected != actual:
        raise DigestMismatch(str(expected), str(actual))
