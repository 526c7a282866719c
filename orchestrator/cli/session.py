"""The options that every command has, and the server, token and namespace that they lead to.

A flag goes before its environment variable, and that goes before the data folder. Nothing is sent
here.
"""

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from orchestrator.cli.connection import ServerConnection, is_loopback
from orchestrator.cli.failure import CommandFailed, ServerUnusable, WrongUsage
from orchestrator.cli.limits import DEFAULTS, Limits
from orchestrator.cli.times import TimeFormat

FOLDER = Path(".orchestrator")
URL_OPTIONS = "--url or ORCHESTRATOR_URL"
TOKEN_OPTIONS = "--token or ORCHESTRATOR_TOKEN"  # noqa: S105 - where it is, not what it is.


OutputFormat: TypeAlias = Literal["table", "json", "yaml"]


class _Published(msgspec.Struct):
    """What a server writes into `server.json` of its data folder."""

    url: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class Session:
    """Global options; they may stand before or after the command."""

    url: Annotated[
        str | None,
        Parameter(env_var="ORCHESTRATOR_URL", help="The server. Else the data folder knows it."),
    ] = None
    token: Annotated[
        str | None,
        Parameter(
            env_var="ORCHESTRATOR_TOKEN", help="The bearer token. Else that of the data folder."
        ),
    ] = field(default=None, repr=False)
    namespace: Annotated[
        str | None,
        Parameter(
            name=["--namespace", "-n"],
            env_var="ORCHESTRATOR_NAMESPACE",
            help="Else that of the token.",
        ),
    ] = None
    data_dir: Annotated[
        Path | None,
        Parameter(
            env_var="ORCHESTRATOR_DATA_DIR",
            help="The folder of a server on this machine. Else .orchestrator, here or above.",
        ),
    ] = None
    output: Annotated[
        OutputFormat,
        Parameter(
            name=["--output", "-o"],
            env_var="ORCHESTRATOR_OUTPUT",
            help="For people, or as the server sent it; errors, too.",
        ),
    ] = "table"
    quiet: Annotated[
        bool,
        Parameter(
            name=["--quiet", "-q"],
            negative="",
            help="Print only what names each thing: a hash, a tag, an id.",
        ),
    ] = False
    time_format: Annotated[
        TimeFormat | None,
        Parameter(
            env_var="ORCHESTRATOR_TIME_FORMAT",
            help="How tables show times. Else local and relative at a terminal, and rfc3339 "
            "elsewhere.",
        ),
    ] = None
    full: Annotated[
        bool, Parameter(negative="", help="Whole hashes, also where tables shorten them.")
    ] = False
    debug: Annotated[bool, Parameter(negative="", help="Show the traceback of a failure.")] = False
    limits: Annotated[Limits, Parameter(parse=False)] = DEFAULTS

    @property
    def wants_data(self) -> bool:
        """Whether a program reads what is printed: all that the server sent, in a format."""
        return self.output != "table" and not self.quiet

    def connect(self) -> ServerConnection:
        """A connection to the server that was named or found; nothing is sent yet."""
        folder = self.data_dir or _folder_above(Path.cwd())
        token, token_from = self._find_token(folder)
        url = self.url or _published_url(folder, is_its_token=not self.token)
        return ServerConnection(
            _checked_url(url), token, token_from, self.namespace, limits=self.limits
        )

    def _find_token(self, folder: Path | None) -> tuple[str | None, str]:
        """The token, and where it is from or was looked for."""
        if self.token:
            if not _is_token(self.token):
                raise WrongUsage(f"What {TOKEN_OPTIONS} holds is not a token.")
            return self.token, TOKEN_OPTIONS
        if folder is None:
            return None, f"{TOKEN_OPTIONS}, and {FOLDER}/admin.token in this folder and above"
        path = folder / "admin.token"
        try:
            token = path.read_text().strip()
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            return None, f"{TOKEN_OPTIONS}, and {path} ({reason})"
        if not _is_token(token):
            raise CommandFailed(f"What {path} holds is not a token.")
        return token, str(path)


def _folder_above(start: Path) -> Path | None:
    """The nearest `.orchestrator`, in this folder or in one above it.

    A folder of another user does not count: otherwise anybody who can write to /tmp could choose
    the server for all who work below it.
    """
    for place in (start, *start.parents):
        folder = place / FOLDER
        if folder.is_dir() and folder.stat().st_uid in {0, os.getuid()}:
            return folder
    return None


def _published_url(folder: Path | None, *, is_its_token: bool) -> str:
    """Where the server of the data folder is."""
    if folder is None:
        raise _nothing_found(f"{FOLDER}/server.json in this folder and above")
    path = folder / "server.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Published)
    except OSError:
        raise _nothing_found(str(path)) from None
    except msgspec.MsgspecError as error:
        raise CommandFailed(f"{path} is damaged: {error}") from None
    if not _is_running(folder, found.pid):
        # Another program may have the port by now, and must not get the token.
        raise ServerUnusable(
            f"The server of {path.parent} is not running: process {found.pid} has ended.",
            [f"Start it again with: orchestrator serve --data-dir {path.parent}"],
        )
    if not is_its_token and not is_loopback(found.url):
        # A folder that came with other files must not decide where our token goes.
        raise WrongUsage(
            f"{path} names {found.url}, and the token is from {TOKEN_OPTIONS}.",
            ["If that server may have that token, name it with --url or ORCHESTRATOR_URL."],
        )
    return found.url


def _nothing_found(place: str) -> ServerUnusable:
    return ServerUnusable(
        "No server was named and none was found.",
        [
            f"Looked at --url, ORCHESTRATOR_URL, and {place}.",
            "Start one with: orchestrator serve",
        ],
    )


def _is_running(folder: Path, pid: int) -> bool:
    """Whether the server that published its address still has the lock of its data folder.

    Its process number alone proves nothing: after a crash another process may have the number, and
    another user's program the port. A backup locks the folder too, under a number of its own.
    """
    try:
        with (folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() == str(pid)
    except OSError:
        return False
    return False


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_address = False
    # It is not repeated: somebody may have written a password into it.
    if not is_address:
        raise WrongUsage(f"What {URL_OPTIONS} holds is no URL such as http://127.0.0.1:8080.")
    if parts.username is not None:
        raise WrongUsage(
            f"Names and passwords do not belong into {URL_OPTIONS}: the token says who asks."
        )
    return url.rstrip("/")


def _is_token(text: str) -> bool:
    """Anything else could not be sent, and the error about that would show it."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
