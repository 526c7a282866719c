"""Migrates before the first request, without loading the migration tools when there is no need.

The steps and their rules are in `orchestrator.migration`; loading it costs about a second and
several megabytes, so it runs in a process of its own, and only if the database is not current.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from orchestrator.server.error import ServeError

CONNECT_SECONDS_MAX = 10.0
REVISION = re.compile(r"^(down_)?revision\b[^=\n]*= *[\"'](\w+)[\"']", re.MULTILINE)
REFUSED = 3
STEPS = f"""
import os, sys
from orchestrator.errors import DomainError
from orchestrator.migration import upgrade
try:
    upgrade(os.environ["ORCHESTRATOR_DATABASE_URL"])
except (DomainError, OSError) as error:
    print(error)
    sys.exit({REFUSED})
"""


def migrate(database_url: str, environ: Mapping[str, str] = os.environ) -> None:
    """Bring the database to this program's schema, or refuse in one line."""
    try:
        found = asyncio.run(_found(database_url))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ServeError(f"The database cannot be reached: {reason}") from error
    if found is None or found != newest(_folder()):
        _upgrade(dict(environ) | {"ORCHESTRATOR_DATABASE_URL": database_url})


def newest(folder: Path) -> str | None:
    """The one revision that no other builds on, read without running the files."""
    known: set[str] = set()
    below: set[str] = set()
    for path in folder.glob("versions/*.py"):
        for down, revision in REVISION.findall(path.read_text()):
            (below if down else known).add(revision)
    heads = known - below
    return heads.pop() if len(heads) == 1 else None


def _upgrade(environ: dict[str, str]) -> None:
    # In its own session: Ctrl-C is for us, and we end it.
    child = subprocess.Popen(
        [sys.executable, "-c", STEPS],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        said, _ = child.communicate()
    finally:
        # Killed in the middle, its transaction is rolled back and the next start begins again.
        child.kill()
        child.wait()
    if child.returncode == REFUSED:
        raise ServeError(said.strip())
    if child.returncode != 0:
        raise ServeError("The migration of the database failed; see above.")


async def _found(database_url: str) -> str | None:
    conn = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS_MAX)
    try:
        if await conn.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        version: str | None = await conn.fetchval("SELECT version_num FROM alembic_version")
        return version
    finally:
        await conn.close()


def _folder() -> Path:
    package = Path(__file__).parents[1]
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"
