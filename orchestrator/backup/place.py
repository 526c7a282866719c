"""Which database and which blob storage a backup is of, or a restore is to; it reads no rows.

If none is named, it is that of the data folder: its folder `blobs`, and its embedded PostgreSQL.
That one belongs to a server that runs there, or is started for as long as we need it.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.backup.error import BackupRefused
from orchestrator.embedded.cluster import EmbeddedPostgres, running_url
from orchestrator.server.error import ServeError
from orchestrator.server.files import lock_folder
from orchestrator.server.settings import checked_settings
from orchestrator.settings import PREFIX, Settings


@dataclass(frozen=True, kw_only=True)
class Place:
    """The database and the storage that the command line names."""

    data_dir: Path
    database_url: str | None = None
    blob_store: str | None = None


@contextmanager
def served(place: Place, environ: Mapping[str, str]) -> Iterator[Settings]:
    """Settings for a database that exists; its server may run meanwhile."""
    with ExitStack() as stack:
        url = place.database_url or _found(place.data_dir, stack)
        yield _settings(place, url, environ)


@contextmanager
def unserved(place: Place, environ: Mapping[str, str]) -> Iterator[Settings]:
    """Settings for a database that may be new. No server uses the data folder meanwhile."""
    with ExitStack() as stack:
        if place.database_url:
            yield _settings(place, place.database_url, environ)
            return
        stack.enter_context(lock_folder(place.data_dir))
        folder = place.data_dir.absolute() / "postgres"
        watched_disk = {f"{PREFIX}DATABASE_FOLDER": str(folder)}
        yield _settings(place, _started(folder, stack), {**environ, **watched_disk})


def _found(data_dir: Path, stack: ExitStack) -> str:
    folder = data_dir.absolute() / "postgres"
    if not (folder / "data").exists():
        raise BackupRefused(
            f"There is no database in {data_dir}: name its folder with --data-dir, or a "
            "PostgreSQL with --database-url."
        )
    try:
        stack.enter_context(lock_folder(data_dir))
    except ServeError:
        url = running_url(folder)
        if url is None:
            raise BackupRefused(
                f"The server of {data_dir} is starting or ending, or has another database: try "
                "again, or name it with --database-url."
            ) from None
        return url
    return _started(folder, stack)


def _started(folder: Path, stack: ExitStack) -> str:
    postgres = EmbeddedPostgres(folder)
    stack.callback(postgres.stop)
    return postgres.start()


def _settings(place: Place, url: str, environ: Mapping[str, str]) -> Settings:
    blobs = place.blob_store or (place.data_dir.absolute() / "blobs").as_uri()
    named = {
        f"{PREFIX}DATABASE_URL": url,
        f"{PREFIX}BLOB_STORE": blobs,
        # No token is valid: these settings serve no requests.
        f"{PREFIX}ADMIN_TOKEN_SHA256": "",
    }
    return checked_settings({**environ, **named})
