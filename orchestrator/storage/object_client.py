"""The client of a bucket: its settings, and its exceptions made ours; it knows no names."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from orchestrator.errors import StorageFull, StorageUnavailable
from orchestrator.setting_rules import BUCKET_SCHEMES
from orchestrator.storage.base import MissingObject

if TYPE_CHECKING:
    from obstore import BytesStream
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

#: A dead server fails within seconds. The limit of a whole request is a day, because a download
#: lasts as long as its slowest reader; the read timeout ends one that stalls. An endpoint without
#: TLS is allowed, because the operator named it.
_CLIENT: "ClientConfig" = {
    "allow_http": True,
    "connect_timeout": "3s",
    "read_timeout": "30s",
    "timeout": "24h",
}
#: For a request that moves few bytes, with its repetitions; the settings above are for large ones.
SMALL_SECONDS_MAX = 10.0
#: How often a request is repeated that the client may repeat.
RETRIES_MAX = 3


def connect(url: str, *, retries_max: int) -> "ObjectStore":
    """The client of a bucket; it sends nothing yet. ValueError for a URL of anything else."""
    if urlsplit(url).scheme not in BUCKET_SCHEMES:
        raise ValueError("The URL of an object storage begins with s3://, gs:// or az://.")
    retries: RetryConfig = {
        "backoff": {"max_backoff": timedelta(seconds=2)},
        "max_retries": retries_max,
        "retry_timeout": timedelta(seconds=10),
    }
    try:
        return from_url(url, client_options=_CLIENT, retry_config=retries)
    except (BaseError, ValueError):
        # Its text may have a part of the URL or of a variable.
        raise ValueError(
            "blob_store names no bucket, or a variable of its provider (AWS_…, GOOGLE_… or "
            "AZURE_…) is missing or wrong"
        ) from None


async def next_chunk(stream: "BytesStream", key: str) -> bytes:
    """The next chunk. At the end of the stream the object is too short: MissingObject."""
    with translated(key):
        chunk = await anext(stream, None)
    if chunk is None:
        raise MissingObject(key)
    return chunk


async def delete(store: "ObjectStore", paths: Sequence[str]) -> None:
    """Remove the objects; it is no error with any provider if one is not there."""
    if paths:
        with suppress(MissingObject), translated(paths[0]):
            await obstore.delete_async(store, paths)


@asynccontextmanager
async def small(key: str | None = None) -> AsyncIterator[None]:
    """Translate errors of a request that moves few bytes, which must be answered soon."""
    with translated(key):
        async with asyncio.timeout(SMALL_SECONDS_MAX):
            yield


@contextmanager
def translated(key: str | None = None) -> Iterator[None]:
    """The one place where the client's exceptions become ours; `key` is the object to name."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _translate(error, key) from error


def _translate(error: Exception, key: str | None) -> Exception:
    """Most refusals of a server differ only in the text of the client's exception.

    That text contains the address of the server: it goes to the log, not to callers.
    """
    text = str(error)
    if "NoSuchBucket" in text or "ContainerNotFound" in text:
        return StorageUnavailable("The bucket of the object storage does not exist.")
    if key and (
        isinstance(error, FileNotFoundError)
        or any(sign in text for sign in ("InvalidRange", "416 Range", "Wanted range starting at"))
    ):
        return MissingObject(key)
    if any(sign in text for sign in ("QuotaExceeded", "StorageFull", "507 Insufficient")):
        return StorageFull("The object storage has no room for this write.")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or "AccessDenied" in text:
        return StorageUnavailable("The object storage refuses the credentials of this server.")
    return StorageUnavailable("The object storage cannot answer now.")
