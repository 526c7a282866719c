"""Real servers in processes of their own, and the proof that none of their processes is left."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.processes import (
    END_SECONDS_MAX,
    command_line,
    is_running,
    processes_below,
    wait_until,
)
from tests.seeds import seed
from tests.warm.client import Process, Warm
from tests.warm.client import environ as inherited

TARGET = "orchestrator.app:create_app"
START_SECONDS_MAX = 30.0

CODE = """
import sys
from pathlib import Path
from orchestrator.server.parent import ServeOptions, serve
sys.exit(serve(ServeOptions({options})))
"""


@dataclass
class Server:
    """A server that was started; `url` is empty when it refused."""

    process: Process | subprocess.Popen[str]
    folder: Path
    errors: Path
    url: str = ""
    said: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def token(self) -> str:
        return (self.folder / "admin.token").read_text().strip()

    def workers(self) -> list[int]:
        """Forked children: they have our own command line."""
        ours = command_line(self.pid)
        return [pid for pid in processes_below(self.pid)[1:] if command_line(pid) == ours]

    def postmaster(self) -> int:
        return int((self.folder / "postgres/data/postmaster.pid").read_text().split()[0])

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        url = f"{self.url}{path}"
        # A look at the environment would take longer than all the rest of it.
        options = {"trust_env": False, "verify": False, "timeout": 5} | options
        return httpx2.request(method, url, headers=headers, **options)

    def is_ready(self) -> bool:
        try:
            return self.request("GET", "/health/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit code; whatever it was, no process may be left a moment later."""
        family = processes_below(self.pid)
        self.process.send_signal(number)
        code = self.process.wait(END_SECONDS_MAX)
        assert wait_until(lambda: not any(map(is_running, family))), "processes are left"
        return code

    def stderr(self) -> str:
        return self.errors.read_text()


Launch = Callable[..., Server]


def _launch(
    warm: Warm,
    folder: Path,
    *,
    environ: dict[str, str],
    measured: bool = False,
    cold: bool = False,
    stderr: int | None = None,
    **options: Any,
) -> Server:
    options = {"port": 0, "target": TARGET, "data_dir": folder} | options
    words = ", ".join(f"{name}={value!r}" for name, value in options.items())
    words = re.sub(r"PosixPath\(", "Path(", words)
    descriptor, errors = tempfile.mkstemp(dir=folder.parent, prefix="stderr-")
    process: Process | subprocess.Popen[str]
    code, env = CODE.format(options=words), inherited(environ, measured=measured)
    errors_to = descriptor if stderr is None else stderr
    if cold:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors_to,
            env=env,
            start_new_session=True,
            text=True,
        )
    else:
        process = warm.start((), code, env=env, stderr=errors_to, start_new_session=True)
    os.close(descriptor)
    return Server(process, folder, Path(errors))


def _await_ready(server: Server) -> None:
    """Read up to the ready line, or to the end of a server that refused."""
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server.said += line
        if ready := re.search(r"ready: (\S+)", line):
            server.url = ready[1]
        if line.startswith("Ctrl-C"):
            return
    server.process.wait(END_SECONDS_MAX)


@pytest.fixture(scope="module")
def launch(request: pytest.FixtureRequest, warm: Warm) -> Iterator[Launch]:
    """Start a server and wait until it is ready or has refused; all are ended with the module.

    Those of which `cold` is said spend a second on imports, as in ordinary life.

    A module whose servers run what no other test does says MEASURED: else their coverage is only
    what other tests have shown already, and makes them slower by half.
    """
    measured = getattr(request.module, "MEASURED", False)
    started: list[Server] = []

    def start(
        folder: Path, *, wait: bool = True, environ: dict[str, str] | None = None, **options: Any
    ) -> Server:
        server = _launch(warm, folder, environ=environ or {}, measured=measured, **options)
        started.append(server)
        if wait:
            _await_ready(server)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.end()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture(scope="module")
def server(launch: Launch, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One server for the tests that leave it as it was."""
    started = launch(seed(tmp_path_factory.mktemp("serve") / "data", migrated))
    assert started.url, started.stderr()
    return started


@pytest.fixture
def seeded(folder: Path, migrated: Path) -> Path:
    """A data folder that needs no migration, for tests that start a server."""
    return seed(folder, migrated)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a server may put its data; below a folder that only we may enter."""
    tmp_path.chmod(0o700)
    return tmp_path / "data"
