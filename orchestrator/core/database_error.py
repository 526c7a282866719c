"""What the driver's errors mean to the domain and to a person; no connections here."""

import asyncpg

from orchestrator.errors import Contended, DomainError, Locked, StorageFull, StorageUnavailable

#: Errors of PostgreSQL, or of the connection to it, that are not the fault of the request.
_UNAVAILABLE = (
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
    asyncpg.ObjectNotInPrerequisiteStateError,
)
#: After one of these errors a statement that was sent may have been committed.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
#: All that the driver raises of its own, for the few places that tell a person of it in one line.
DRIVER_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
#: Of these, what refuses a parameter for which a connection was asked. Their text may repeat its
#: value.
WRONG_PARAMETERS = (
    asyncpg.exceptions.ClientConfigurationError,
    asyncpg.InvalidParameterValueError,
    asyncpg.UndefinedObjectError,
    asyncpg.CantChangeRuntimeParamError,
)


def reason_of(error: BaseException) -> str:
    """The first line of what the driver says when there is no connection, or what kind of error it
    is if it says nothing.
    """
    if isinstance(error, WRONG_PARAMETERS):
        return "its URL has a parameter that the driver or the database does not take"
    return str(error).partition("\n")[0] or type(error).__name__


def was_not_sent(error: BaseException) -> bool:
    """Whether the driver refused a statement because the connection has already ended for it: the
    database announced the end, unasked, or an answer could not be read.
    """
    return isinstance(error, asyncpg.InternalClientError) and str(error).startswith(
        "cannot switch to state"
    )


def may_have_taken_place(error: BaseException) -> bool:
    """Whether a statement that ended so may have been carried out all the same.

    Not if the database refused it, and not if the driver did, before it sent anything.
    """
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, _LOST)
    return isinstance(error, OSError | asyncpg.InternalClientError) and not was_not_sent(error)


def domain_error(
    error: BaseException, conn: "asyncpg.Connection[asyncpg.Record] | None" = None
) -> DomainError | None:
    """What this error is in the domain; None if it is our own mistake, or is of the domain."""
    if isinstance(error, asyncpg.DiskFullError):
        return StorageFull()
    if isinstance(error, asyncpg.LockNotAvailableError):
        return Locked()
    if isinstance(error, _CONTENDED):
        return Contended()
    if isinstance(error, _UNAVAILABLE):
        return StorageUnavailable()
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) and (
        # The driver raises these for a misuse by us, and for a connection that was lost before.
        conn is None or conn.is_closed() or was_not_sent(error)
    ):
        return StorageUnavailable()
    return None
