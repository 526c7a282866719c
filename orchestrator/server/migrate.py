"""Migrates before the first request, without loading the migration tools when there is no need.

The steps and their rules are in `orchestrator.migration`; loading it costs about a second and
several megabytes, so it runs in a process of its own, and only if the database is not current.
"""

import asyncio
import subprocess
from collections.abc import Mapping

from orchestrator.core.database import connect
from orchestrator.core.database_error import DRIVER_ERRORS, WRONG_PARAMETERS, reason_of
from orchestrator.core.own_module import own_command, own_environ
from orchestrator.models.upkeep.schema import SCHEMA_VERSION
from orchestrator.server import migrate_child
from orchestrator.server.error import ServeError, UsageError
from orchestrator.server.stop import Stop
from orchestrator.wiring.schema import build_schema

CONNECT_SECONDS_MAX = 10.0


def migrate(database_url: str, environ: Mapping[str, str], stop: Stop) -> None:
    """Bring the database to this program's schema, or refuse in one line."""
    try:
        found = stop.in_thread(lambda: asyncio.run(_found(database_url)))
    except WRONG_PARAMETERS:
        message = "has a parameter that the driver or the database does not take."
        raise UsageError(f"ORCHESTRATOR_DATABASE_URL {message}") from None
    except DRIVER_ERRORS as error:
        raise ServeError(f"The database cannot be reached: {reason_of(error)}") from error
    except ValueError:
        # The driver's text may hold a part of the password.
        raise ServeError("ORCHESTRATOR_DATABASE_URL cannot be read.") from None
    if found != SCHEMA_VERSION:
        _upgrade(dict(environ) | {migrate_child.URL: database_url}, stop)


def _upgrade(environ: dict[str, str], stop: Stop) -> None:
    # In its own session: Ctrl-C is for us, and we end it.
    child = subprocess.Popen(
        own_command(migrate_child.__name__),
        env=own_environ(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        said, _ = stop.in_thread(child.communicate)
    finally:
        # Killed in the middle, its transaction is rolled back and the next start begins again.
        child.kill()
        child.wait()
    if child.returncode == migrate_child.REFUSED:
        raise ServeError(said.strip())
    if child.returncode != 0:
        raise ServeError("The migration of the database failed; see above.")


async def _found(database_url: str) -> str | None:
    conn = await connect(database_url, connect_seconds_max=CONNECT_SECONDS_MAX)
    try:
        return await build_schema().version(conn)
    finally:
        await conn.close()
