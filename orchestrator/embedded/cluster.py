"""PostgreSQL as a child process: its cluster is made, started, watched and ended here.

It listens on a unix socket only, with a password. It ends when this process ends, however that is.
"""

import hashlib
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from orchestrator.core.durable_file import sync_folder_and_above, write_private
from orchestrator.embedded.account import (
    Account,
    account_for,
    account_with_a_name,
    give,
    give_data,
)
from orchestrator.embedded.binaries import POSTGRESQL_MAJOR, Wheel, binaries, installed_wheel
from orchestrator.embedded.error import EmbeddedPostgresError
from orchestrator.embedded.log import BoundedLog
from orchestrator.embedded.process import (
    POLL_SECONDS,
    Watched,
    as_seen_by_child,
    end_strays,
    postmaster_file,
    release_watcher,
    spawn_watched,
)
from orchestrator.embedded.socket_folder import PORT, make_socket_folder

USER = "orchestrator"
POSTMASTER_SOCKET_LINE, POSTMASTER_STATUS_LINE = 4, 7

STOPPED = "PostgreSQL was stopped while it was starting."
#: What the product promises; not to be changed in postgresql.conf.
PROMISES = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "logging_collector": "off",
    "log_destination": "stderr",
}
#: A start for a small machine, written into postgresql.conf once, for the operator to change.
DEFAULTS = {
    "shared_buffers": "48MB",
    "max_connections": "100",
    "jit": "off",
    "io_method": "sync",  # The workers of the other methods cost memory while idle.
    "max_logical_replication_workers": "0",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres:
    """One cluster in one folder, which the caller has locked."""

    def __init__(self, folder: Path, find_wheel: Callable[[], Wheel] = installed_wheel) -> None:
        self._folder = folder.absolute()
        self._find_wheel = find_wheel
        self._data = self._folder / "data"
        digest = hashlib.sha256(os.fsencode(self._folder.resolve())).hexdigest()
        self._cluster_name = f"orchestrator-{digest[:12]}"
        self._log = BoundedLog(self._folder / "postgresql.log")
        self._lock = threading.Lock()
        self._spawning = threading.Lock()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._watched: Watched | None = None
        #: What runs is `initdb`, whose unfinished work is thrown away.
        self._is_making = False
        self._socket_folder: Path | None = None
        self._account: Account | None = None

    def start(self, timeout_seconds: float = 60.0) -> str:
        """Make the cluster if there is none, run it, return its URL once it takes connections.

        May be called again after an unexpected end; the URL stays the same.
        """
        with self._lock:
            try:
                self._prepare()
                self._run(time.monotonic() + timeout_seconds)
                return self._url()
            except OSError as error:
                raise EmbeddedPostgresError(f"PostgreSQL cannot start: {error}") from error

    def wait(self) -> None:
        """Block until every process of the cluster has ended."""
        self._ended.wait()

    def stop(self, timeout_seconds: float = 3.0) -> None:
        """End in order, or by force after the timeout. Neither loses an acknowledged commit."""
        self._stopping.set()
        self._signal(signal.SIGINT)  # A start that is under way gives up, and with it the lock.
        with self._lock:
            steps = ((signal.SIGINT, timeout_seconds), (signal.SIGQUIT, 1.0), (signal.SIGKILL, 0.5))
            for number, seconds in steps:
                if self._watched is None or self._ended.is_set():
                    break
                self._signal(number)
                self._ended.wait(seconds)
            self._release_watcher()
            end_strays(self._data, self._cluster_name)
            if self._socket_folder is not None:
                shutil.rmtree(self._socket_folder, ignore_errors=True)
                self._socket_folder = None

    def register_at_fork(self) -> None:
        """Let this process fork without exec. A child that had the watcher's pipe would keep
        PostgreSQL running after our death.
        """
        os.register_at_fork(
            before=self._spawning.acquire,
            after_in_parent=self._spawning.release,
            after_in_child=self._forget,
        )

    def _signal(self, number: signal.Signals) -> None:
        with self._spawning:
            if self._watched is None:
                return
            if self._is_making and self._watched.program.poll() is None:
                # A signal to initdb alone would wait for the server that it runs.
                os.killpg(self._watched.program.pid, signal.SIGKILL)
            else:
                self._watched.program.send_signal(number)

    def _forget(self) -> None:
        if self._watched is not None:
            os.close(self._watched.lifeline)
            self._watched = None
        self._spawning.release()

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for unfinished in self._folder.glob("initdb-*"):
            # What an initdb that is just being ended still writes there, the next start removes.
            shutil.rmtree(unfinished, ignore_errors=True)
        end_strays(self._data, self._cluster_name)
        if self._socket_folder is None:  # Else the account has its socket, and its data.
            self._account = account_for(self._folder)
        if not self._data.exists():
            self._initialise()
        elif self._account:
            give_data(self._data, self._account)
        found = (self._data / "PG_VERSION").read_text().strip()
        if found != POSTGRESQL_MAJOR:
            raise EmbeddedPostgresError(
                f"{self._data} was made by PostgreSQL {found}, this is {POSTGRESQL_MAJOR}: "
                "move it with pg_dump, or use another data folder."
            )
        if self._socket_folder is None:
            self._socket_folder = make_socket_folder(self._cluster_name, self._account)

    def _initialise(self) -> None:
        # A crash before the rename leaves `initdb-…`, which the next start removes, and a password
        # that the next start uses again.
        password = self._password(create=True)
        staging = Path(tempfile.mkdtemp(prefix="initdb-", dir=self._folder))
        made = staging / "data"
        made.mkdir(mode=0o700)
        write_private(staging / "password", password)
        maker = account_with_a_name()
        if maker:
            give(staging, maker)
        command = [
            str(binaries(maker, self._find_wheel()) / "initdb"),
            *("--pgdata", as_seen_by_child(made, maker)),
            *("--username", USER, "--pwfile=../password", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-instructions"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(f"--set={name}={value}" for name, value in DEFAULTS.items()),
        ]
        with self._spawning:
            if self._stopping.is_set():
                raise EmbeddedPostgresError(STOPPED)
            initdb = self._watched = spawn_watched(command, made, maker)
            self._is_making = True
        log = BoundedLog(self._folder / "initdb.log")
        log.pump(initdb.said)
        code = initdb.program.wait()
        self._is_making = False
        self._release_watcher()
        if self._stopping.is_set():
            shutil.rmtree(staging, ignore_errors=True)
            raise EmbeddedPostgresError(STOPPED)
        if code != 0:
            shutil.rmtree(staging, ignore_errors=True)
            raise EmbeddedPostgresError(f"initdb failed: {_one_line(log.tail())}")
        if self._account:
            give(made, self._account)
        # initdb has synced every file; the rename makes them the cluster in one step.
        made.rename(self._data)
        sync_folder_and_above(self._folder)
        shutil.rmtree(staging)

    def _password(self, *, create: bool = False) -> str:
        path = self._folder / "password"
        if not path.exists():
            if not create:
                raise EmbeddedPostgresError(f"{path} is missing: restore it from a backup.")
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text().strip()

    def _url(self) -> str:
        return _url_at(str(self._socket_folder), self._password())

    def _run(self, deadline: float) -> None:
        pid = self._spawn()
        while not self._stopping.is_set():
            if self._ended.wait(POLL_SECONDS):
                self._release_watcher()
                if self._stopping.is_set():
                    break
                raise EmbeddedPostgresError(f"PostgreSQL ended at once: {self._said()}")
            if self._is_ready(pid):
                return
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"PostgreSQL is not ready in time: {self._said()}")
        raise EmbeddedPostgresError(STOPPED)

    def _spawn(self) -> int:
        settings = PROMISES | {
            "cluster_name": self._cluster_name,
            "unix_socket_directories": str(self._socket_folder),
            "recovery_init_sync_method": _recovery_sync(),
        }
        command = [
            str(binaries(self._account, self._find_wheel()) / "postgres"),
            *("-D", as_seen_by_child(self._data, self._account)),
            *(part for item in settings.items() for part in ("-c", "=".join(item))),
        ]
        self._release_watcher()
        self._ended = ended = threading.Event()
        with self._spawning:
            watched = self._watched = spawn_watched(command, self._data, self._account)

        def follow() -> None:
            self._log.pump(watched.said)
            watched.program.wait()
            ended.set()

        threading.Thread(target=follow, name="postgresql-log", daemon=True).start()
        return watched.program.pid

    def _is_ready(self, pid: int) -> bool:
        lines = postmaster_file(self._data)
        return (
            len(lines) > POSTMASTER_STATUS_LINE
            and lines[0] == str(pid)
            and lines[POSTMASTER_STATUS_LINE].strip() == "ready"
        )

    def _said(self) -> str:
        return _one_line(self._log.tail()[-6:])

    def _release_watcher(self) -> None:
        with self._spawning:
            watched, self._watched = self._watched, None
        if watched is not None:
            release_watcher(watched)


def running_url(folder: Path) -> str | None:
    """The URL of a cluster that another process runs; None if it takes no connections now."""
    lines = postmaster_file(folder / "data")
    if len(lines) <= POSTMASTER_STATUS_LINE or lines[POSTMASTER_STATUS_LINE].strip() != "ready":
        return None
    return _url_at(lines[POSTMASTER_SOCKET_LINE], (folder / "password").read_text().strip())


def _url_at(socket_folder: str, password: str) -> str:
    host = quote(socket_folder, safe="")
    return f"postgresql://{USER}:{password}@/postgres?host={host}&port={PORT}"


def _recovery_sync() -> str:
    """How the files that a crash left are made durable: one by one takes seconds.

    Older kernels do not report all errors of `syncfs`.
    """
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    is_reported = (
        sys.platform == "linux" and release and tuple(map(int, release.groups())) >= (5, 8)
    )
    return "syncfs" if is_reported else "fsync"


def _one_line(lines: list[str]) -> str:
    return " | ".join(line.strip() for line in lines) or "(no message)"
