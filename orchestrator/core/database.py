"""Connections to PostgreSQL, lent out one block at a time; no SQL of ours, no decisions."""

import asyncio
import select
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from orchestrator.core.connection_pool import ConnectionPool
from orchestrator.core.database_error import domain_error, may_have_taken_place, was_not_sent
from orchestrator.core.places import Places
from orchestrator.errors import DomainError, OutcomeUnknown, StorageUnavailable

# asyncpg's connections are generic to the type checker only.
if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class _Resting(asyncio.Protocol):
    """Listens to an idle connection.

    Bytes that arrive then say that the server closes it, or nothing that matters. The driver would
    read them and refuse the next statement, and does not report that before.
    """

    def __init__(self, transport: asyncio.Transport, driver: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._driver = driver

    def data_received(self, _: bytes) -> None:
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._driver.connection_lost(error)


class Connection(_Connection):
    """A connection that knows what is to be done once its transaction is committed."""

    __slots__ = ("_after_commit", "_arrivals", "_driver", "_resting")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._after_commit: list[Callable[[], None]] | None = None
        # The stubs of the driver do not know the transport.
        self._transport: asyncio.Transport
        self._arrivals = select.poll()
        self._arrivals.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._driver = self._transport.get_protocol()
        self._resting = _Resting(self._transport, self._driver)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this after the commit of the transaction that `Database.transaction` opened, never
        if it is rolled back; outside of one, now.
        """
        if self._after_commit is None:
            call()
        else:
            self._after_commit.append(call)

    @property
    def is_lost(self) -> bool:
        """Whether it is closed, or is about to be: nothing that is sent on it arrives."""
        # The driver learns of it a turn of the event loop later than its transport.
        return self.is_closed() or self._transport.is_closing()

    @property
    def has_unread(self) -> bool:
        """Whether bytes have come that the event loop has not seen yet. On an idle connection they
        are the end of it, or nothing that matters.
        """
        return bool(self._arrivals.poll(0))

    def rest(self) -> None:
        """It is idle from now on: it is lost with the first byte that arrives."""
        self._transport.set_protocol(self._resting)

    def resume(self) -> None:
        """It is in use again."""
        self._transport.set_protocol(self._driver)

    @asynccontextmanager
    async def committing(
        self, begun: asyncpg.transaction.Transaction, *, dry_run: bool
    ) -> AsyncIterator[None]:
        """The transaction that was begun, and after its commit the calls that waited for it. A dry
        run ends without both.

        A refusal rolls back. After anything else the connection is to be closed, which does that
        too: it may be lost, or busy with a statement that was given up, and would be waited for.

        Raises OutcomeUnknown when the connection was lost after COMMIT was sent.
        """
        calls = self._after_commit = []
        try:
            yield
        except DomainError as error:
            if not isinstance(error, StorageUnavailable):
                await begun.rollback()
            raise
        except asyncpg.LockNotAvailableError:
            await begun.rollback()
            raise
        else:
            if dry_run:
                calls.clear()
                await begun.rollback()
            else:
                await _commit(begun)
        finally:
            self._after_commit = None
        for call in calls:
            call()


#: Places of writers that are left for statements that many requests share.
SHARED_PLACES = 2


async def connect(
    url: str,
    *,
    connect_seconds_max: float = 5.0,
    statement_seconds_max: float = 30.0,
    lock_seconds_max: float = 0.0,
) -> Connection:
    """A connection as every part of the product has it; 0: it waits for locks as long as for
    anything else.
    """
    milliseconds = str(int(statement_seconds_max * 1000))
    conn: Connection = await asyncpg.connect(
        url,
        connection_class=Connection,
        timeout=connect_seconds_max,
        command_timeout=statement_seconds_max + 1,
        server_settings={
            "application_name": "orchestrator",
            "statement_timeout": milliseconds,
            "lock_timeout": str(int(lock_seconds_max * 1000)),
            "idle_in_transaction_session_timeout": milliseconds,
            "synchronous_commit": "on",  # Acknowledged means durable.
            "jit": "off",
            # A generic plan is made while tables may be empty and stays until they are first
            # analysed: lookups of many tags took 7.3 ms by scans, 1.3 ms by indexes.
            "enable_seqscan": "off",
            # A list was planned anew for each request, as its LIMIT is unknown: 0.74 ms of 64
            # workflows, 0.46 ms with the plan that is there.
            "plan_cache_mode": "force_generic_plan",
            # An answer waits for no other process to start.
            "max_parallel_workers_per_gather": "0",
        },
    )
    for type_ in ("json", "jsonb"):
        await conn.set_type_codec(
            type_,
            schema="pg_catalog",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=msgspec.json.decode,
        )
    return conn


async def _commit(transaction: asyncpg.transaction.Transaction) -> None:
    try:
        await transaction.commit()
    except Exception as error:
        if may_have_taken_place(error):
            raise OutcomeUnknown from error
        raise


class Database:
    """A pool that is built closed and opened by the application's lifespan.

    A block that ends in anything but a commit, a rollback or a refusal loses its connection.

    A write needs a place besides the connection. There are fewer places than connections, so that
    writes that wait for each other leave connections to reads. Writes `of` one thing, which may all
    wait for the same lock, get only some of the places. Some places are left for writes of nothing
    in particular: statements that many requests share, and that wait for no lock.

    A block that gets no connection before its deadline, by the clock of the event loop, raises
    StorageUnavailable; without one it has `acquire_seconds_max`.
    """

    def __init__(
        self,
        url: str,
        *,
        connections_max: int = 12,
        writers_max: int = 8,
        writers_of_one_max: int = 4,
        acquire_seconds_max: float = 5.0,
        connect_seconds_max: float = 5.0,
        statement_seconds_max: float = 30.0,
        lock_seconds_max: float = 2.0,
    ) -> None:
        self._url = url
        self._connect_seconds_max = connect_seconds_max
        self._statement_seconds_max = statement_seconds_max
        self._lock_seconds_max = lock_seconds_max
        #: How long a request waits at most until it gets a connection.
        self.acquire_seconds_max = acquire_seconds_max
        self._pool = ConnectionPool(self._connect, connections_max=connections_max)
        # Where there are few connections, each has at least one, and leaves one to the next.
        writers_max = max(1, min(writers_max, connections_max - 1))
        groups_max = max(1, writers_max - SHARED_PLACES)
        group_max = max(1, min(writers_of_one_max, groups_max - 1))
        self._writers = Places(writers_max, groups_max=groups_max, group_max=group_max)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Allow connections; they are made when they are first needed, so a database that is
        down at the start is found by readiness, not by a crash.
        """
        self._pool.open()
        try:
            yield
        finally:
            self._pool.close()

    def connection(self, *, deadline: float | None = None) -> "_Lent":
        """For a single statement, which is its own transaction."""
        return _Lent(self._pool, self._end_of_waiting(deadline))

    @asynccontextmanager
    async def write(
        self, *, of: Hashable = None, deadline: float | None = None
    ) -> AsyncIterator[Connection]:
        """For a single statement that writes, which is its own transaction and so saves the round
        trips of BEGIN and COMMIT.

        Raises OutcomeUnknown when the connection was lost on the way: the statement may have been
        committed, so it must not simply be done again.
        """
        conn: Connection | None = None
        deadline = self._end_of_waiting(deadline)
        try:
            async with self._writing(of, deadline), _Lent(self._pool, deadline) as conn:
                yield conn
        except StorageUnavailable as error:
            cause = error.__cause__
            if conn is None or cause is None or not may_have_taken_place(cause):
                raise
            raise OutcomeUnknown from cause

    @asynccontextmanager
    async def transaction(
        self, *, of: Hashable = None, deadline: float | None = None, dry_run: bool = False
    ) -> AsyncIterator[Connection]:
        """Commit when the block ends, roll back when it raises; a dry run is rolled back always.

        Raises OutcomeUnknown when the connection was lost during the commit. Whatever else is
        raised, nothing was committed.
        """
        deadline = self._end_of_waiting(deadline)
        lent = _LentInTransaction(self._pool, deadline)
        async with (
            self._writing(of, deadline),
            lent as conn,
            conn.committing(lent.begun, dry_run=dry_run),
        ):
            yield conn

    def _end_of_waiting(self, deadline: float | None) -> float:
        if deadline is not None:
            return deadline
        return asyncio.get_running_loop().time() + self.acquire_seconds_max

    @asynccontextmanager
    async def _writing(self, of: Hashable, deadline: float) -> AsyncIterator[None]:
        await self._writers.take(of, deadline)
        try:
            yield
        finally:
            self._writers.give_back(of)

    async def _connect(self) -> Connection:
        try:
            return await connect(
                self._url,
                connect_seconds_max=self._connect_seconds_max,
                statement_seconds_max=self._statement_seconds_max,
                lock_seconds_max=self._lock_seconds_max,
            )
        except BaseException as error:
            translated = domain_error(error)
            if translated is not None:
                raise translated from error
            raise


class _Lent:
    """A connection for one block. A class, because a generator costs each small request 5 µs."""

    __slots__ = ("_conn", "_deadline", "_pool")

    def __init__(self, pool: ConnectionPool[Connection], deadline: float) -> None:
        self._pool = pool
        self._deadline = deadline

    async def __aenter__(self) -> Connection:
        self._conn = await self._pool.acquire(self._deadline)
        return self._conn

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        translated = self._give_back(error)
        if translated is not None:
            raise translated from error

    def _give_back(self, error: BaseException | None) -> DomainError | None:
        """Returns what the error of the block means to the domain, if it is not one of its own."""
        translated = domain_error(error, self._conn) if error is not None else None
        refused = isinstance(error, DomainError) and not isinstance(error, StorageUnavailable)
        gave_up = isinstance(error, asyncpg.LockNotAvailableError) and not self._conn.is_lost
        ended = error is None or refused or (gave_up and not self._conn.is_in_transaction())
        self._pool.release(self._conn, healthy=ended)
        return translated


class _LentInTransaction(_Lent):
    """A connection for one block, with a transaction that was begun.

    If the connection turns out to be lost when the transaction is begun, nothing was done on it,
    and the transaction is begun on a fresh one, once.
    """

    __slots__ = ("begun",)

    async def __aenter__(self) -> Connection:
        is_first = True
        while True:
            conn = await super().__aenter__()
            self.begun = conn.transaction()
            try:
                await self.begun.start()
            except BaseException as error:
                is_final = not (is_first and (conn.is_lost or was_not_sent(error)))
                translated = self._give_back(error)
                if is_final and translated is not None:
                    raise translated from error
                if is_final:
                    raise
                is_first = False
            else:
                return conn
