"""The bytes of resumable uploads in their stages: appended, read in order, made an object of.

It decides nothing about sessions and writes no row.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, asynccontextmanager

from orchestrator.core.digest import CasId
from orchestrator.core.disk import Disk
from orchestrator.errors import StorageUnavailable
from orchestrator.models.transfer.upload import Part, Upload
from orchestrator.service.transfer.intake import Intake, TakenBlob
from orchestrator.service.upkeep.storage_identity import StorageIdentity
from orchestrator.storage.base import MissingObject, Storage


class BytesLost(Exception):
    """A stage lacks bytes that the session says it has; they cannot be had again."""


class UploadStages:
    """Stages of one storage, each with one writer at a time (`UploadService`)."""

    def __init__(
        self, storage: Storage, disk: Disk, identity: StorageIdentity, intake: Intake
    ) -> None:
        self._storage = storage
        self._disk = disk
        self._identity = identity
        self._intake = intake

    def appender(self, part: Part, offset_bytes: int) -> "Appender":
        """Appends at this offset of the upload, to the stage of its last part."""
        return Appender(self._storage, self._disk, part, offset_bytes)

    async def check(self, upload: Upload) -> None:
        """Raise BytesLost unless all bytes that count are there. An append to a stage that was
        removed would leave a hole in their place.
        """
        for stage, size_bytes in upload.stages():
            # All names are of one length: none is between this one and its beginning.
            found = await self._storage.list_stages(stage[:-1], 1)
            if not found or found[0].key != stage or found[0].size_bytes < size_bytes:
                await self._lost()

    async def drop(self, stages: Iterable[str]) -> None:
        """Call it after the commit that ends their use; after a crash verification removes them."""
        for stage in stages:
            await self._storage.drop_stage(stage)

    @asynccontextmanager
    async def received(
        self, upload: Upload, last_chance: Callable[[], Awaitable[object]]
    ) -> AsyncIterator[TakenBlob]:
        """Hash all bytes anew and take them in; at the end an object that is not used is deleted.

        If the stage itself can become the object, nothing is written again. Then the stage is gone,
        and a failure afterwards costs the client all that it has sent. So `last_chance` is called
        before, to find out whether the rest can be done.
        """
        promoted = await self._promoted(upload, last_chance)
        if promoted is not None:
            yield promoted
            await self._intake.release(promoted)
            return
        async with (
            aclosing(self._read(upload)) as chunks,
            self._intake.received(
                chunks,
                upload.media_type,
                expected=upload.expected,
                wants_sha256=upload.wants_sha256,
            ) as taken,
        ):
            yield taken

    async def _promoted(
        self, upload: Upload, last_chance: Callable[[], Awaitable[object]]
    ) -> TakenBlob | None:
        # With several parts, the writer of an earlier one may still have its file open. A bucket
        # cannot rename: the bytes are not read just to find that out.
        if (
            len(upload.parts) != 1
            or self._storage.folder is None
            or not self._intake.is_stored_unchanged(upload.media_type, upload.offset_bytes)
        ):
            return None
        promotion = _Promotion(
            self._storage, upload.parts[0].stage, upload.offset_bytes, last_chance
        )
        try:
            async with aclosing(self._read(upload)) as chunks:
                return TakenBlob(
                    await self._intake.adopted(
                        chunks,
                        promotion,
                        upload.media_type,
                        expected=upload.expected,
                        wants_sha256=upload.wants_sha256,
                    )
                )
        except _NotPromotedError:
            return None
        except MissingObject:
            await self._lost()
            raise
        except StorageUnavailable:
            await self.check(upload)  # Another server may have been first to rename.
            raise

    async def _read(self, upload: Upload) -> AsyncGenerator[bytes, None]:
        for stage, size_bytes in upload.stages():
            try:
                async with aclosing(self._storage.read_stage(stage, size_bytes)) as pieces:
                    async for piece in pieces:
                        yield piece
            except MissingObject:
                await self._lost()

    async def _lost(self) -> None:
        """Raise BytesLost, but only if this is the right storage: a wrong folder or bucket lacks
        everything, and nothing is lost.
        """
        await self._identity.check_storage()
        raise BytesLost


class Appender:
    """Appends pieces to a stage; one is written while the next is received."""

    def __init__(self, storage: Storage, disk: Disk, part: Part, offset_bytes: int) -> None:
        self._storage = storage
        self._disk = disk
        self._part = part
        #: So many bytes of the upload are durable.
        self.durable_bytes = offset_bytes
        #: So many of them the row of the session says that it has.
        self.recorded_bytes = offset_bytes
        #: An append failed or was given up: it may still take effect.
        self.is_in_doubt = False
        self._pending: asyncio.Task[None] | None = None

    async def append(self, piece: bytes) -> None:
        """Begin to append the piece. Returns when the piece before it is durable."""
        await self.settle()
        self._disk.check(len(piece))
        self._pending = asyncio.create_task(self._append(piece))

    async def settle(self) -> None:
        """Wait until all pieces are durable; raises what an append raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                await asyncio.shield(pending)
            except BaseException:
                self.is_in_doubt = True
                raise

    async def _append(self, piece: bytes) -> None:
        at = self.durable_bytes - self._part.start
        await self._storage.append(self._part.stage, at, piece)
        self.durable_bytes += len(piece)


class _NotPromotedError(Exception):
    """The storage cannot rename the stage: the bytes have to be written again."""


class _Promotion:
    """A writer whose bytes are there before it begins: its commit renames their stage."""

    def __init__(
        self,
        storage: Storage,
        stage: str,
        size_bytes: int,
        last_chance: Callable[[], Awaitable[object]],
    ) -> None:
        self._storage = storage
        self._stage = stage
        self._size_bytes = size_bytes
        self._last_chance = last_chance

    async def write(self, data: bytes) -> None:
        """Nothing to do: the bytes were appended to the stage before."""

    async def commit(self, cas_id: CasId) -> str:
        """A crash after the rename leaves an object that no row names, which verification removes,
        and a session whose bytes are gone, which tells its client to begin anew.
        """
        await self._last_chance()
        key = await self._storage.promote(self._stage, self._size_bytes, cas_id)
        if key is None:
            raise _NotPromotedError
        return key

    async def abort(self) -> None:
        """Nothing to do: the stage stays as it is."""
