"""Gives the bytes of blobs out of storage, checked, and finds out what a missing object means.

Whether a blob may be seen was decided before.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
import structlog

from orchestrator.core.digest import CasId
from orchestrator.errors import CorruptBlob
from orchestrator.models.cas import Placement, Received
from orchestrator.service.upkeep.storage_identity import StorageIdentity
from orchestrator.storage.base import MissingObject, Storage
from orchestrator.storage.checked_reading import CheckedReader
from orchestrator.telemetry import metrics

log = structlog.get_logger()


class Delivery:
    """Streams of verified bytes, with one piece of each in memory."""

    def __init__(self, storage: Storage, reader: CheckedReader, identity: StorageIdentity) -> None:
        self._storage = storage
        self._reader = reader
        self._identity = identity

    def plain(
        self, cas_id: CasId, placement: Placement, part: range
    ) -> AsyncGenerator[bytes, None]:
        """A part of the blob's own bytes; CorruptBlob in the place of the first damaged piece."""
        return self._sent(self._reader.plain(cas_id, placement, part), cas_id)

    def packed(self, cas_id: CasId, placement: Placement) -> AsyncGenerator[bytes, None]:
        """All bytes as they are stored, for a caller that reads the encoding itself."""
        return self._sent(self._reader.packed(cas_id, placement), cas_id)

    async def inlined(self, received: Received) -> Received:
        """Read the bytes of a small blob from storage into memory."""
        assert received.placement is not None
        everything = range(received.size_bytes)
        pieces = self.plain(received.cas_id, received.placement, everything)
        content = b"".join([piece async for piece in pieces])
        return msgspec.structs.replace(received, content=content, placement=None)

    async def presigned_url(self, placement: Placement, seconds: int) -> str | None:
        """Where the bytes can be had from the storage itself, unchecked by us."""
        return await self._storage.presigned_url(placement.storage_key, seconds)

    async def _sent(
        self, pieces: AsyncGenerator[bytes, None], cas_id: CasId
    ) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    metrics.BLOB_BYTES_SENT.inc(len(piece))
                    yield piece
        except MissingObject:
            # Nothing is lost if this is a wrong folder or bucket.
            await self._identity.check_storage()
            log.exception("missing blob", cas_id=str(cas_id))
            raise CorruptBlob(str(cas_id)) from None
