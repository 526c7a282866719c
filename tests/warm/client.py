"""Starts processes that have imported the product already, and knows when they end."""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import pytest

from tests.warm.ask import ADDRESS_VARIABLE, CODE

PROGRAM = Path(__file__).with_name("program.py")
CONFIGURING, MEASURING = ("ORCHESTRATOR_",), ("COVERAGE_", "COV_")


def environ(added: Mapping[str, str] | None = None, *, measured: bool = False) -> dict[str, str]:
    """Our environment without what would configure the program under test, or measure it."""
    ours = CONFIGURING if measured else (*CONFIGURING, *MEASURING)
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | dict(added or {})


def put_stand_in(folder: Path) -> None:
    """Make the command `orchestrator` in this folder; it needs what `Warm.variables` has."""
    command = folder / "orchestrator"
    command.write_text(f"#!{sys.executable} -IS\n{PROGRAM.with_name('ask.py').read_text()}")
    command.chmod(0o755)


class Process:
    """As much of `subprocess.Popen` as tests need. An attendant waits for it in our place."""

    def __init__(self, attendant: socket.socket, stdout: IO[str] | None) -> None:
        self._attendant = attendant
        self.pid = self._told()
        self.stdout = stdout
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.stdout is not None:
            self.stdout.close()
        self.wait()

    def _told(self) -> int:
        return int(struct.unpack("!i", self._attendant.recv(4, socket.MSG_WAITALL))[0])

    def poll(self) -> int | None:
        """The exit code if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, or minus the signal that ended it."""
        if self.returncode is None:
            self._attendant.settimeout(timeout)
            try:
                self.returncode = self._told()
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._attendant.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@dataclass(frozen=True)
class Result:
    """What a process did."""

    code: int
    stdout: bytes
    err: str

    @property
    def out(self) -> str:
        return self.stdout.decode()

    def json(self) -> Any:
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)


class Warm:
    """The process that is forked. It starts at the first use, and ends with the run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = str(folder / "warm")
        self._is_there = False

    def variables(self) -> dict[str, str]:
        """What the stand-in finds us by."""
        self._begin()
        return {ADDRESS_VARIABLE: self._address}

    def _begin(self) -> None:
        if self._is_there:
            return
        with (self._folder / "warm.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not Path(self._address).exists():  # Other workers of the run need it, too.
                self._launch()
        self._is_there = True

    def _launch(self) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen(100)
            self._process = subprocess.Popen(
                [sys.executable, PROGRAM, str(listener.fileno())],
                env=environ(),
                stdin=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )

    def start(
        self,
        words: Sequence[object],
        code: str = CODE,
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        start_new_session: bool = False,
    ) -> Process:
        """As `python -c CODE WORD…`; without `stdout` it can be read from the process."""
        self._begin()
        asked = {
            "code": code,
            "executable": sys.executable,
            "words": [os.fsdecode(str(word)) for word in words],
            "environ": dict(env),
            "folder": str(cwd or Path.cwd()),
            "is_leader": start_new_session,
        }
        body = json.dumps(asked).encode()
        read, write = os.pipe() if stdout is None else (None, stdout)
        attendant = socket.socket(socket.AF_UNIX)
        attendant.connect(self._address)
        with Path(os.devnull).open("r+b") as nothing:
            attendant.sendall(struct.pack("!I", len(body)))
            null = nothing.fileno()
            errors = {None: 2, subprocess.DEVNULL: null}.get(stderr, stderr or 2)
            socket.send_fds(attendant, [b"f"], [null, write, errors])
        attendant.sendall(body)
        if read is not None:
            os.close(write)
        return Process(attendant, None if read is None else os.fdopen(read))

    def run(
        self,
        words: Sequence[object],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        timeout: float = 100,
    ) -> Result:
        """Wait for a command to end; what it printed."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(words, env=env, cwd=cwd, stdout=out.fileno(), stderr=err.fileno())
            code = process.wait(timeout)
            out.seek(0)
            err.seek(0)
            return Result(code, out.read(), err.read().decode())


@pytest.fixture(scope="session")
def warm() -> Warm:
    """Starts processes of the product, without the time for its imports."""
    # In the folder of the run: a socket's path may not be as long as those of tests are.
    return Warm(Path(os.environ["TEST_FOLDER"]))
