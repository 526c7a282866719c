"""The torture `fuzz`: damaged requests for every route, as raw bytes on real sockets.

Whatever comes, each answer must be one that a strict parser reads, an error of ours must be a
problem document, no status may say that we are at fault, every connection must end, the memory
must not grow, and a plain request must be answered as before.
"""

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Any

from bench.server import Server
from torture.fuzz_requests import Case, Maker, Target, routes_of
from torture.raw_http import RawAnswer, UnreadableError, answers
from torture.run import Run
from torture.serving import serving_mib

CASES, CASES_SHORT = 100_000, 2_000
THREADS = 4
#: Longer than all deadlines of the server together. It is counted in turns, because the machine may
#: stand still for any time.
END_SECONDS_MAX = 15.0
END_TURNS = 30
SETTINGS: dict[str, Any] = {
    "body_seconds_max": 0.3,
    "head_seconds_max": 0.3,
    "idle_seconds_max": 2,
    "refused_body_seconds_max": 0.3,
    "send_seconds_max": 5,
    "disk_free_bytes_min": 0,
    # Soon full: what grows then is no cache.
    "document_cache_bytes_max": 1_000_000,
    "blob_cache_bytes_max": 1_000_000,
    "compressed_cache_bytes_max": 1_000_000,
}
#: A connection that ends so long after its last answer was idle: nobody says that before.
IDLE_SECONDS_MIN = 0.2
#: Who takes so long to send a case may have been given up meanwhile, in the middle of a head.
SENDING_SECONDS_MAX = 0.1
#: 501 is an unknown method or transfer coding, 505 a version of HTTP; 503 and 507 are about the
#: database and the disk.
FAULTS_ALLOWED = {501, 503, 505, 507}
WARM_PART = 0.25
GROWTH_MIB_MAX = 16.0
GROWTHS_MAX = 3
FINDINGS_MAX = 20


class Fuzz:
    """What all threads share."""

    def __init__(self, run: Run, server: Server, target: Target, numbers: range) -> None:
        self.run = run
        self.server = server
        self.target = target
        self.statuses: Counter[str] = Counter()
        self._left = iter(numbers)
        self._lock = threading.Lock()

    def work(self) -> None:
        """Take one number after the other; it is the seed of its case."""
        while len(self.run.found) < FINDINGS_MAX:
            with self._lock:
                number = next(self._left, None)
            if number is None:
                return
            chance = random.Random(f"{self.run.seed}-{number}")
            case = Maker(chance, self.target).case()
            found = self._judged(case, *_exchanged(self.server, case, chance))
            if found:
                with self._lock:
                    text = b"".join(case.pieces)[:1_500]
                    self.run.fail(f"case {self.run.seed}-{number}: {found}: {text!r}")

    def _judged(self, case: Case, received: bytes, sending: float, pause: float | None) -> str:
        """What is wrong; empty if nothing is."""
        if pause is None:
            return "the connection did not end"
        try:
            seen = answers(received, may_be_head=case.may_be_head)
        except (UnreadableError, ValueError) as error:
            return str(error)
        with self._lock:
            self.statuses.update(str(each.status) for each in seen)
        is_said = bool(seen) and seen[-1].headers.get("connection") == "close"
        was_slow = sending > SENDING_SECONDS_MAX
        if not (is_said or case.may_end or was_slow or pause > IDLE_SECONDS_MIN):
            return "the connection ended, and no answer said so"
        return next(filter(None, map(fault, seen)), "")


def fault(answer: RawAnswer) -> str:
    """What is wrong with one answer; empty if nothing is."""
    if answer.is_cut:
        return f"an answer {answer.status} is not whole"
    if answer.status >= 500 and answer.status not in FAULTS_ALLOWED:
        return f"{answer.status} {answer.body[:300]!r}"
    if "x-correlation-id" not in answer.headers:
        return f"{answer.status} has no correlation id: {answer.headers}"
    if answer.status >= 400 and answer.body and answer.problem() is None:
        return f"{answer.status} is no problem document: {answer.body[:300]!r}"
    return ""


