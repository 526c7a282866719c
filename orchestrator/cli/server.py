"""`serve`, `migrate`, `status`: the server as a process; `server/` does the serving."""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter, validators

from orchestrator.cli.failure import CommandFailed, ExitCode, WrongUsage
from orchestrator.cli.options import WithSession
from orchestrator.cli.output import printable, write_lines
from orchestrator.cli.session import FOLDER
from orchestrator.cli.showing import show_data, show_members

serve_app = App(
    name="serve",
    help_epilogue="Examples:\n\n"
    "  orchestrator serve\n"
    "  orchestrator serve --port 9000 --data-dir /var/lib/orchestrator --workers 2",
)
migrate_app = App(
    name="migrate",
    help_epilogue="Examples:\n\n"
    "  orchestrator migrate --status\n"
    "  orchestrator migrate --database-url postgresql://orchestrator@db/orchestrator",
)
status_app = App(
    name="status",
    help_epilogue="Examples:\n\n  orchestrator status\n  orchestrator status -o json",
)

ExistingFile = Annotated[Path | None, Parameter(validator=validators.Path(dir_okay=False))]


@serve_app.default
def serve(
    *,
    host: Annotated[str, Parameter(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, Parameter(validator=validators.Number(gte=0, lte=65535), help="0 takes a free one.")
    ] = 8080,
    workers: Annotated[int, Parameter(help="How many processes answer requests.")] = 1,
    tls_certificate: Annotated[ExistingFile, Parameter(help="A PEM file.")] = None,
    tls_key: Annotated[ExistingFile, Parameter(help="A PEM file.")] = None,
    behind_proxy: Annotated[
        bool, Parameter(negative="", help="A proxy in front of this server speaks TLS.")
    ] = False,
    session: WithSession,
) -> int:
    """Run the server, with a PostgreSQL of its own unless ORCHESTRATOR_DATABASE_URL is set.

    Its data is in --data-dir, by default .orchestrator in this folder.
    """
    from orchestrator.server.parent import ServeOptions
    from orchestrator.server.parent import serve as run

    return run(
        ServeOptions(
            host=host,
            port=port,
            data_dir=session.data_dir or FOLDER,
            workers=workers,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            behind_proxy=behind_proxy,
        )
    )


@migrate_app.default
def migrate(
    *,
    database_url: Annotated[
        str | None, Parameter(env_var="ORCHESTRATOR_DATABASE_URL", help="A PostgreSQL.")
    ] = None,
    to: Annotated[str, Parameter(help="The schema to go to: a number, head or base.")] = "head",
    status: Annotated[bool, Parameter(negative="", help="Only show where it is.")] = False,
    yes: Annotated[
        bool, Parameter(negative="", help="Do go back, and lose what the older schema lacks.")
    ] = False,
    session: WithSession,
) -> None:
    """Bring a database to the schema of this program.

    `orchestrator serve` does that by itself; this is for a database that several servers share.
    """
    from orchestrator.setting_rules import check_database_url

    if not database_url:
        raise WrongUsage("Give --database-url, or set ORCHESTRATOR_DATABASE_URL.")
    try:
        check_database_url(database_url)
    except ValueError as error:
        raise WrongUsage(f"{error}.") from None
    before, after, newest = _migrated(database_url, None if status else to, may_lose=yes)
    if session.wants_data:
        answer = {"before": before, "schema": after, "newest": newest}
        show_data(session, msgspec.json.encode(answer))
    elif session.quiet:
        write_lines([after or "none"])
    elif status:
        found = {"schema": after or "none", "newest": newest}
        show_members(session, found, ("schema", "newest"))
    elif before == after:
        print(f"The database has schema {after or 'none'} already.")
    else:
        print(f"The database went from schema {before or 'none'} to {after or 'none'}.")


def _migrated(
    database_url: str, to: str | None, *, may_lose: bool
) -> tuple[str | None, str | None, str]:
    """The schema before, after, and the newest one there is."""
    from alembic.util import CommandError

    from orchestrator import migration
    from orchestrator.errors import StorageUnavailable
    from orchestrator.models.upkeep.schema import SCHEMA_VERSION

    try:
        before = migration.current(database_url)
        if to is not None and _is_step_back(before, to):
            if not may_lose:
                raise WrongUsage(f"Going back from schema {before} to {to} loses data: give --yes.")
            migration.downgrade(database_url, to)
        elif to not in {None, "base"}:
            migration.upgrade(database_url, str(to))
        return before, migration.current(database_url), SCHEMA_VERSION
    except migration.DatabaseURLWrong as error:
        raise WrongUsage(f"{error}.") from None
    except StorageUnavailable as error:
        raise CommandFailed(str(error)) from error
    except CommandError as error:
        raise WrongUsage(f"There is no schema {to!r}: {error}") from error


def _is_step_back(before: str | None, to: str) -> bool:
    """Whether it is an older schema. Names of schemas are numbers of the same length."""
    return before is not None and (to == "base" or (to != "head" and to < before))


class _Health(msgspec.Struct):
    version: str


class _Ready(msgspec.Struct):
    status: str
    checks: dict[str, str | None]


class _Status(msgspec.Struct):
    url: str
    status: str
    version: str
    token_from: str | None
    checks: dict[str, str | None]


@status_app.default
def status(*, session: WithSession) -> int:
    """Show which server commands talk to, and whether it is ready."""
    with session.connect() as server:
        health, ready = server.probe("/health"), server.probe("/health/ready")
        token_from = server.token_from if server.has_token else None
    try:
        version = msgspec.json.decode(health.body, type=_Health).version
        found = msgspec.json.decode(ready.body, type=_Ready)
    except msgspec.MsgspecError:
        message = f"What answers at {server.url} is not an orchestrator server."
        raise CommandFailed(message) from None
    answer = _Status(server.url, found.status, version, token_from, found.checks)
    if session.wants_data:
        show_data(session, msgspec.json.encode(answer))
    elif session.quiet:
        write_lines([printable(answer.status)])
    else:
        checks = {f"check {name}": result for name, result in answer.checks.items()}
        members = {**msgspec.structs.asdict(answer), "token_from": token_from or "none", **checks}
        show_members(session, members, ("url", "status", "version", "token_from", *checks))
    return ExitCode.DONE if ready.status == 200 else ExitCode.FAILED
