"""Takes the bytes of a blob in: hashes them as they come, and makes large ones durable in storage.

It writes no row. An object that no row points at is removed: by `received` unless the caller said
that it is used, and after a crash by verification.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase

import zstandard

from orchestrator.core.digest import BlobName, CasId, Sha256
from orchestrator.core.disk import Disk
from orchestrator.core.threads import Threads
from orchestrator.errors import TooLarge
from orchestrator.models.cas import Received
from orchestrator.service.transfer.intake_pipeline import IntakePipeline, check_name
from orchestrator.storage.base import Storage, Writer
from orchestrator.storage.segments import SEGMENT_BYTES
from orchestrator.telemetry import metrics

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
        pipeline = IntakePipeline(writer, self._threads, None, wants_sha256=wants_sha256)
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
        pipeline = IntakePipeline(
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
        check_name(expected, cas_id, second)
        metrics.BLOB_BYTES_RECEIVED.inc(len(content))
        return Received(
            cas_id=cas_id,
            size_bytes=len(content),
            media_type=media_type,
            sha256=second,
            content=content,
        )
