"""How each change of what a tag names is made over HTTP; what the change is, is not known here.

The head is read, the change is computed without a connection, and it is stored in one transaction.
If the tag moved meanwhile, the change is refused, or made again on what the tag names now.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias, TypeVar

from orchestrator.core.database import Connection, Database
from orchestrator.documents.patch import PatchFailed
from orchestrator.errors import (
    InvalidInput,
    NotFound,
    PreconditionFailed,
    RuleBroken,
    TooLarge,
    VersionConflict,
)
from orchestrator.errors_change import MergeConflict
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.precondition import (
    HashPrecondition,
    hash_guard,
    workflow_precondition,
)
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.version_rebase import Rebasing
from orchestrator.models.idempotency import Answer
from orchestrator.models.version import Change, Head
from orchestrator.service.version import VersionService

R = TypeVar("R")

#: Reads what else a change of this head needs.
Plan: TypeAlias = Callable[[Connection, Head], Awaitable[Change[R]]]
#: Stores what was computed, and answers.
Store: TypeAlias = Callable[[Connection, Change[R], R], Awaitable[Answer]]
#: A change that was computed for the head that it found, on the head of now.
Again: TypeAlias = Callable[[Connection, Head, Change[R], R], Awaitable[Change[R]]]

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
        self,
        database: Database,
        versions: VersionService,
        replay: Replay,
        computing: Computing,
        rebasing: Rebasing,
    ) -> None:
        self._database = database
        self._versions = versions
        self._replay = replay
        self._computing = computing
        self._rebasing = rebasing

    async def head(
        self, conn: Connection, namespace: str, tag: str, precondition: HashPrecondition
    ) -> Head:
        """What the tag names, if it is what the request demands."""
        head = await self._versions.get_head(conn, namespace, tag)
        precondition.check(tag, head.tag_version, head.version.artifact.version_hash)
        return head

    async def change(
        self,
        call: Call,
        tag: str,
        body: bytes,
        *,
        plan: Plan[R],
        store: Store[R],
        again: Again[R],
        precondition: HashPrecondition | None = None,
        dry_run: bool = False,
    ) -> Answer:
        """Read the head, compute the change, and store it if the tag is still there.

        If it is not, the change is made again if the request demands no version. A dry run stores
        it, too, in a transaction that is rolled back.
        """
        precondition = precondition or workflow_precondition(call)
        repeated = call.idempotent(body, dry_run=dry_run)
        if (first := await self._replay.first_answer(call, repeated)) is not None:
            return first
        found: tuple[Change[R], R] | None = None

        async def computed(change: Change[R]) -> R:
            return await self._computing.run(call, change.compute, change.size_bytes)

        async def stored(change: Change[R], result: R) -> Answer:
            async def make(conn: Connection) -> Answer:
                return await store(conn, change, result)

            return await self._replay.once(call, repeated, make, dry_run=dry_run)

        async def made() -> Answer:
            nonlocal found
            async with self._database.connection(deadline=call.deadline(self._database)) as conn:
                head = await self.head(conn, call.namespace, tag, precondition)
                change = await plan(conn, head)
            found = change, await computed(change)
            return await stored(*found)

        async def made_again() -> Answer:
            assert found is not None
            async with self._database.connection(deadline=call.deadline(self._database)) as conn:
                head = await self.head(conn, call.namespace, tag, precondition)
                renewed = await again(conn, head, *found)
            return await stored(renewed, await computed(renewed))

        try:
            with hash_guard(precondition, tag):
                if precondition.names_version:
                    return await made()
                tags = [(call.namespace, tag)]
                return await self._rebasing.make(
                    made,
                    made_again,
                    caller=call.principal.name,
                    tags=tags,
                    deadline=partial(call.deadline, self._database),
                )
        except DUE_TO_A_COPY:
            if (first := await self._replay.first_answer(call, repeated)) is None:
                raise
            return first
