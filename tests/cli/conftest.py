"""A real server on a real socket, and the command line in process and as a process."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from orchestrator.cli.limits import DEFAULTS, Limits
from orchestrator.cli.main import main
from tests.cli.proxy import Proxy
from tests.conftest import settings_for
from tests.databases import URL_VARIABLE
from tests.warm.client import Process, Result, Warm, environ, put_stand_in

COMMAND = Path(sys.executable).with_name("orchestrator")
START_SECONDS_MAX = 30.0

Run = Callable[..., Result]


Serve = Callable[..., AbstractContextManager[Process]]


@pytest.fixture(scope="session")
def data_dir(
    serving: Serve, shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The data folder of a server that runs as long as the tests do."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    store = settings_for(shared_database).blob_store
    variables = {
        "ORCHESTRATOR_DATABASE_URL": shared_database,
        "ORCHESTRATOR_BLOB_STORE": store,
    }
    with serving(folder, **variables):
        yield folder


@pytest.fixture(scope="session")
def serving(warm: Warm) -> Serve:
    """`orchestrator serve` on a free port, until the block ends."""

    @contextmanager
    def serve(folder: Path, **variables: str) -> Iterator[Process]:
        log = folder.with_suffix(".log")
        with log.open("wb") as errors:
            words = ("serve", "--port", "0", "--data-dir", folder)
            file = errors.fileno()
            process = warm.start(words, env=environ(variables), stdout=file, stderr=file)
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while not (folder / "server.json").exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, log.read_text()

    return serve


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In an empty folder, with nothing configured."""
    for name in os.environ.keys() - environ().keys() - {URL_VARIABLE}:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def limits() -> Limits:
    """Those of a command that says no others."""
    return DEFAULTS


@pytest.fixture
def run(
    alone: Path,
    limits: Limits,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """The command in this process."""

    def call(*arguments: object, stdin: bytes = b"", limits: Limits = limits) -> Result:
        capfdbinary.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(each) for each in arguments], limits=limits)
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Result(code, captured.out, captured.err.decode())

    return call


@pytest.fixture
def cli(run: Run, data_dir: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process, in a namespace of its own on the running server."""
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(data_dir))
    monkeypatch.setenv("ORCHESTRATOR_NAMESPACE", namespace)
    return run


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command, as a shell finds it."""
    folder = tmp_path_factory.mktemp("programs")
    put_stand_in(folder)
    return folder


@pytest.fixture
def shell(
    alone: Path, data_dir: Path, namespace: str, warm: Warm, programs: Path
) -> Callable[[str], Result]:
    """The command as people type it, in a shell with its pipes."""
    variables = {"ORCHESTRATOR_DATA_DIR": str(data_dir), "ORCHESTRATOR_NAMESPACE": namespace}
    path = (str(programs), str(COMMAND.parent), os.environ["PATH"])
    variables |= warm.variables() | {"PATH": os.pathsep.join(path)}

    def call(line: str) -> Result:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            env=environ(variables),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Put a file into the current folder."""

    def put(name: str, content: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(json.dumps(content))
        return path.relative_to(tmp_path)

    return put


class Terminal:
    """The command as a process whose output is a terminal of 80 columns."""

    def __init__(self, warm: Warm, **variables: str) -> None:
        self._warm = warm
        self._variables = variables

    def __call__(
        self, *arguments: object, stdout: Path | None = None, **variables: str
    ) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        with stdout.open("wb") if stdout else os.fdopen(os.dup(theirs), "wb") as out:
            process = self._warm.start(
                arguments,
                env=environ({**self._variables, "TERM": "xterm", "COLUMNS": "80", **variables}),
                stdout=out.fileno(),
                stderr=theirs,
            )
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # Linux says EIO when nobody has the other side.
            while chunk := os.read(ours, 65_536):
                seen += chunk
        os.close(ours)
        return process.wait(), seen.decode().replace("\r\n", "\n")


@pytest.fixture
def terminal(alone: Path, data_dir: Path, namespace: str, warm: Warm) -> Terminal:
    """At the running server, in the namespace of the test."""
    return Terminal(warm, ORCHESTRATOR_DATA_DIR=str(data_dir), ORCHESTRATOR_NAMESPACE=namespace)


@pytest.fixture
def proxy(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """In front of the running server; the command goes through it."""
    published = msgspec.json.decode((data_dir / "server.json").read_bytes())
    proxy = Proxy(published["url"])
    monkeypatch.setenv("ORCHESTRATOR_URL", proxy.url)
    yield proxy
    proxy.close()
