"""Rules of content-addressed storage: no HTTP, no SQL, no transaction opened."""

from collections.abc import Sequence
from functools import partial

import structlog

from orchestrator import metrics
from orchestrator.database import Connection
from orchestrator.digest import CasId
from orchestrator.errors import CorruptBlob, DigestMismatch, NotFound, StorageUnavailable, TooLarge
from orchestrator.facts import tell
from orchestrator.models.cas import Blob, BlobContent, StoredBlob
from orchestrator.repository.cas import CASRepository

log = structlog.get_logger()


class CASService:
    """Blobs by name. The door through which bytes come in is `store_content`; the hash check of
    bytes that go out is `get_content`.
    """

    def __init__(
        self, blobs: CASRepository, *, inline_bytes_max: int, lease_seconds: float
    ) -> None:
        self._blobs = blobs
        self.inline_bytes_max = inline_bytes_max
        self._lease_seconds = lease_seconds

    def compute_hash(self, content: bytes) -> CasId:
        """The name that `store_content` would return; call it before the transaction opens."""
        return CasId.of(content)

    async def store_content(
        self, conn: Connection, content: bytes, media_type: str, *, cas_id: CasId | None = None
    ) -> StoredBlob:
        """Store bytes once. `cas_id`, if given, is what `compute_hash` said of them.

        The media type of the first store of the same bytes stays. Concurrent stores of the same
        bytes all succeed: one brings the row, the others wait for its commit.
        """
        if len(content) > self.inline_bytes_max:
            raise TooLarge("blob", self.inline_bytes_max, len(content))
        cas_id = cas_id or CasId.of(content)
        # The second time is for a blob that was deleted between the insert and the look.
        for _ in range(2):
            blob = await self._blobs.insert(conn, cas_id, media_type, content)
            if blob is not None:
                size = len(content)
                tell(
                    "stored content",
                    metrics.BLOBS_STORED.inc,
                    partial(metrics.BLOB_BYTES_STORED.inc, size),
                    cas_id=str(cas_id),
                    size_bytes=size,
                )
                return StoredBlob(blob=blob, created=True)
            blob = await self._blobs.get(conn, cas_id)
            if blob is not None:
                tell("found content", metrics.BLOBS_KNOWN.inc, cas_id=str(cas_id))
                return StoredBlob(blob=blob, created=False)
        raise StorageUnavailable("The blob was deleted while it was stored; send it again.")

    async def upload(
        self,
        conn: Connection,
        namespace: str,
        content: bytes,
        media_type: str,
        *,
        cas_id: CasId | None = None,
    ) -> StoredBlob:
        """Store bytes for a namespace, which sees them from now on, leased.

        `created` tells whether they are new to the namespace: what others have does not show.
        """
        cas_id = cas_id or CasId.of(content)
        known = await self._blobs.get_held(conn, namespace, cas_id)
        await self.store_content(conn, content, media_type, cas_id=cas_id)
        await self._blobs.put_lease(conn, namespace, cas_id, media_type, self._lease_seconds)
        if known is not None:
            return StoredBlob(blob=known, created=False)
        return StoredBlob(blob=await self.get_blob(conn, namespace, cas_id), created=True)

    async def exists(self, conn: Connection, namespace: str, cas_id: CasId) -> bool:
        """Whether the namespace can see such a blob."""
        return await self._blobs.get_held(conn, namespace, cas_id) is not None

    async def get_blob(self, conn: Connection, namespace: str, cas_id: CasId) -> Blob:
        """All but the bytes; NotFound also for a blob that only other namespaces hold."""
        blob = await self._blobs.get_held(conn, namespace, cas_id)
        if blob is None:
            raise NotFound("blob", str(cas_id))
        return blob

    async def get_content(self, conn: Connection, namespace: str, cas_id: CasId) -> BlobContent:
        """The exact bytes stored; CorruptBlob rather than others."""
        found = await self._blobs.get_held_content(conn, namespace, cas_id)
        if found is None:
            raise NotFound("blob", str(cas_id))
        return self._verified(found)

    async def get_content_bulk(
        self, conn: Connection, cas_ids: Sequence[CasId]
    ) -> dict[CasId, bytes]:
        """All of them in one query, for callers that hold an artifact of each; NotFound names
        the ones that are missing.
        """
        if not cas_ids:
            return {}
        found = await self._blobs.list_content(conn, cas_ids)
        contents = {each.blob.cas_id: self._verified(each).content for each in found}
        if missing := [str(cas_id) for cas_id in cas_ids if cas_id not in contents]:
            raise NotFound("blob", ", ".join(missing))
        return contents

    async def missing(
        self, conn: Connection, namespace: str, cas_ids: Sequence[CasId]
    ) -> list[CasId]:
        """Those that the namespace would have to upload, in the order asked, each once."""
        held = await self._blobs.list_held(conn, namespace, cas_ids)
        return [cas_id for cas_id in dict.fromkeys(cas_ids) if cas_id not in held]

    @staticmethod
    def check_name(expected: CasId, actual: CasId) -> None:
        """Refuse content sent under another name than its own."""
        if expected != actual:
            raise DigestMismatch(str(expected), str(actual))

    @staticmethod
    def _verified(found: BlobContent) -> BlobContent:
        if CasId.of(found.content) != found.blob.cas_id:
            log.error("corrupt blob", cas_id=str(found.blob.cas_id))
            raise CorruptBlob(str(found.blob.cas_id))
        return found
