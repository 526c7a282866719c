"""Blob storage in a bucket, through obstore: S3, Google Cloud or Azure; it knows no blobs.

    identity                                 which storage this is
    objects/<hex of the cas id>/<uuid>       an object with the key `<hex>/<uuid>`
    stages/<stage>/<offset, 20 digits>       what one append put there

Nothing needs conditional writes, which some servers ignore: names are made once and never used
again. An object is invisible until its last request has succeeded, so no crash leaves half of one.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from orchestrator.core.digest import CasId
from orchestrator.core.identifier import new_id
from orchestrator.errors import StorageUnavailable
from orchestrator.storage.base import MissingObject, StoredObject
from orchestrator.storage.object_client import (
    RETRIES_MAX,
    connect,
    delete,
    next_chunk,
    small,
    translated,
)

if TYPE_CHECKING:
    from obstore import Attributes, BytesStream, GetOptions, GetResult
    from obstore.store import ObjectStore

#: S3's smallest part; 10,000 of them make an object of at most 48.8 GiB. A writer has in memory the
#: part that it sends and one piece of its caller: eight writers stay below 64 MiB.
PART_BYTES = 5 * 1024 * 1024
_PARTS_IN_FLIGHT = 1
#: What one read of a stream brings at least: less costs more reads, more costs memory.
_STREAM_BYTES = 256 * 1024
_STAGE_PIECE_BYTES = 1024 * 1024
_PAGE = 1000


def open_objects(url: str, *, retries_max: int = RETRIES_MAX) -> "ObjectStorage":
    """The storage of `s3://bucket/prefix`, `gs://…` or `az://…`, without asking it anything.

    Credentials, region and endpoint come from the variables that the provider's own tools read.
    Raises ValueError for any other URL.
    """
    return ObjectStorage(connect(url, retries_max=retries_max))


class ObjectStorage:
    """Objects and stages below the prefix of one bucket.

    The bucket needs a lifecycle rule that aborts incomplete multipart uploads after some days:
    what a killed process leaves of an unfinished object cannot be listed by this client.
    """

    def __init__(self, store: "ObjectStore") -> None:
        self.folder: Path | None = None
        self._store = store

    async def create(self, expected: CasId | None, media_type: str) -> "ObjectWriter":
        """An object has its key from the start: a bucket cannot rename."""
        name = expected.raw[1:].hex() if expected else "unnamed"
        return ObjectWriter(self._store, f"{name}/{new_id().hex}", media_type)

    async def read(
        self, key: str, start: int, lengths: Sequence[int]
    ) -> AsyncGenerator[bytes, None]:
        """One request for all pieces, cut as they arrive."""
        size = sum(lengths)
        stream = await self._open(key, start, size)
        rest = memoryview(b"")
        async with aclosing(self._chunks(stream, key, start, start + size)) as chunks:
            for length in lengths:
                piece: list[memoryview] = []
                wanted = length
                while wanted:
                    rest = rest or memoryview(await anext(chunks))
                    piece.append(rest[:wanted])
                    rest = rest[wanted:]
                    wanted -= len(piece[-1])
                yield b"".join(piece)

    async def size(self, key: str) -> int:
        """One HEAD request."""
        path = f"objects/{key}"
        try:
            async with small(key):
                meta = await obstore.head_async(self._store, path)
        except MissingObject:
            # An answer to HEAD has no body that would say whether it is the bucket that is missing.
            meta = (await self._get(path, key, 0, 1)).meta
        return meta["size"]

    async def delete(self, key: str) -> None:
        """One DELETE request."""
        await delete(self._store, [f"objects/{key}"])

    async def list_objects(self, after: str, limit: int) -> list[StoredObject]:
        """A bucket lists its objects in the order of their names."""
        found: list[StoredObject] = []
        with translated():
            pages = obstore.list(
                self._store, "objects", offset=f"objects/{after}", chunk_size=_PAGE
            )
            async for page in pages:
                for meta in page:
                    key = meta["path"].removeprefix("objects/")
                    found.append(StoredObject(key, meta["size"], meta["last_modified"]))
                if len(found) >= limit:
                    break
        return found[:limit]

    async def presigned_url(self, key: str, seconds: int) -> str | None:
        """None for a store without a server, such as one in memory."""
        if not isinstance(self._store, (S3Store, GCSStore, AzureStore)):
            return None
        lifetime = timedelta(seconds=seconds)
        with translated():
            return await obstore.sign_async(self._store, "GET", f"objects/{key}", lifetime)

    async def append(self, stage: str, offset: int, data: bytes) -> None:
        """One object for each append; the offset is 0 or the end of an earlier one.

        Nothing is deleted: a part that does not begin where the one before it ends is ignored, and
        the next append at its offset replaces it.
        """
        with translated():
            await obstore.put_async(self._store, _part(stage, offset), data, use_multipart=False)

    async def read_stage(self, stage: str, size_bytes: int) -> AsyncGenerator[bytes, None]:
        """The end of each part is where the next one begins."""
        offset = 0
        while offset < size_bytes:
            wanted = size_bytes - offset
            part = await self._get(_part(stage, offset), stage, 0, wanted)
            wanted = min(wanted, part.meta["size"])
            offset += wanted
            stream = part.stream(_STAGE_PIECE_BYTES)
            while wanted:
                chunk = memoryview(await next_chunk(stream, stage))
                wanted -= len(chunk)
                for start in range(0, len(chunk), _STAGE_PIECE_BYTES):
                    yield bytes(chunk[start : start + _STAGE_PIECE_BYTES])

    async def promote(self, stage: str, size_bytes: int, cas_id: CasId) -> str | None:  # noqa: ARG002 - all storages are called so.
        """Parts of any size cannot be joined by the server."""
        return None

    async def drop_stage(self, stage: str) -> None:
        """Remove all its parts, also those that are ignored."""
        with translated():
            parts = await obstore.list(self._store, f"stages/{stage}").collect_async()
        await delete(self._store, [meta["path"] for meta in parts])

    async def list_stages(self, after: str, limit: int) -> list[StoredObject]:
        """In the order of their names, as long as no name is the beginning of another."""
        # The colon comes after all digits, so this begins after the last part of that stage.
        offset = f"stages/{after}/:" if after else None
        found: list[StoredObject] = []
        with translated():
            async for page in obstore.list(self._store, "stages", offset=offset, chunk_size=_PAGE):
                for meta in page:
                    _, stage, begin = meta["path"].split("/")
                    if not found or found[-1].key != stage:
                        if len(found) == limit:
                            return found
                        found.append(StoredObject(stage, 0, meta["last_modified"]))
                    last = found[-1]
                    seen = meta["size"] if int(begin) == last.size_bytes else 0
                    modified_at = max(last.modified_at, meta["last_modified"])
                    found[-1] = StoredObject(stage, last.size_bytes + seen, modified_at)
        return found[:limit]

    async def sweep(self, before: datetime) -> int:  # noqa: ARG002 - all storages are called so.
        """Nothing: the bucket's lifecycle rule removes what writers left unfinished."""
        return 0

    async def identity(self) -> str | None:
        """The content of the object `identity`."""
        try:
            async with small("identity"):
                found = await obstore.get_async(self._store, "identity")
                return bytes(await found.bytes_async()).decode()
        except MissingObject:
            return None

    async def set_identity(self, identity: str) -> None:
        """Write the object `identity`."""
        async with small():
            await obstore.put_async(self._store, "identity", identity.encode())

    async def _open(self, key: str, start: int, size: int) -> "BytesStream":
        found = await self._get(f"objects/{key}", key, start, size)
        # A server answers with what it has. An object that is too short fails here.
        if found.meta["size"] < start + size:
            raise MissingObject(key)
        return found.stream(_STREAM_BYTES)

    async def _chunks(
        self, stream: "BytesStream", key: str, start: int, end: int
    ) -> AsyncGenerator[bytes, None]:
        """A server hangs up when a reader pauses for a minute. A stream that has brought something
        is opened again where it broke.
        """
        while start < end:
            opened_at = start
            try:
                while start < end:
                    chunk = await next_chunk(stream, key)
                    start += len(chunk)
                    yield chunk
            except StorageUnavailable:
                if start == opened_at:
                    raise
                stream = await self._open(key, start, end - start)

    async def _get(self, path: str, key: str, start: int, size: int) -> "GetResult":
        # There is no range of no bytes: the request is for the whole object, which is not read.
        options: GetOptions | None = {"range": (start, start + size)} if size else None
        with translated(key):
            return await obstore.get_async(self._store, path, options=options)


