"""Takes the bytes of a blob in: hashes them as they come, and makes large ones durable in storage.

It writes no row. An object that no row points at is removed: by `received` unless the caller said
that it is used, and after a crash by verification.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from hashlib import sha256

import zstandard
from blake3 import blake3

from orchestrator.core.digest import BlobName, CasId, Sha256
from orchestrator.core.disk import Disk
from orchestrator.core.threads import Threads
from orchestrator.errors import DigestMismatch, TooLarge
from orchestrator.models.cas import Placement, Received
from orchestrator.storage.base import Storage, Writer
from orchestrator.storage.segments import SEGMENT_BYTES, Segment, SegmentTable
from orchestrator.telemetry import metrics

ZSTD = "zstd"
#: The first segment must lose at least this part of itself, or the blob is stored as it is.
_GAIN_MIN = 0.1
#: So many bytes are hashed and written by one call in a thread; larger calls cost memory. They must
#: be whole segments.
_BATCH_BYTES = 4 * SEGMENT_BYTES
#: Smaller contents are hashed in line: a thread would cost more than the work.
_THREADED_BYTES_MIN = 64 * 1024


class TakenBlob:
    """What came in, and whether its object stays when the caller is done."""

    def __init__(self, received: Received) -> None:
        self.received = received
        self.object = received.placement
        #: Set by the caller once a row points at the object, or may do so.
        self.is_used = False


class Intake:
    """Small blobs stay in memory, larger ones go to storage in segments as their bytes come.

    At most three batches of a transfer are in memory at a time: one that fills, one that is hashed
    and written, and its compressed form.
    """

    def __init__(
        self,
        storage: Storage,
        disk: Disk,
        threads: Threads,
        *,
        inline_bytes_max: int,
        blob_bytes_max: int,
        compressed_media_types: Sequence[str],
        compression_level: int,
    ) -> None:
        self._storage = storage
        self._disk = disk
        self._threads = threads
        self.inline_bytes_max = inline_bytes_max
        self.blob_bytes_max = blob_bytes_max
        self._compressed_media_types = compressed_media_types
        self._compression_level = compression_level

    @asynccontextmanager
    async def received(
        self,
        chunks: AsyncIterable[bytes],
        media_type: str,
        *,
        expected: BlobName | None = None,
        wants_sha256: bool = False,
    ) -> AsyncIterator[TakenBlob]:
        """Take all bytes in. At the end of the block an object that is not used is deleted.

        If the block raises, the object stays: a commit whose answer was lost may point at it.
        """
        taken = TakenBlob(
            await self._take(
                chunks,
                media_type,
                expected=expected,
                wants_sha256=wants_sha256 or isinstance(expected, Sha256),
            )
        )
        yield taken
        await self.release(taken)

    async def adopted(
        self,
        chunks: AsyncIterable[bytes],
        writer: Writer,
        media_type: str,
        *,
        expected: BlobName | None,
        wants_sha256: bool,
    ) -> Received:
        """Hash bytes that are in storage already, and let the writer make them an object."""
        wants_sha256 = wants_sha256 or isinstance(expected, Sha256)
        pipeline = _Pipeline(writer, self._threads, None, wants_sha256=wants_sha256)
        try:
            async for batch in self._batches(b"", aiter(chunks)):
                await pipeline.feed(batch)
            return await pipeline.finish(media_type, expected)
        except BaseException:
            await asyncio.shield(pipeline.abort())
            raise

    def is_stored_unchanged(self, media_type: str, size_bytes: int) -> bool:
        """Whether such a blob becomes an object that has exactly its own bytes."""
        return size_bytes > self.inline_bytes_max and self._compressor(media_type) is None

    async def release(self, taken: TakenBlob) -> None:
        """Delete the object if no row points at it."""
        if taken.object is not None and not taken.is_used:
            await self._storage.delete(taken.object.storage_key)

    async def _take(
        self,
        chunks: AsyncIterable[bytes],
        media_type: str,
        *,
        expected: BlobName | None,
        wants_sha256: bool,
    ) -> Received:
        source = aiter(chunks)
        head = bytearray()
        async for chunk in source:
            head += chunk
            if len(head) > self.inline_bytes_max:
                break
        else:
            return await self._named(bytes(head), media_type, expected, wants_sha256=wants_sha256)
        known = expected if isinstance(expected, CasId) else None
        writer = await self._storage.create(known, media_type)
        pipeline = _Pipeline(
            writer, self._threads, self._compressor(media_type), wants_sha256=wants_sha256
        )
        try:
            async for batch in self._batches(bytes(head), source):
                self._disk.check(len(batch))
                await pipeline.feed(batch)
            return await pipeline.finish(media_type, expected)
        except BaseException:
            # Also when we are cancelled: an upload that broke off leaves nothing.
            await asyncio.shield(pipeline.abort())
            raise

    async def _batches(
        self, head: bytes, rest: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes, None]:
        """All bytes in batches of whole segments; only the last segment may be shorter."""
        filling: list[bytes | memoryview] = [head]
        filled = size = len(head)
        while True:
            if filled >= _BATCH_BYTES:
                # There was less than a batch before the last chunk came, so the segment that is
                # not whole yet began in that chunk.
                last = memoryview(filling.pop())
                filled %= SEGMENT_BYTES
                cut = len(last) - filled
                yield b"".join([*filling, last[:cut]])
                filling = [bytes(last[cut:])]
            chunk = await anext(rest, None)
            if chunk is None:
                break
            size += len(chunk)
            if size > self.blob_bytes_max:
                raise TooLarge("blob", self.blob_bytes_max)
            filling.append(chunk)
            filled += len(chunk)
        if filled:
            yield b"".join(filling)

    def _compressor(self, media_type: str) -> zstandard.ZstdCompressor | None:
        essence = media_type.partition(";")[0].strip().lower()
        if any(fnmatchcase(essence, pattern) for pattern in self._compressed_media_types):
            return zstandard.ZstdCompressor(level=self._compression_level, write_checksum=True)
        return None

    async def _named(
        self, content: bytes, media_type: str, expected: BlobName | None, *, wants_sha256: bool
    ) -> Received:
        """A blob whose bytes stay in memory."""

        def digest() -> tuple[CasId, Sha256 | None]:
            return CasId.of(content), Sha256.of(content) if wants_sha256 else None

        is_short = len(content) < _THREADED_BYTES_MIN
        cas_id, second = digest() if is_short else await self._threads.run(digest)
        _check_name(expected, cas_id, second)
        metrics.BLOB_BYTES_RECEIVED.inc(len(content))
        return Received(
            cas_id=cas_id,
            size_bytes=len(content),
            media_type=media_type,
            sha256=second,
            content=content,
        )


class _Pipeline:
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
        _check_name(expected, cas_id, second)
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


def _check_name(expected: BlobName | None, cas_id: CasId, second: Sha256 | None) -> None:
    """Refuse content sent under another name than its own."""
    actual = second if isinstance(expected, Sha256) else cas_id
    if expected is not None and expected != actual:
        raise DigestMismatch(str(expected), str(actual))
