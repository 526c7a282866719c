"""A program that is measured: how it starts and ends, and what its processes use; no measuring."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from bench.load import WrongAnswers, raw
from bench.task import Task
from bench.work import Work

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 180
STOP_SECONDS_MAX = 15


class Answer(NamedTuple):
    """What came back for one request, and how many bytes it was with its head."""

    status: int
    headers: Message
    body: bytes
    wire_bytes: int


class Program:
    """A server on loopback with a data folder of its own. `start` it, ask it, `stop` it."""

    name: ClassVar[str]
    #: Other names for what it does as a contender.
    also: ClassVar[tuple[str, ...]] = ()
    executable: ClassVar[str]
    package: ClassVar[str | None] = None
    ready_path: ClassVar[str] = "/"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.headers: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str | None:
        """What to do to have it, None if it is there."""
        if shutil.which(cls.executable):
            return None
        return f"apt-get install {cls.package}" if cls.package else "put it into PATH"

    def command(self, port: int) -> list[str]:
        """The command line; may write what it refers to into the folder."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def task(self, work: Work, contender: str) -> Task:
        """How this program is asked to do the work, under its own name or another that it has."""
        raise NotImplementedError

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text(errors="replace").strip()
                raise RuntimeError(f"{self.name} does not start: {said[-800:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it and whatever it started; each by its own id."""
        if self._process is None:
            return
        members = family(self._process.pid)
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS_MAX)
        for pid in members:
            if _session(pid) == self._process.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid())

    def pss_mib(self) -> float:
        return pss_mib(self.pid())

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=120)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            given = {**self.headers, **(headers or {})}
            connection.request(method, path, body=body or None, headers=given)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        head = len(f"HTTP/1.1 {answer.status} {answer.reason}\r\n\r\n")
        head += sum(len(name) + len(value) + 4 for name, value in answer.headers.items())
        return Answer(answer.status, answer.headers, content, head + len(content))

    def wanted(self, method: str, path: str, status: int, **given: Any) -> Answer:
        """The same, where there is only one good answer."""
        answer = self.ask(method, path, **given)
        if answer.status != status:
            raise WrongAnswers(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer

    def raw(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """The same request as bytes, to be sent by others."""
        return raw(self.address, {**self.headers, **(headers or {})}, method, path, body)

    def _is_ready(self) -> bool:
        try:
            return self.ask("GET", self.ready_path).status < 500
        except (OSError, http.client.HTTPException):
            return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for each in found:
        found.extend(children.get(each, []))
    return found


def cpu_seconds(root: int) -> float:
    """Of a process and all that descend from it, with those that have ended and were waited for."""
    fields = (_stat(pid) for pid in family(root))
    return sum(sum(map(int, each[11:15])) for each in fields if each) / TICKS


def pss_mib(root: int) -> float:
    """The proportional set size of the same: what they really take of the memory."""
    total = 0
    for pid in family(root):
        with suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
            total += int(found[1]) if found else 0
    return total / 1024


def _session(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; nothing if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