def _exchanged(
    server: Server, case: Case, chance: random.Random
) -> tuple[bytes, float, float | None]:
    """What came back, how long it took to send the case, and how long after the last answer the
    connection ended; None if it did not.
    """
    host, _, port = server.address.partition(":")
    received, turns = b"", 0
    with socket.create_connection((host, int(port)), END_SECONDS_MAX) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        with suppress(ConnectionError):  # It was refused while we still sent.
            for piece in case.pieces:
                connection.sendall(piece)
                if len(case.pieces) > 1:
                    time.sleep(chance.choice((0, 0.001)))
        last = time.monotonic()
        sending = last - began
        connection.settimeout(END_SECONDS_MAX / END_TURNS)
        while turns < END_TURNS:
            try:
                piece = connection.recv(65_536)
            except ConnectionResetError:
                piece = b""  # So it ends for who never stops sending.
            except TimeoutError:
                turns += 1
                continue
            if not piece:
                return received, sending, time.monotonic() - last
            received += piece
            last = time.monotonic()
    return received, sending, None


def fuzz(run: Run) -> None:
    """All cases on one server, by a few threads."""
    count = CASES_SHORT if run.short else CASES
    server = run.server(**SETTINGS)
    began, used = time.monotonic(), server.cpu_seconds()
    target = _prepared(server)
    statuses: Counter[str] = Counter()

    def work(numbers: range) -> None:
        part = Fuzz(run, server, target, numbers)
        _work(part)
        statuses.update(part.statuses)

    sizes = memory_of_parts(work, partial(serving_mib, server.process.pid), count)
    shown = ", ".join(f"{size:.0f}" for size in sizes)
    if has_grown(sizes):
        run.fail(f"the serving processes grew with each part of the cases: {shown} MiB")
    if not _asked(server, "/health/live"):
        run.fail("a plain request is not answered any more")
    seconds, cpu = time.monotonic() - began, server.cpu_seconds() - used
    paths = len({each.path for each in target.routes})
    run.say(
        f"{sum(statuses.values())} answers on {paths} paths in {seconds:.0f} s, {cpu:.0f} CPU-s"
    )
    run.say(f"memory {shown} MiB; answers: {_shown(statuses)}")


def memory_of_parts(
    work: Callable[[range], None], size_mib: Callable[[], float], count: int
) -> list[float]:
    """The memory after the first cases, which fill what there is to fill, and after the others.

    If it has grown by then, that may still be something that is filled once: a leak grows again
    with as many further cases, and again.
    """
    first = int(count * WARM_PART)
    work(range(first))
    sizes = [size_mib()]
    part = range(first, count)
    while True:
        work(part)
        sizes.append(size_mib())
        if not has_grown(sizes) or len(sizes) > GROWTHS_MAX:
            return sizes
        part = range(part.stop, part.stop + len(part))


def has_grown(sizes: list[float]) -> bool:
    """Whether the last part took memory that the part before it did not."""
    return sizes[-1] - sizes[-2] > GROWTH_MIB_MAX


def _prepared(server: Server) -> Target:
    """The routes, and things that their parameters can name."""
    headers = {**server.headers, "Content-Type": "application/json"}
    connection = server.connect()
    for tag in ("fuzz", "hotfix", "feature/parallel"):
        workflow = {"nodes": [{"id": "a", "type": "t"}, {"id": tag[:3], "type": "t"}]}
        body = json.dumps({"tag": tag, "workflow": workflow})
        connection.request("POST", "/api/v1/workflows", body, headers)
        made = json.loads(connection.getresponse().read())
    connection.close()
    known = {"tag": "fuzz", "name": "fuzz", "namespace": "default", "seq": "0", "limit": "2"}
    known |= {name: made[name] for name in ("artifact_id", "cas_id", "version_hash")}
    document = json.loads(_asked(server, "/schema/openapi.json"))
    token = server.headers["Authorization"].partition(" ")[2]
    return Target(routes_of(document), server.address, token, known)


def _work(shared: Fuzz) -> None:
    threads = [threading.Thread(target=shared.work) for _ in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _shown(statuses: Counter[str]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))


def _asked(server: Server, path: str) -> bytes:
    """The body of a 200; nothing if there is none."""
    connection = http.client.HTTPConnection(server.address, timeout=END_SECONDS_MAX)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", path, headers=server.headers)
        answer = connection.getresponse()
        if answer.status == http.HTTPStatus.OK:
            return answer.read()
    return b""
