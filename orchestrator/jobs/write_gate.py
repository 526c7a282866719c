"""What must hold before bytes are written: room on the disk, and the right blob storage."""

import asyncio

from orchestrator.core.database import Database
from orchestrator.core.disk import Disk
from orchestrator.errors import StorageUnavailable
from orchestrator.service.upkeep.storage_identity import StorageIdentity


class WriteGate:
    """Checks the identity of the storage once per process, and the disk each time."""

    def __init__(self, database: Database, identity: StorageIdentity, disk: Disk) -> None:
        self._database = database
        self._identity = identity
        self._disk = disk
        self._confirming: asyncio.Task[None] | None = None

    async def admit(self, incoming_bytes: int | None) -> None:
        """Raise StorageFull or StorageUnavailable before the first byte of an upload is read."""
        self._disk.check(incoming_bytes or 0)
        await self.confirm()

    def admit_inline(self, incoming_bytes: int) -> None:
        """Admit bytes that go into the database, whether the blob storage answers or not."""
        self._disk.check(incoming_bytes)

    async def confirm(self) -> None:
        """Raise StorageUnavailable unless storage and database belong together.

        All who ask at the same time wait for one answer, and hold no connection meanwhile.
        """
        if self._identity.is_confirmed:
            return
        if self._confirming is None or self._confirming.done():
            self._confirming = asyncio.create_task(self._confirm())
            self._confirming.add_done_callback(_forget)
        await asyncio.shield(self._confirming)

    async def _confirm(self) -> None:
        found = await self._identity.found()
        async with self._database.connection() as conn:
            known = await self._identity.known(conn, found)
        await self._identity.join(known, found)

    async def ready(self) -> str:
        """What readiness says of the storage now."""
        try:
            await self.confirm()
            await self._identity.check_storage()
        except StorageUnavailable as error:
            return str(error)
        return "ok"


def _forget(confirming: asyncio.Task[None]) -> None:
    """Take its error, if it has one, so that it is not reported as never retrieved."""
    if not confirming.cancelled():
        confirming.exception()
