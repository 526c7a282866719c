"""Makes sure that database and blob storage belong together.

A disk that was not mounted, or the wrong bucket, looks like a storage that lost everything. And if
two databases shared a storage, each would delete as leftovers what only the other one names.
"""

from uuid import uuid4

import msgspec

from orchestrator.core.database import Connection
from orchestrator.errors import StorageUnavailable
from orchestrator.repository.upkeep.storage_identity import StorageIdentityRepository
from orchestrator.storage.base import Storage


class KnownStorage(msgspec.Struct, frozen=True):
    """What the database says of its storage."""

    identity: str
    #: Whether rows say that there are blobs in it.
    is_used: bool


class StorageIdentity:
    """Compares both sides once, and again only when an object is missing.

    The storage is asked first and may take long, so nobody holds a connection while it is.
    """

    def __init__(self, identities: StorageIdentityRepository, storage: Storage) -> None:
        self._identities = identities
        self._storage = storage
        self._confirmed: str | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether both sides have agreed."""
        return self._confirmed is not None

    async def found(self) -> str | None:
        """What the storage says that it is; None if it is new."""
        return await self._storage.identity()

    async def known(self, conn: Connection, found: str | None) -> KnownStorage:
        """What the database says, which is given a name for a new storage. StorageUnavailable if
        the storage belongs to another one.
        """
        known = await self._identities.get(conn)
        if known is None and found is not None:
            raise StorageUnavailable(
                "The blob storage belongs to another database. If that one is gone for good, "
                "remove the object 'identity' from the storage."
            )
        if known is None:
            await self._identities.insert(conn, str(uuid4()))
            known = await self._identities.get(conn)  # Another server may have been first.
        if known is None:
            raise _wrong_storage()
        return KnownStorage(known, await self._identities.is_used(conn))

    async def join(self, known: KnownStorage, found: str | None) -> None:
        """Raise StorageUnavailable unless both sides agree; a new database and a new storage are
        joined. Safe for servers that start together.
        """
        if found is None:
            if not known.is_used:
                await self._storage.set_identity(known.identity)
            # Another request may have joined the two, and stored blobs, since we looked.
            found = await self._storage.identity()
        if found != known.identity:
            raise _wrong_storage()
        self._confirmed = found

    async def confirm(self, conn: Connection) -> None:
        """All of it, for a program that has a connection of its own."""
        found = await self.found()
        await self.join(await self.known(conn, found), found)

    async def check_storage(self) -> None:
        """Raise StorageUnavailable unless the storage is still the one that was confirmed."""
        found = await self._storage.identity()
        if found is None or found != self._confirmed:
            raise _wrong_storage()


def _wrong_storage() -> StorageUnavailable:
    return StorageUnavailable(
        "The blob storage is not the one that the database speaks of: is it mounted, and is "
        "ORCHESTRATOR_BLOB_STORE right?"
    )
