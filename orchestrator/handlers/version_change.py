"""How each change of what a tag names is made over HTTP; what the change is, is not known here.

The head is read, the change is computed without a connection, and it is stored in one transaction.
If the tag moved meanwhile, the change is refused, or made again on what the tag names now.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from random import random
from typing import TypeAlias, TypeVar
from weakref import WeakValueDictionary

from orchestrator.core.database import Connection, Database
from orchestrator.core.fair_queue import FairQueue
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
from orchestrator.models.idempotency import Answer
from orchestrator.models.version import Change, Head
from orchestrator.service.version import VersionService

R = TypeVar("R")

#: Reads what else a change of this head needs.
Plan: TypeAlias = Callable[[Connection, Head], Awaitable[Change[R]]]
#: Stores what was computed, and answers.
Store: TypeAlias = Callable[[Connection, Change[R], R], Awaitable[Answer]]
#: A change that was computed for the head that it found, on the head of now.
Again: TypeAlias = Callable[[Head, Change[R], R], Change[R]]

#: How often a change is tried in all when the tag keeps moving.
ATTEMPTS_MAX = 16
#: How long a newcomer leaves a tag to others, of whom some may be in other processes: to make a
#: change again takes longer than to make it, so they would lose each time.
PAUSE_SECONDS_MAX = 0.02
#: So many requests may wait for their turn to change one tag again.
WAITING_MAX = 10_000

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
        #: By namespace and tag, while somebody makes a change again.
        self._turns: WeakValueDictionary[tuple[str, str], FairQueue] = WeakValueDictionary()

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
        again: Again[R] | None = None,
        precondition: HashPrecondition | None = None,
        dry_run: bool = False,
    ) -> Answer:
        """Read the head, compute the change, and store it if the tag is still there.

        If it is not, the change is made again if the caller says how, and the request demands no
        version. A dry run stores it, too, in a transaction that is rolled back.
        """
        precondition = precondition or workflow_precondition(call)
        if precondition.names_version:
            again = None
        made = partial(
            self._change, call, tag, body, plan, store, again, precondition, dry_run=dry_run
        )
        if again is None or (call.namespace, tag) not in self._turns:
            return await made(self._turn(call, tag))
        async with self._turn(call, tag):
            await asyncio.sleep(random() * PAUSE_SECONDS_MAX)  # noqa: S311 - no secret.
            return await made(nullcontext())

    async def _change(
        self,
        call: Call,
        tag: str,
        body: bytes,
        plan: Plan[R],
        store: Store[R],
        again: Again[R] | None,
        precondition: HashPrecondition,
        turn: AbstractAsyncContextManager[None],
        *,
        dry_run: bool,
    ) -> Answer:
        repeated = call.idempotent(body, dry_run=dry_run)
        if (first := await self._replay.first_answer(repeated)) is not None:
            return first

        async def computed(change: Change[R]) -> R:
            return await self._computing.run(call, change.compute, change.size_bytes)

        async def stored(change: Change[R], result: R) -> Answer:
            async def make(conn: Connection) -> Answer:
                return await store(conn, change, result)

            return await self._replay.once(call.namespace, repeated, make, dry_run=dry_run)

        try:
            with hash_guard(precondition, tag):
                async with self._database.connection() as conn:
                    head = await self.head(conn, call.namespace, tag, precondition)
                    change = await plan(conn, head)
                result = await computed(change)
                try:
                    return await stored(change, result)
                except VersionConflict:
                    if again is None:
                        raise

                async def made_again() -> Answer:
                    async with self._database.connection() as conn:
                        head = await self.head(conn, call.namespace, tag, precondition)
                    renewed = again(head, change, result)
                    return await stored(renewed, await computed(renewed))

                async with turn:
                    return await _repeated(made_again)
        except DUE_TO_A_COPY:
            if (first := await self._replay.first_answer(repeated)) is None:
                raise
            return first

    @asynccontextmanager
    async def _turn(self, call: Call, tag: str) -> AsyncIterator[None]:
        """Let changes of one tag that came too late be made again one after the other, and those
        that come meanwhile wait: made all at once, all but one would be too late again.
        """
        key = call.namespace, tag
        turns = self._turns.get(key)
        if turns is None:
            seconds = self._database.acquire_seconds_max
            turns = FairQueue(1, waiting_bytes_max=WAITING_MAX, wait_seconds_max=seconds)
            self._turns[key] = turns
        async with turns.place(call.principal.name, 1):
            yield


async def _repeated(made_again: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make the change again until the tag stands still, or the attempts are used up."""
    for _ in range(ATTEMPTS_MAX - 2):
        try:
            return await made_again()
        except VersionConflict:
            continue
    return await made_again()
