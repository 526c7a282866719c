"""The interface of blob storage: bytes under keys that are never used twice; it knows no blobs.

An *object* is written once, by a writer, and is whole from the moment that it has a key. A *stage*
holds the bytes of a resumable upload so far; any server of the same storage can append to it.

Every implementation raises MissingObject for what is not there, StorageFull when there is no room
and StorageUnavailable when it cannot say now; nothing else gets out. Cancellation is safe at every
await: what a cancelled call left behind is found by `sweep`, `list_objects` or `list_stages`.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from orchestrator.core.digest import CasId


class StoredObject(msgspec.Struct, frozen=True):
    """One object, or one stage, as the storage lists it."""

    key: str
    size_bytes: int
    modified_at: datetime


class MissingObject(Exception):
    """There is nothing under the key, or it is shorter than what was asked for."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The storage has nothing (or not enough) under {key!r}.")
        self.key = key


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

    #: The folder whose disk fills up with what is written, if it is on this machine.
    folder: Path | None

    async def create(self, expected: CasId | None, media_type: str) -> Writer:
        """Begin an object. `expected` is its name if the caller promised one."""

    def read(self, key: str, start: int, lengths: Sequence[int]) -> AsyncGenerator[bytes, None]:
        """The bytes from `start`, in pieces of exactly these lengths, in as few requests as can be.

        Each piece is read when it is asked for, plus at most one ahead.
        """

    async def size(self, key: str) -> int:
        """How many bytes the object has; none of them is read."""

    async def delete(self, key: str) -> None:
        """What is not there is no error."""

    async def list_objects(self, after: str, limit: int) -> list[StoredObject]:
        """Those whose keys come after this one, in the order of their keys."""

    async def presigned_url(self, key: str, seconds: int) -> str | None:
        """An address at which anybody may read the object for so long; None if there is none."""

    async def append(self, stage: str, offset: int, data: bytes) -> None:
        """Put bytes at this offset of a stage, durable when it returns.

        Bytes that an earlier call put at or after the offset are forgotten.
        """

    def read_stage(self, stage: str, size_bytes: int) -> AsyncGenerator[bytes, None]:
        """The first so many bytes of a stage, in pieces of any length up to a few MiB."""

    async def promote(self, stage: str, size_bytes: int, cas_id: CasId) -> str | None:
        """Turn the first so many bytes of the stage into an object and return its key.

        None where that cannot be done without writing them again. The stage is gone afterwards,
        or left as it was.
        """

    async def drop_stage(self, stage: str) -> None:
        """What is not there is no error."""

    async def list_stages(self, after: str, limit: int) -> list[StoredObject]:
        """One entry for each stage, with all its bytes and the time of its last append."""

    async def sweep(self, before: datetime) -> int:
        """Remove what writers older than this left unfinished; returns how many bytes that was."""

    async def identity(self) -> str | None:
        """What `set_identity` wrote, None for a new storage. Raises StorageUnavailable if it
        cannot be asked: this is the check that the storage answers.
        """

    async def set_identity(self, identity: str) -> None:
        """Write down which storage this is, so that another one is not taken for it. It comes
        before all writes.
        """
