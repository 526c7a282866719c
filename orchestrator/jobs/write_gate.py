"""What must hold before bytes are written: room on the disk, and the right blob storage."""

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

    async def admit(self, incoming_bytes: int | None) -> None:
        """Raise StorageFull or StorageUnavailable before the first byte of an upload is read."""
        self._disk.check(incoming_bytes or 0)
        await self.confirm()

    async def confirm(self) -> None:
        """Raise StorageUnavailable unless storage and database belong together."""
        if not self._identity.is_confirmed:
            async with self._database.connection() as conn:
                await self._identity.confirm(conn)

    async def ready(self) -> str:
        """What readiness says of the storage now."""
        try:
            await self.confirm()
            await self._identity.check_storage()
        except StorageUnavailable as error:
            return str(error)
        return "ok"
