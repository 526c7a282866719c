"""Connections to PostgreSQL, lent out one block at a time; no SQL of ours, no decisions."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from orchestrator.core.connection_pool import ConnectionPool
from orchestrator.errors import (
    Contended,
    DomainError,
    OutcomeUnknown,
    StorageFull,
    StorageUnavailable,
)

# asyncpg's connections are generic to the type checker only.
if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class Connection(_Connection):
    """A connection that knows what is to be done once its transaction is committed."""

    __slots__ = ("_after_commit",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._after_commit: list[Callable[[], None]] | None = None

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
        # The driver learns of it a turn of the event loop later than its transport, which its
        # stubs do not know.
        return self.is_closed() or self._transport.is_closing()  # type: ignore[attr-defined]

    @asynccontextmanager
    async def committing(self) -> AsyncIterator[None]:
        """A transaction, and after its commit the calls that waited for it.

        A refusal rolls back. After anything else the connection is to be closed, which does that
        too: it may be lost, or busy with a statement that was given up, and would be waited for.

        Raises OutcomeUnknown when the connection was lost after COMMIT was sent.
        """
        transaction = self.transaction()
        await transaction.start()
        calls = self._after_commit = []
        try:
            yield
        except DomainError as error:
            if not isinstance(error, StorageUnavailable):
                await transaction.rollback()
            raise
        else:
            await _commit(transaction)
        finally:
            self._after_commit = None
        for call in calls:
            call()


#: Errors of PostgreSQL, or of the connection to it, that are not the fault of the request.
UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, statement timeout
    asyncpg.InsufficientResourcesError,  # too many connections, out of memory
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby after a failover
)
#: Errors for which another request, or one that shares the statement, may be the cause.
_CONTENDED = (
    asyncpg.TransactionRollbackError,  # deadlock, serialisation
    asyncpg.ObjectNotInPrerequisiteStateError,  # lock not available
)
#: After one of these errors a statement that was sent may have been committed.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


#: All that the driver raises of its own, for the few places that tell a person of it in one line.
DRIVER_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def reason_of(error: BaseException) -> str:
    """The first line of what the driver says, or what kind of error it is if it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__


async def connect(
    url: str, *, connect_seconds_max: float = 5.0, statement_seconds_max: float = 30.0
) -> Connection:
    """A connection as every part of the product has it."""
    milliseconds = str(int(statement_seconds_max * 1000))
    conn: Connection = await asyncpg.connect(
        url,
        connection_class=Connection,
        timeout=connect_seconds_max,
        command_timeout=statement_seconds_max + 1,
        server_settings={
            "application_name": "orchestrator",
            "statement_timeout": milliseconds,
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
    await conn.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )
    return conn


async def _commit(transaction: asyncpg.transaction.Transaction) -> None:
    try:
        await transaction.commit()
    except Exception as error:
        if _may_have_taken_place(error):
            raise OutcomeUnknown from error
        raise


class Database:
    """A pool that is built closed and opened by the application's lifespan.

    A block that ends in anything but a commit, a rollback or a refusal loses its connection.
    """

    def __init__(
        self,
        url: str,
        *,
        connections_max: int = 12,
        acquire_seconds_max: float = 5.0,
        connect_seconds_max: float = 5.0,
        statement_seconds_max: float = 30.0,
    ) -> None:
        self._url = url
        self._connect_seconds_max = connect_seconds_max
        self._statement_seconds_max = statement_seconds_max
        #: How long a request waits at most until it gets a connection.
        self.acquire_seconds_max = acquire_seconds_max
        self._pool = ConnectionPool(
            self._connect,
            connections_max=connections_max,
            acquire_seconds_max=acquire_seconds_max,
        )

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

    def connection(self) -> "_Lent":
        """For a single statement, which is its own transaction."""
        return _Lent(self._pool)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        """For a single statement that writes, which is its own transaction and so saves the round
        trips of BEGIN and COMMIT.

        Raises OutcomeUnknown when the connection was lost on the way: the statement may have been
        committed, so it must not simply be done again.
        """
        conn: Connection | None = None
        try:
            async with self.connection() as conn:
                yield conn
        except StorageUnavailable as error:
            cause = error.__cause__
            if conn is None or cause is None or not _may_have_taken_place(cause):
                raise
            raise OutcomeUnknown from cause

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Commit when the block ends, roll back when it raises.

        Raises OutcomeUnknown when the connection was lost during the commit. Whatever else is
        raised, nothing was committed.
        """
        async with self.connection() as conn, conn.committing():
            yield conn

    async def _connect(self) -> Connection:
        try:
            return await connect(
                self._url,
                connect_seconds_max=self._connect_seconds_max,
                statement_seconds_max=self._statement_seconds_max,
            )
        except BaseException as error:
            translated = _translated(error)
            if translated is not None:
                raise translated from error
            raise


class _Lent:
    """A connection for one block. A class, because a generator costs each small request 5 µs."""

    __slots__ = ("_conn", "_pool")

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    async def __aenter__(self) -> Connection:
        self._conn = await self._pool.acquire()
        return self._conn

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        translated = _translated(error, self._conn) if error is not None else None
        refused = isinstance(error, DomainError) and not isinstance(error, StorageUnavailable)
        self._pool.release(self._conn, healthy=error is None or refused)
        if translated is not None:
            raise translated from error


def _may_have_taken_place(error: BaseException) -> bool:
    """Whether a statement that ended so may have been carried out all the same.

    Not if the database refused it, and not if the driver did, before it sent anything.
    """
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, _LOST)
    return isinstance(error, OSError | asyncpg.InternalClientError)


def _translated(error: BaseException, conn: Connection | None = None) -> DomainError | None:
    """The one place where errors of the driver become errors of the domain; None for others."""
    if isinstance(error, asyncpg.DiskFullError):
        return StorageFull()
    if isinstance(error, _CONTENDED):
        return Contended()
    if isinstance(error, UNAVAILABLE):
        return StorageUnavailable()
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) and (
        # The driver raises these for a misuse by us, and for a connection that was lost before.
        conn is None or conn.is_closed()
    ):
        return StorageUnavailable()
    return None
