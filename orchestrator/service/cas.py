"""Rules of content-addressed storage: no HTTP, no SQL, no transaction opened."""

from collections.abc import Sequence
from functools import partial

import msgspec
import structlog

from orchestrator.core.database import Connection
from orchestrator.core.digest import BlobName, CasId, Sha256
from orchestrator.errors import Contended, CorruptBlob, NotFound, TooLarge
from orchestrator.models.cas import Blob, BlobContent, BlobUpload, Document, Received, StoredBlob
from orchestrator.models.principal import Actor
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.cas_visible import VisibleBlobRepository
from orchestrator.telemetry import metrics
from orchestrator.telemetry.after_commit import tell

log = structlog.get_logger()


class InlineNeeded(Exception):
    """A damaged document can only be healed by bytes that are in memory: these are in storage."""


class CASService:
    """Blobs by name. Documents, which the server itself reads, come in by `store_content`; they
    are always inline, so that a lookup is one query. Everything else comes in by `upload`, which
    takes what intake made of it. Bytes in storage are checked where they are read (delivery).
    """

    def __init__(
        self,
        blobs: CASRepository,
        visible: VisibleBlobRepository,
        *,
        document_bytes_max: int,
        lease_seconds: float,
    ) -> None:
        self._blobs = blobs
        self._visible = visible
        self._document_bytes_max = document_bytes_max
        self._lease_seconds = lease_seconds

    def compute_hash(self, content: bytes) -> CasId:
        """The name that `store_content` would return; call it before the transaction opens."""
        return CasId.of(content)

    async def store_content(
        self,
        conn: Connection,
        content: bytes,
        media_type: str,
        *,
        by: Actor,
        cas_id: CasId | None = None,
    ) -> StoredBlob:
        """One document. `cas_id`, if given, is what `compute_hash` said of it."""
        name = cas_id or CasId.of(content)
        document = Document(content=content, media_type=media_type, cas_id=name, by=by)
        return (await self.store_documents(conn, [document]))[0]

    async def store_documents(
        self, conn: Connection, documents: Sequence[Document]
    ) -> list[StoredBlob]:
        """Store each document once.

        The media type of the first store of the same bytes stays. Concurrent stores of the same
        bytes all succeed: one brings the row, the others wait for its commit.
        """
        for document in documents:
            self._check_size(len(document.content))
        contents = [
            Received(
                cas_id=document.cas_id,
                size_bytes=len(document.content),
                media_type=document.media_type,
                content=document.content,
            )
            for document in documents
        ]
        actors = [document.by for document in documents]
        return await self._store(conn, contents, actors, inline=True)

    async def upload_new(
        self, conn: Connection, uploads: Sequence[BlobUpload]
    ) -> list[StoredBlob | None]:
        """`upload` of small blobs of several requests in one statement; None for those that are
        there already, whoever has them. No name may be there twice.
        """
        new = await self._blobs.insert_leased(conn, uploads, self._lease_seconds)
        for upload in uploads:
            if (blob := new.get(upload.received.cas_id)) is not None:
                tell_stored(conn, blob.cas_id, blob.size_bytes, by=upload.by)
        brought = {
            cas_id: StoredBlob(blob=blob, created=True, used=True) for cas_id, blob in new.items()
        }
        return [brought.get(upload.received.cas_id) for upload in uploads]

    async def upload(
        self, conn: Connection, namespace: str, received: Received, *, by: Actor | None
    ) -> StoredBlob:
        """Let a namespace have the bytes that came in: it sees them from now on, leased.

        `created` tells whether they are new to the namespace: what others have does not show.
        Raises InlineNeeded before anything is written.
        """
        known = await self._visible.get(conn, namespace, received.cas_id)
        (stored,) = await self._store(conn, [received], [by])
        await self.lease(conn, namespace, received.cas_id, received.media_type)
        blob = known or await self.get_blob(conn, namespace, received.cas_id)
        if received.sha256 and blob.sha256 is None:
            await self._blobs.set_sha256(conn, received.cas_id, received.sha256)
            blob = msgspec.structs.replace(blob, sha256=received.sha256)
        return StoredBlob(blob=blob, created=known is None, used=stored.used)

    async def lease(self, conn: Connection, namespace: str, cas_id: CasId, media_type: str) -> None:
        """Keep a blob for the namespace until an artifact does, or the lease ends.

        NotFound if it has been deleted; from now on nobody can before this transaction ends.
        """
        seconds = self._lease_seconds
        if not await self._blobs.put_lease(conn, namespace, cas_id, media_type, seconds):
            raise NotFound("blob", str(cas_id))

    async def _store(
        self,
        conn: Connection,
        contents: Sequence[Received],
        actors: Sequence[Actor | None],
        *,
        inline: bool = False,
    ) -> list[StoredBlob]:
        """What came of each content, in two statements if none is new; the same bytes may be
        among them twice.
        """
        stored: list[StoredBlob | None] = [None] * len(contents)
        # The second time is for blobs that were deleted between the insert and the look.
        for _ in range(2):
            left = [at for at, each in enumerate(stored) if each is None]
            new = await self._blobs.insert(conn, [contents[at] for at in left])
            for at in left:
                blob = new.pop(contents[at].cas_id, None)
                if blob is not None:
                    tell_stored(conn, blob.cas_id, blob.size_bytes, by=actors[at])
                    stored[at] = StoredBlob(blob=blob, created=True, used=True)
            left = [at for at in left if stored[at] is None]
            known = (
                await self._blobs.list_locked(conn, [contents[at] for at in left]) if left else {}
            )
            for at in left:
                if (blob := known.get(contents[at].cas_id)) is not None:
                    stored[at] = await self._store_again(
                        conn, contents[at], blob, actors[at], inline=inline
                    )
            done = [each for each in stored if each is not None]
            if len(done) == len(contents):
                return done
        raise Contended("A blob was deleted while it was stored; send it again.")

    async def _store_again(
        self, conn: Connection, received: Received, blob: Blob, by: Actor | None, *, inline: bool
    ) -> StoredBlob:
        """The row is there. Its bytes are replaced if they are damaged, or not where they must
        be; those replaced are in nobody's way, and verification removes them.
        """
        used = False
        if blob.quarantined or (inline and not blob.inline):
            if blob.inline and received.placement is not None:
                raise InlineNeeded
            used = await self._blobs.replace(conn, received)
            if used:
                event = "healed content" if blob.quarantined else "moved content inline"
                tell(conn, event, by=by, cas_id=str(blob.cas_id))
        else:
            tell(
                conn,
                "found content",
                metrics.BLOBS_KNOWN.inc,
                partial(metrics.BLOB_BYTES_KNOWN.inc, received.size_bytes),
                by=by,
                cas_id=str(blob.cas_id),
            )
        return StoredBlob(blob=blob, created=False, used=used)

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._document_bytes_max:
            raise TooLarge("blob", self._document_bytes_max, size_bytes)

    async def exists(self, conn: Connection, namespace: str, cas_id: CasId) -> bool:
        """Whether the namespace can see such a blob."""
        return await self._visible.get(conn, namespace, cas_id) is not None

    async def resolve_name(self, conn: Connection, name: BlobName) -> CasId:
        """The first name of a blob; NotFound if its second one was never requested."""
        if isinstance(name, CasId):
            return name
        found = await self._blobs.get_named(conn, name)
        if found is None:
            raise NotFound("blob", str(name))
        return found

    async def get_blob(self, conn: Connection, namespace: str, name: BlobName) -> Blob:
        """All but the bytes; NotFound also for a blob that only other namespaces hold."""
        cas_id = await self.resolve_name(conn, name)
        blob = await self._visible.get(conn, namespace, cas_id)
        if blob is None:
            raise NotFound("blob", str(name))
        return _undamaged(blob)

    async def get_content(self, conn: Connection, namespace: str, name: BlobName) -> BlobContent:
        """The exact bytes, or the place to read them from; CorruptBlob rather than others."""
        cas_id = await self.resolve_name(conn, name)
        found = await self._visible.get_content(conn, namespace, cas_id)
        if found is None:
            raise NotFound("blob", str(name))
        return _verified(found)

    async def get_content_bulk(
        self, conn: Connection, cas_ids: Sequence[CasId]
    ) -> dict[CasId, bytes]:
        """All of them in one query, for callers that hold an artifact of each; NotFound names
        the ones that are missing. They are documents, and so inline.
        """
        if not cas_ids:
            return {}
        found = await self._blobs.list_content(conn, cas_ids)
        contents = {each.blob.cas_id: _inline(_verified(each)) for each in found}
        if missing := [str(cas_id) for cas_id in cas_ids if cas_id not in contents]:
            raise NotFound("blob", ", ".join(missing))
        return contents

    async def get_size_bulk(self, conn: Connection, cas_ids: Sequence[CasId]) -> int:
        """How many bytes `get_content_bulk` would read."""
        return await self._blobs.sum_sizes(conn, cas_ids)

    async def missing(
        self, conn: Connection, namespace: str, names: Sequence[BlobName]
    ) -> list[BlobName]:
        """Those that the namespace would have to upload, in the order given, each once."""
        visible = await self._visible.list_names(conn, namespace, names)
        return [name for name in dict.fromkeys(names) if name not in visible]

    async def list_visible(
        self, conn: Connection, namespace: str, names: Sequence[BlobName]
    ) -> dict[BlobName, Blob]:
        """Those that the namespace can see, by each of their names."""
        if not names:
            return {}
        found = await self._visible.list_blobs(conn, namespace, names)
        by_name: dict[BlobName, Blob] = {blob.cas_id: blob for blob in found}
        return by_name | {blob.sha256: blob for blob in found if blob.sha256}

    async def quarantine(self, conn: Connection, cas_id: CasId, key: str | None) -> None:
        """Serve this blob no more until its bytes come again; `key` is where it was damaged."""
        if await self._blobs.quarantine(conn, cas_id, key, "read"):
            tell(
                conn,
                "quarantined blob",
                metrics.BLOBS_QUARANTINED.inc,
                by=None,
                cas_id=str(cas_id),
            )

    async def remember_sha256(self, conn: Connection, cas_id: CasId, sha256: Sha256) -> None:
        """The second name of a blob, computed from its verified bytes."""
        await self._blobs.set_sha256(conn, cas_id, sha256)


def _inline(found: BlobContent) -> bytes:
    """The bytes of a document."""
    if found.content is None:
        raise CorruptBlob(str(found.blob.cas_id))
    return found.content


def tell_stored(conn: Connection, cas_id: CasId, size_bytes: int, *, by: Actor | None) -> None:
    """Report that the store has new bytes."""
    tell(
        conn,
        "stored content",
        metrics.BLOBS_STORED.inc,
        partial(metrics.BLOB_BYTES_STORED.inc, size_bytes),
        by=by,
        cas_id=str(cas_id),
        size_bytes=size_bytes,
    )


def _undamaged(blob: Blob) -> Blob:
    if blob.quarantined:
        raise CorruptBlob(str(blob.cas_id))
    return blob


def _verified(found: BlobContent) -> BlobContent:
    """Bytes in storage are checked piece by piece, where they are read."""
    _undamaged(found.blob)
    if found.content is not None and CasId.of(found.content) != found.blob.cas_id:
        log.error("corrupt blob", cas_id=str(found.blob.cas_id))
        raise CorruptBlob(str(found.blob.cas_id))
    return found
