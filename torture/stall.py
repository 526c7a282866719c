"""The torture `stall`: while one large request is served, small ones must not wait for it.

Beside each request it measures the worst delay of a small GET, and by how much the memory of the
serving process and of those that compute for it grows.
"""

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.server import Server
from torture.run import Run
from torture.stall_documents import nodes
from torture.stall_requests import Entry, Request, create, entries

WORST_GET_MS = 100.0
#: In the short form the machine may be slow, and busy: then it is slow in quiet times, too.
SHORT_WORST_GET_MS = 1_000.0
SHORT_TIMES_QUIET = 5
SERVING_GROWTH_MIB = 64.0
COMPUTING_MIB = 512.0
REFUSAL_KIB = 128.0
QUIET_SECONDS = 0.5
SAMPLE_SECONDS = 0.05
#: What may come back: an answer, a refusal of what was sent, or that there is no room for it now.
EXPECTED = {200, 201, 400, 409, 413, 422, 503}
#: In the command line of a process that computes.
COMPUTING = b"compute_child"


@dataclass(frozen=True)
class Seen:
    """What one entry did."""

    status: int
    seconds: float
    quiet_ms: float
    worst_ms: float
    serving_mib: float
    computing_mib: float
    refusal_kib: float

    def excess(self, *, short: bool) -> list[str]:
        """What was more than may be."""
        worst_ms = WORST_GET_MS
        if short:
            worst_ms = SHORT_WORST_GET_MS + SHORT_TIMES_QUIET * self.quiet_ms
        found = []
        if self.status not in EXPECTED:
            found.append(f"the answer was {self.status}")
        if self.worst_ms > worst_ms:
            found.append(f"a small GET waited {self.worst_ms:.0f} ms")
        if self.serving_mib > SERVING_GROWTH_MIB:
            found.append(f"the serving process grew by {self.serving_mib:.0f} MiB")
        if self.computing_mib > COMPUTING_MIB:
            found.append(f"a computing process had {self.computing_mib:.0f} MiB")
        if self.refusal_kib > REFUSAL_KIB:
            found.append(f"the refusal had {self.refusal_kib:.0f} KiB")
        return found


class Prober:
    """The process that asks a small thing all the time."""

    def __init__(self, server: Server, path: str) -> None:
        token = server.headers["Authorization"].partition(" ")[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "torture.prober", server.address, path, token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def worst_ms(self) -> float:
        """Since this was called before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Without its input it ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


class Memory:
    """Looks at the processes of a server: their peaks, from a moment on."""

    def __init__(self, server: Server) -> None:
        self._parent = server.process.pid
        self._serving = self._serving_pid()
        self._peaks_kib: dict[int, int] = {}
        self._ended = threading.Event()

    def _serving_pid(self) -> int:
        """The one worker: a child of the server that runs the same program."""
        mine = _command_line(self._parent)
        (found,) = [pid for pid in _children(self._parent) if _command_line(pid) == mine]
        return found

    def begin(self) -> None:
        """Count the peak of the serving process from here on."""
        Path(f"/proc/{self._serving}/clear_refs").write_text("5")
        self._before_kib = _kib(self._serving, "VmRSS")
        self._peaks_kib.clear()
        self._ended.clear()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def end(self) -> tuple[float, float]:
        """By how much the serving process grew, and the largest computing one, in MiB."""
        self._ended.set()
        self._thread.join()
        grown = _kib(self._serving, "VmHWM") - self._before_kib
        return max(0, grown) / 1024, max(self._peaks_kib.values(), default=0) / 1024

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            for pid in _children(self._serving):
                if COMPUTING in _command_line(pid):
                    peak = max(self._peaks_kib.get(pid, 0), _kib(pid, "VmHWM"))
                    self._peaks_kib[pid] = peak


def stall(run: Run) -> None:
    """Send each entry, measure beside it, print a line; one that exceeds is sent once more."""
    server = run.server(access_log="false")
    _send(server, create("small", lambda: nodes(2)))
    memory = Memory(server)
    chosen = [entry for entry in entries() if entry.short or not run.short]
    width = max(len(entry.name) for entry in chosen)
    run.say(
        f"{'request':<{width}}  status  seconds  quiet GET  worst GET   serving  computing\n"
        f"{'':<{width}}                       ms         ms     + MiB        MiB"
    )
    with _prober(server) as prober:
        for at, entry in enumerate(chosen):
            for attempt in (1, 2):
                seen = _measured(server, prober, memory, _own(entry, f"{at}-{attempt}"))
                run.say(
                    f"{entry.name:<{width}}  {seen.status:>6}  {seen.seconds:>7.2f}  "
                    f"{seen.quiet_ms:>9.1f}  {seen.worst_ms:>9.1f}  {seen.serving_mib:>8.1f}  "
                    f"{seen.computing_mib:>9.1f}"
                )
                if not (excess := seen.excess(short=run.short)):
                    break
            else:
                run.fail(f"{entry.name}: {', '.join(excess)}")


def _own(entry: Entry, suffix: str) -> Entry:
    """The entry with tags that no other attempt uses."""

    def own(request: Request) -> Request:
        def rename(text: bytes) -> bytes:
            for tag in (b"hostile", b"changed", b"compared", b"left", b"right"):
                text = text.replace(b'"%b"' % tag, b'"%b-%b"' % (tag, suffix.encode()), 1)
                text = text.replace(b'"%b@' % tag, b'"%b-%b@' % (tag, suffix.encode()), 1)
            return text

        path = request.path
        for tag in ("hostile", "changed", "compared", "left", "right"):
            path = path.replace(f"/{tag}", f"/{tag}-{suffix}")
        body = request.body
        if body is None:
            return replace(request, path=path)
        return replace(request, path=path, body=lambda: rename(body()))

    return replace(entry, request=own(entry.request), before=tuple(map(own, entry.before)))


@contextmanager
def _prober(server: Server) -> Iterator[Prober]:
    prober = Prober(server, "/api/v1/workflows/small")
    try:
        yield prober
    finally:
        prober.end()


def _measured(server: Server, prober: Prober, memory: Memory, entry: Entry) -> Seen:
    for request in entry.before:
        status, _ = _send(server, request)
        assert status in {200, 201}, (entry.name, status)
    body = entry.request.body() if entry.request.body else None
    prober.worst_ms()
    time.sleep(QUIET_SECONDS)
    quiet_ms = prober.worst_ms()
    memory.begin()
    began = time.perf_counter()
    status, size = _send(server, entry.request, body)
    seconds = time.perf_counter() - began
    worst_ms = prober.worst_ms()
    serving_mib, computing_mib = memory.end()
    refusal_kib = size / 1024 if status >= 400 else 0
    return Seen(status, seconds, quiet_ms, worst_ms, serving_mib, computing_mib, refusal_kib)


def _send(server: Server, request: Request, body: bytes | None = None) -> tuple[int, int]:
    """The status and the length of the answer, which is read to its end and not kept."""
    if body is None and request.body is not None:
        body = request.body()
    connection: http.client.HTTPConnection = server.connect()
    try:
        headers = {
            **server.headers,
            "Content-Type": request.type,
            "Accept-Encoding": request.accept_encoding,
        }
        connection.request(request.method, request.path, body, headers)
        response = connection.getresponse()
        size = 0
        while piece := response.read(1024 * 1024):
            size += len(piece)
        return response.status, size
    finally:
        connection.close()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # Ended meanwhile.
    return found


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _kib(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
