"""Starts after crashes: each one is ready in time and has all that was acknowledged.

Each round kills a server while it is written to: all its processes, its parent alone, or PostgreSQL
alone. In half of the rounds nobody waits for what died, as in a container whose first process
reaps nothing: zombies stay.
"""

import ctypes
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count

from bench.program import family, free_port
from bench.server import Server
from torture.asking import API, OK, ask, check_tags
from torture.run import Run

ROUNDS, ROUNDS_SHORT = 100, 3
READY_SECONDS_MAX = 5.0
#: On a machine that is so slow that the first start of all takes long, than that one.
SLOWER_MAX = 3.0
#: What takes longer hangs.
HANG_SECONDS = 60.0
WRITE_SECONDS = (0.05, 0.6)
REFUSALS_MAX = 10
PR_SET_CHILD_SUBREAPER = 36
KINDS = ("all", "parent", "postgresql")
CREATED = 201


def starts(run: Run) -> None:
    """Write, kill, start again on the same folder and port, and look what is there."""
    crashing = Crashing(run)
    seconds_max = max(READY_SECONDS_MAX, SLOWER_MAX * crashing.start())
    seconds: dict[str, list[float]] = {}
    for number in range(ROUNDS_SHORT if run.short else ROUNDS):
        kind = KINDS[number % len(KINDS)] if run.short else run.random.choice(KINDS)
        leaves_zombies = bool(run.random.getrandbits(1))
        with crashing.written_to(number):
            time.sleep(run.random.uniform(*WRITE_SECONDS))
            crashing.kill(kind, leaves_zombies=leaves_zombies)
        name = f"{kind}, zombies stay" if leaves_zombies else kind
        taken = crashing.back() if kind == "postgresql" else crashing.start()
        seconds.setdefault(name, []).append(taken)
        if taken > seconds_max:
            run.fail(f"round {number}: after a kill of {name} it was ready in {taken:.1f} s")
        crashing.check(number)
    for name, each in sorted(seconds.items()):
        mean = sum(each) / len(each)
        run.say(f"{name:<26} {len(each):>3} times, ready in {mean:.2f} s, {max(each):.2f} at most")
    run.say(f"{len(crashing.acknowledged)} acknowledged writes")
    if not crashing.acknowledged:
        run.fail("nothing was written, so nothing was tried")


class Crashing:
    """Servers that follow each other on one folder and one port."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._folder = run.folder / "data"
        self._folder.mkdir(mode=0o700)
        self._port = free_port()
        self._log = run.folder / "server.log"
        #: Whom nobody waits for: forgotten, it would be waited for when the next process starts.
        self._dead: list[Server] = []
        self.acknowledged: list[str] = []

    def start(self) -> float:
        """Seconds until the server says that it is ready; a start that is refused is a finding."""
        began = time.monotonic()
        while True:
            with self._log.open("ab") as log:
                try:
                    self._server = Server(
                        self._folder, stderr=log, port=self._port, ready_seconds_max=HANG_SECONDS
                    )
                except RuntimeError as error:
                    said = self._log.read_text(errors="replace").splitlines()[-3:]
                    self._run.fail(f"a start was refused: {error} {said}")
                    if len(self._run.found) > REFUSALS_MAX:
                        raise
                else:
                    break
        self._run.servers[:] = [self._server]
        return time.monotonic() - began

    @contextmanager
    def written_to(self, number: int) -> Iterator[None]:
        """Somebody writes all the time, until the server does not answer."""
        writer = threading.Thread(target=self._write, args=(number, self._server.connect()))
        writer.start()
        yield
        writer.join(HANG_SECONDS)

    def _write(self, number: int, connection: HTTPConnection) -> None:
        with suppress(OSError, HTTPException):
            for at in count():
                tag = f"round-{number:04}-{at:06}"
                workflow = {"nodes": [{"id": tag, "type": "task"}], "edges": []}
                body = json.dumps({"tag": tag, "workflow": workflow})
                headers = {**self._server.headers, "Content-Type": "application/json"}
                connection.request("POST", f"{API}/workflows", body, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != CREATED:
                    return
                self.acknowledged.append(tag)

    def kill(self, kind: str, *, leaves_zombies: bool) -> None:
        """Orphans become children of this process, or of whoever is the parent of orphans."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(leaves_zombies), 0, 0, 0)
        if kind == "postgresql":
            _kill(self._postmaster())
            return
        parent = self._server.process
        for pid in family(parent.pid) if kind == "all" else [parent.pid]:
            _kill(pid)
        self._dead.append(self._server)
        if not leaves_zombies:
            parent.wait()

    def _postmaster(self) -> int:
        return int((self._folder / "postgres/data/postmaster.pid").read_text().split()[0])

    def back(self) -> float:
        """Seconds until a server that lost only its PostgreSQL is ready again, by itself."""
        began = time.monotonic()
        while ask(self._server, "GET", "/health/ready")[0] != OK:
            if time.monotonic() > began + HANG_SECONDS:
                raise RuntimeError("The server does not come back.")
            time.sleep(0.02)
        return time.monotonic() - began

    def check(self, number: int) -> None:
        """All acknowledged writes are there."""
        check_tags(self._run, self._server, self.acknowledged, f"round {number}")


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
