"""Connections that last as long as a backup or a restore, and the lock against deletions."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from orchestrator.backup.error import BackupRefused
from orchestrator.core.database import Connection, connect
from orchestrator.repository.upkeep.backup import BackupRepository
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository

#: A statement may be the copy of a whole table, and may wait for a migration to end.
STATEMENT_SECONDS_MAX = 7 * 86_400.0
#: What the driver says of a database that refuses, ends or cannot be reached.
FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    TimeoutError,
    ConnectionError,
)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection whose statements may take long; it is closed at the end of the block."""
    conn = await connect(url, statement_seconds_max=STATEMENT_SECONDS_MAX)
    try:
        yield conn
    finally:
        await conn.close()


class MaintenanceLock:
    """Nobody deletes bytes of blobs as long as its connection is open."""

    def __init__(self, conn: Connection, rows: BackupRepository) -> None:
        self._conn = conn
        self._rows = rows

    async def check(self) -> None:
        """Raise if the lock was lost with its connection, or the database is only a standby."""
        if await self._rows.is_standby(self._conn):
            raise BackupRefused("The database follows another one: name that one.")


@asynccontextmanager
async def maintenance_locked(url: str) -> AsyncIterator[MaintenanceLock]:
    """Wait until nobody deletes, and let nobody begin to before the block ends."""
    async with connected(url) as conn:
        lock = MaintenanceLock(conn, BackupRepository())
        await lock.check()
        await MaintenanceRepository().lock_exclusive(conn)
        yield lock


@contextmanager
def explained() -> Iterator[None]:
    """The one place where errors of the database become a line for the person at the console."""
    try:
        yield
    except FAILURES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackupRefused(f"The database cannot be used: {reason}") from error
