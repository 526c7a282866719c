"""The interface of blob storage: bytes under keys that are never used twice; it knows no blobs.

An *object* is written once, by a writer, and is whole from the moment that it has a key. A *stage*
contains the bytes of a resumable upload so far; any server of the same storage can append to it.

Every implementation raises MissingObject for what cannot be had, StorageFull when there is no room,
StorageUnavailable when it cannot answer now, and nothing else. Cancellation is safe at every await:
`sweep`, `list_objects` or `list_stages` find what a cancelled call left behind.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from orchestrator.core.digest import CasId


class StoredObject(msgspec.Struct, frozen=True):
    """One object or one stage in a list."""

    key: str
    size_bytes: int
    modified_at: datetime


class MissingObject(Exception):
    """There is nothing under the key, or it is shorter than what was requested."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The storage has nothing (or not enough) under {key!r}.")
        self.key = key


class UnreadableObject(MissingObject):
    """It is there, but the disk cannot read it. For most callers it is as good as gone."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.args = (f"The storage cannot read {key!r}.",)


class Writer(Protocol):
    """One object that is being written. It ends with `commit` or with `abort`."""

    async def write(self, data: bytes) -> None:
        """Append; nothing is durable yet. Never called while another call is under way."""

    async def commit(self, cas_id: CasId) -> str:
        """Make the object durable and return its key; `cas_id` may be a part of it."""

    async def abort(self) -> None:
        """Leave nothing behind. May be called again, and after a failed commit."""


class Storage(Protocol):
    """Objects and stages in one place. Built without I/O; safe for concurrent calls."""

    #: The folder to which bytes are written, if it is on this machine: its disk may become full.
    folder: Path | None

    async def create(self, expected: CasId | None, media_type: str) -> Writer:
        """Begin an object. `expected` is its name, if that is known before the bytes."""

    def read(self, key: str, start: int, lengths: Sequence[int]) -> AsyncGenerator[bytes, None]:
        """The bytes from `start`, in pieces of exactly these lengths, in as few requests as can be.

        Each piece is read when the caller wants it, plus at most one ahead.
        """

    async def size(self, key: str) -> int:
        """How many bytes the object has. They are not read."""

    async def delete(self, key: str) -> None:
        """Remove it; if it is not there, that is no error."""

    async def list_objects(self, after: str, limit: int) -> list[StoredObject]:
        """Objects whose keys come after this one, in the order of their keys."""

    async def presigned_url(self, key: str, seconds: int) -> str | None:
        """An address at which anybody may read the object for so long; None if there is none."""

    async def append(self, stage: str, offset: int, data: bytes) -> None:
        """Put bytes at this offset of a stage. They are durable when this returns.

        They replace all bytes that earlier calls put at or after the offset.
        """

    def read_stage(self, stage: str, size_bytes: int) -> AsyncGenerator[bytes, None]:
        """The first `size_bytes` of a stage, in pieces of any length up to a few MiB."""

    async def promote(self, stage: str, size_bytes: int, cas_id: CasId) -> str | None:
        """Turn the first `size_bytes` of the stage into an object and return its key; the stage is
        gone then. None, and the stage stays, where the bytes would have to be written again.
        """

    async def drop_stage(self, stage: str) -> None:
        """Remove it; if it is not there, that is no error."""

    async def list_stages(self, after: str, limit: int) -> list[StoredObject]:
        """One entry for each stage, with all its bytes and the time of its last append."""

    async def sweep(self, before: datetime) -> int:
        """Remove what writers older than this left unfinished; returns how many bytes that was."""

    async def identity(self) -> str | None:
        """What `set_identity` wrote, None for a new storage. StorageUnavailable if the storage does
        not answer: this call is also the check that it does.
        """

    async def set_identity(self, identity: str) -> None:
        """Record which storage this is, so that another one is not taken for it. This comes before
        all other writes.
        """
