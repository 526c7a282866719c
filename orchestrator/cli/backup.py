"""`orchestrator backup` and `restore`, which work on the database itself and not over HTTP.

How they do it is in `orchestrator.backup`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from cyclopts import App, Parameter, validators

from orchestrator.cli.failure import CommandFailed, ExitCode, WrongUsage
from orchestrator.cli.options import WithSession
from orchestrator.cli.output import console, write_lines
from orchestrator.cli.progress import is_wanted
from orchestrator.cli.session import FOLDER, Session
from orchestrator.cli.showing import show_data, show_failure, show_members

if TYPE_CHECKING:
    from orchestrator.backup.place import Place

backup_app = App(
    name="backup",
    help_epilogue="Examples:\n\n"
    "  orchestrator backup /mnt/backup\n"
    "  orchestrator backup /mnt/backup --keep 14 -o json",
)
restore_app = App(
    name="restore",
    help_epilogue="Examples:\n\n"
    "  orchestrator restore /mnt/backup --data-dir /var/lib/orchestrator\n"
    "  orchestrator restore /mnt/backup --database-url postgresql://orchestrator@db/restored",
)

#: Lines about blobs that a person may read; all of them are in the JSON output.
_LINES_MAX = 20
_SECONDS_BETWEEN = 0.1
_STAGES = {
    "tables": "Tables",
    "blobs": "Blobs",
    "verify": "Verifying",
}

Folder: TypeAlias = Annotated[Path, Parameter(help="The folder of the backup.")]
DatabaseURL: TypeAlias = Annotated[
    str | None,
    Parameter(
        env_var="ORCHESTRATOR_DATABASE_URL", help="A PostgreSQL. Else that of the data folder."
    ),
]
BlobStore: TypeAlias = Annotated[
    str | None,
    Parameter(env_var="ORCHESTRATOR_BLOB_STORE", help="Else blobs in the data folder."),
]


@backup_app.default
def backup(
    folder: Folder,
    /,
    *,
    database_url: DatabaseURL = None,
    blob_store: BlobStore = None,
    keep: Annotated[
        int,
        Parameter(
            validator=validators.Number(gte=0),
            help="Remove older snapshots, and blobs that only they name; 0 keeps all.",
        ),
    ] = 0,
    verify_existing: Annotated[
        bool, Parameter(negative="", help="Read what the folder has already, too.")
    ] = False,
    allow_damaged: Annotated[
        bool, Parameter(negative="", help="Blobs that cannot be copied are no failure.")
    ] = False,
    session: WithSession,
) -> int:
    """Add a snapshot of database and blobs to a folder, while servers go on.

    Blobs that the folder has already are not copied again.
    """
    import asyncio

    from orchestrator.backup.make import BackupOptions, back_up
    from orchestrator.backup.place import served

    place = _place(session, database_url, blob_store)
    options = BackupOptions(verify_existing=verify_existing, snapshots_max=keep)
    with _explained(), served(place, os.environ) as settings, _progress(session) as watch:
        report = asyncio.run(back_up(folder, settings, options, watch))
    shown = {
        "snapshot": report.snapshot,
        "schema": report.schema,
        "rows": f"{sum(report.rows.values()):,}",
        "blobs": f"{report.rows['cas_blob']:,}",
        "copied": f"{report.blobs_copied:,} ({report.bytes_copied:,} bytes)",
        "found_damaged_here": report.damaged_here or None,
        "snapshots_removed": report.snapshots_removed or None,
        "blobs_removed": report.blobs_removed or None,
    }
    _show(session, report, shown)
    lines = [f"{each.cas_id}: {each.reason}" for each in report.damaged]
    return _warned(session, "Blobs that could not be copied", lines, is_failure=not allow_damaged)


@restore_app.default
def restore(
    folder: Folder,
    /,
    *,
    snapshot: Annotated[
        str | None, Parameter(help="The name of a folder in snapshots. Else the newest.")
    ] = None,
    database_url: DatabaseURL = None,
    blob_store: BlobStore = None,
    allow_damaged: Annotated[
        bool, Parameter(negative="", help="Restore all else when bytes of blobs are missing.")
    ] = False,
    read_data: Annotated[
        bool, Parameter(negative="", help="Read every byte again when all is done.")
    ] = False,
    session: WithSession,
) -> int:
    """Put a snapshot into an empty database, and its blobs into a blob storage of its own."""
    from orchestrator.backup.place import unserved
    from orchestrator.backup.restore import RestoreOptions
    from orchestrator.backup.restore import restore as run

    place = _place(session, database_url, blob_store)
    options = RestoreOptions(snapshot=snapshot, allow_damaged=allow_damaged, read_data=read_data)
    with _explained(), unserved(place, os.environ) as settings, _progress(session) as watch:
        report = run(folder, settings, options, watch)
    shown = {
        "snapshot": report.snapshot,
        "schema": report.schema,
        "rows": f"{sum(report.rows.values()):,}",
        "blobs": f"{report.blobs:,}",
        "in_blob_storage": f"{report.blobs_placed:,}",
    }
    _show(session, report, shown)
    lines = [f"{each.cas_id}: {each.reason}" for each in report.damaged]
    damaged = _warned(session, "Blobs in quarantine", lines, is_failure=not allow_damaged)
    found = "Problems that the verification found"
    wrong = _warned(session, found, report.problems, is_failure=True)
    return damaged or wrong


def _place(session: Session, database_url: str | None, blob_store: str | None) -> "Place":
    from orchestrator.backup.place import Place

    return Place(
        data_dir=session.data_dir or FOLDER, database_url=database_url, blob_store=blob_store
    )


def _show(session: Session, report: msgspec.Struct, shown: dict[str, Any]) -> None:
    if session.wants_data:
        show_data(session, msgspec.json.encode(report))
    elif session.quiet:
        write_lines([shown["snapshot"]])
    else:
        show_members(session, shown, shown)


def _warned(session: Session, what: str, lines: list[str], *, is_failure: bool) -> int:
    """Print the lines if there are any, and return the exit code."""
    if not lines:
        return ExitCode.DONE
    more = [f"and {len(lines) - _LINES_MAX:,} more"] if len(lines) > _LINES_MAX else []
    failure = CommandFailed(f"{what}: {len(lines):,}", lines[:_LINES_MAX] + more)
    show_failure(session.output, failure)
    return failure.exit_code if is_failure else ExitCode.DONE


@contextmanager
def _explained() -> Iterator[None]:
    """Let what goes wrong in the block become one line for a person."""
    import orchestrator.telemetry.logs
    from orchestrator.backup.error import BackupRefused
    from orchestrator.embedded.error import EmbeddedPostgresError
    from orchestrator.server.error import ServeError, UsageError

    # Our answer says what the parts below would log for the operator of a server.
    orchestrator.telemetry.logs.configure("critical")
    try:
        yield
    except UsageError as error:
        raise WrongUsage(str(error)) from error
    except (BackupRefused, ServeError, EmbeddedPostgresError) as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        raise CommandFailed(f"{name}{error.strerror or error}.") from error


@contextmanager
def _progress(session: Session) -> Iterator[Any]:
    """A bar for each stage on standard error, if that is a terminal."""
    if not is_wanted(quiet=session.quiet):
        yield lambda _stage, _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        tasks: dict[str, Any] = {}
        last = 0.0

        def watch(stage: str, done: int, total: int) -> None:
            nonlocal last
            now = monotonic()
            if stage in tasks and now - last < _SECONDS_BETWEEN:
                return
            last = now
            if stage not in tasks:
                tasks[stage] = progress.add_task(_STAGES[stage], total=None)
            progress.update(tasks[stage], completed=done, total=total or None)

        yield watch
