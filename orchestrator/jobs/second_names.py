"""Computes the second names (SHA-256) of blobs in storage, each by one reading at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256

import structlog

from orchestrator.core.cache import Cache
from orchestrator.core.database import Database
from orchestrator.core.digest import CasId, Sha256
from orchestrator.core.threads import Threads
from orchestrator.errors import CorruptBlob, DomainError
from orchestrator.models.cas import Blob, Placement
from orchestrator.service.cas import CASService
from orchestrator.service.transfer.delivery import Delivery

log = structlog.get_logger()

#: So many large blobs wait at most. The name of another one is computed when it is asked again.
WAITING_MAX = 100
KNOWN_BYTES_MAX, NAME_BYTES = 256 * 1024, 128


class SecondNames:
    """A name is stored with the blob, so it is computed once; no connection is used meanwhile."""

    def __init__(
        self,
        database: Database,
        cas: CASService,
        delivery: Delivery,
        threads: Threads,
        *,
        wait_bytes_max: int,
    ) -> None:
        self._database = database
        self._cas = cas
        self._delivery = delivery
        self._threads = threads
        #: An answer waits for the names of blobs up to this size.
        self._wait_bytes_max = wait_bytes_max
        self._running: dict[CasId, asyncio.Task[Sha256]] = {}
        #: For requests that read the row of a blob before its name was stored there.
        self._known: Cache[CasId, Sha256] = Cache(KNOWN_BYTES_MAX)
        #: For large blobs: one of them is enough for one disk.
        self._turn = asyncio.Semaphore(1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Compute names within this block; one not done by its end is computed when asked again."""
        try:
            yield
        finally:
            tasks = list(self._running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def of(self, blob: Blob, placement: Placement) -> Sha256 | None:
        """The name; None for a large blob, whose name is known later.

        A name is computed once for all who ask for it meanwhile, and also if none of them waits.
        """
        if (known := self._known.get(blob.cas_id)) is not None:
            return known
        is_large = blob.size_bytes > self._wait_bytes_max
        task = self._running.get(blob.cas_id)
        if task is None:
            if is_large and len(self._running) >= WAITING_MAX:
                return None
            task = asyncio.create_task(self._computed(blob, placement, is_large=is_large))
            self._running[blob.cas_id] = task
            task.add_done_callback(lambda done: self._ended(blob.cas_id, done))
        return None if is_large else await asyncio.shield(task)

    def _ended(self, cas_id: CasId, task: asyncio.Task[Sha256]) -> None:
        del self._running[cas_id]
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            self._known.put(cas_id, task.result(), NAME_BYTES)
            return
        reason = str(error) if isinstance(error, DomainError) else repr(error)
        log.warning("second name not computed", cas_id=str(cas_id), reason=reason)

    async def _computed(self, blob: Blob, placement: Placement, *, is_large: bool) -> Sha256:
        if is_large:
            async with self._turn:
                found = await self._read(blob, placement)
        else:
            found = await self._read(blob, placement)
        async with self._database.connection() as conn:
            await self._cas.remember_sha256(conn, blob.cas_id, found)
        return found

    async def _read(self, blob: Blob, placement: Placement) -> Sha256:
        """Of verified bytes."""
        digest = sha256()
        try:
            everything = range(blob.size_bytes)
            async with aclosing(self._delivery.plain(blob.cas_id, placement, everything)) as pieces:
                async for piece in pieces:
                    await self._threads.run(digest.update, piece)
        except CorruptBlob:
            async with self._database.connection() as conn:
                await self._cas.quarantine(conn, blob.cas_id, placement.storage_key)
            raise
        return Sha256(digest.digest())