class ObjectWriter:
    """One PUT, or one multipart upload if there is more than one part."""

    def __init__(self, store: "ObjectStore", key: str, media_type: str) -> None:
        self._store = store
        self._key = key
        self._path = f"objects/{key}"
        # A browser that is sent to the bucket saves the bytes; it must not run them.
        attributes: Attributes = {"Content-Type": media_type, "Content-Disposition": "attachment"}
        self._file = obstore.open_writer_async(
            store,
            self._path,
            attributes=attributes,
            buffer_size=PART_BYTES,
            max_concurrency=_PARTS_IN_FLIGHT,
        )
        self._request: asyncio.Future[object] | None = None
        self._closed = False
        self._ended = False

    async def write(self, data: bytes) -> None:
        """Returns when the server has the part before the current one."""
        await self._ask(self._file.write(data))

    async def commit(self, cas_id: CasId) -> str:  # noqa: ARG002 - all storages are called so.
        """Returns when the server has confirmed the last part and put them together."""
        self._closed = True
        await self._ask(self._file.close())
        self._ended = True
        return self._key

    async def abort(self) -> None:
        """What a server that does not answer keeps, the lifecycle rule or `list_objects` finds."""
        if self._ended:
            return
        if self._request:
            await asyncio.wait([self._request])
        # The caller aborts because of another error, and that one is to be seen.
        with suppress(StorageUnavailable):
            if self._closed:
                # The commit failed for us, or we were cancelled; it may have succeeded there.
                await delete(self._store, [self._path])
            else:
                with translated():
                    await self._file.__aexit__(StorageUnavailable, None, None)
        self._ended = True

    async def _ask(self, request: Awaitable[object]) -> None:
        """Wait for a request. If we are cancelled it goes on, so that `abort` can wait for its end:
        without the answer to its first request, a multipart upload could not be aborted.
        """
        self._request = asyncio.ensure_future(request)
        with translated():
            await asyncio.shield(self._request)


def _part(stage: str, offset: int) -> str:
    return f"stages/{stage}/{offset:020}"
