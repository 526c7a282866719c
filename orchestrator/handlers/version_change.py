"""How each change of what a tag names is made over HTTP; what the change is, is not known here.

The head is read, the change is computed without a connection, and it is stored in one transaction.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.core.database import Connection, Database
from orchestrator.documents.patch import PatchFailed
from orchestrator.errors import (
    InvalidInput,
    MergeConflict,
    NotFound,
    PreconditionFailed,
    RuleBroken,
    TooLarge,
    VersionConflict,
)
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.precondition import (
    HashPrecondition,
    hash_guard,
    workflow_precondition,
)
from orchestrator.handlers.http.replay import Replay
from orchestrator.models.idempotency import Answer
from orchestrator.models.version import Change, Head
from orchestrator.service.version import VersionService

R = TypeVar("R")

#: How often a change that merges itself is made again because the tag moved.
MERGES_MAX = 16

#: What a change may be refused for because a copy of the same request made it just before: the tag
#: has moved, or the change does not fit its own result. Trouble of the storage is none of these.
DUE_TO_A_COPY = (
    VersionConflict,
    PreconditionFailed,
    NotFound,
    MergeConflict,
    PatchFailed,
    RuleBroken,
    InvalidInput,
    TooLarge,
)


class GuardedChanges:
    """Makes changes that are guarded by the version of the tag, each once for its key."""

    def __init__(
        self, database: Database, versions: VersionService, replay: Replay, computing: Computing
    ) -> None:
        self._database = database
        self._versions = versions
        self._replay = replay
        self._computing = computing

    async def head(
        self, conn: Connection, namespace: str, tag: str, precondition: HashPrecondition
    ) -> Head:
        """What the tag names, if it is what the request demands."""
        head = await self._versions.get_head(conn, namespace, tag)
        precondition.check(tag, head.tag_version, head.version.artifact.version_hash)
        return head

    async def change_merging(
        self,
        call: Call,
        tag: str,
        body: bytes,
        *,
        plan: Callable[[Connection, Head], Awaitable[Change[R]]],
        store: Callable[[Connection, Change[R], R], Awaitable[Answer]],
    ) -> Answer:
        """Make a change that merges itself into whatever the tag names: once more if that moved
        meanwhile.
        """
        for _ in range(MERGES_MAX - 1):
            try:
                return await self._change(call, tag, body, HashPrecondition(), plan, store)
            except VersionConflict:
                continue
        return await self._change(call, tag, body, HashPrecondition(), plan, store)

    async def change(
        self,
        call: Call,
        tag: str,
        body: bytes,
        *,
        plan: Callable[[Connection, Head], Awaitable[Change[R]]],
        store: Callable[[Connection, Change[R], R], Awaitable[Answer]],
    ) -> Answer:
        """Read the head, compute the change, and store it if the tag is still there.

        `plan` reads what else the change needs. `store` is given what was computed.
        """
        return await self._change(call, tag, body, workflow_precondition(call), plan, store)

    async def _change(
        self,
        call: Call,
        tag: str,
        body: bytes,
        precondition: HashPrecondition,
        plan: Callable[[Connection, Head], Awaitable[Change[R]]],
        store: Callable[[Connection, Change[R], R], Awaitable[Answer]],
    ) -> Answer:
        repeated = call.idempotent(body)
        if (first := await self._replay.first_answer(repeated)) is not None:
            return first
        try:
            with hash_guard(precondition, tag):
                async with self._database.connection() as conn:
                    head = await self.head(conn, call.namespace, tag, precondition)
                    change = await plan(conn, head)
                computed = await self._computing.run(call, change.compute, change.size_bytes)

                async def make(conn: Connection) -> Answer:
                    return await store(conn, change, computed)

                return await self._replay.once(call.namespace, repeated, make)
        except DUE_TO_A_COPY:
            if (first := await self._replay.first_answer(repeated)) is None:
                raise
            return first
