"""Brings a database to the schema of this program; the steps are in `migrations/`."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from orchestrator.core.database_error import DRIVER_ERRORS, WRONG_PARAMETERS, reason_of
from orchestrator.errors import DomainError, StorageUnavailable
from orchestrator.models.upkeep.schema import SCHEMA_VERSION

Step = Callable[[Config], object]

#: The lock of all servers that share a database: one of them migrates, the others wait.
ADVISORY_LOCK = 0x6F72_6368  # "orch"


class DatabaseNewer(DomainError):
    """The database was migrated by a newer version of this program."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(
            f"The database has schema {found}, newer than schema {known} of this program: "
            "start the newer program, or restore a backup."
        )
        self.found, self.known = found, known


class DatabaseURLWrong(ValueError):
    """The URL has a parameter that the driver or the database does not take."""


def upgrade(database_url: str, revision: str = SCHEMA_VERSION) -> None:
    """Apply what is missing. Safe to call from many processes at once; one of them migrates.

    Like all here it raises StorageUnavailable, with the driver's reason, if the database cannot be
    used, and DatabaseURLWrong if that will not change.
    """
    asyncio.run(_run(database_url, lambda config: command.upgrade(config, revision)))


def downgrade(database_url: str, revision: str) -> None:
    """Take steps back, down to `base`: the data of the dropped tables is lost."""
    asyncio.run(_run(database_url, lambda config: command.downgrade(config, revision)))


def current(database_url: str) -> str | None:
    """The schema that the database has, None when it was never migrated."""
    found: list[str | None] = []
    asyncio.run(_run(database_url, lambda config: found.append(_version(config)), checked=False))
    return found[0]


async def _run(database_url: str, step: Step, *, checked: bool = True) -> None:
    try:
        # asyncpg reads the URL itself, so that it means the same here as in the server; and it
        # connects before the engine, which would wrap what it says when it cannot.
        driver = await asyncpg.connect(database_url)
        await _run_on(driver, step, checked=checked)
    except DRIVER_ERRORS as error:
        message = f"The database cannot be used: {reason_of(error)}"
        if isinstance(error, WRONG_PARAMETERS):
            raise DatabaseURLWrong(message) from None
        raise StorageUnavailable(message) from error


async def _run_on(
    driver: "asyncpg.Connection[asyncpg.Record]", step: Step, *, checked: bool
) -> None:
    async def connected() -> "asyncpg.Connection[asyncpg.Record]":
        return driver

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connected, poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            # Held by the session, not the transaction: it covers reading the version too.
            await connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({ADVISORY_LOCK})"))
            await connection.commit()
            await connection.run_sync(_migrate, step, checked=checked)
            await connection.commit()
    finally:
        await engine.dispose()


def _migrate(connection: Connection, step: Step, *, checked: bool) -> None:
    config = _config()
    config.attributes["connection"] = connection
    found = _version(config)
    known = {script.revision for script in steps(config).walk_revisions()}
    if checked and found is not None and found not in known:
        raise DatabaseNewer(found, SCHEMA_VERSION)
    step(config)


def _version(config: Config) -> str | None:
    connection: Connection = config.attributes["connection"]
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version"))
    return found.scalar()


def steps(config: Config | None = None) -> ScriptDirectory:
    """What there is in `migrations`, as the migration tool reads it."""
    return ScriptDirectory.from_config(config or _config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.set_main_option("path_separator", "os")
    return config


def _folder() -> Path:
    """`migrations` travels inside the wheel; in a checkout it stands beside the package."""
    package = Path(__file__).parent
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"
