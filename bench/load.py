"""Load on a server by way of wrk, with requests that were prepared; what to ask is not known."""

import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

LUA = Path(__file__).parent / "lua"
UNTIL_STOPPED = "3600s"
DRAIN_SECONDS_MAX = 30
SEEDING_CONNECTIONS = 8
SEEDING_SECONDS_MAX = 60


class WrongAnswers(Exception):
    """A program answered something else than it should: its figure says nothing."""


class Load(NamedTuple):
    """What wrk saw. With `once`, all that was sent was answered."""

    requests: int
    bytes: int
    seconds: float
    sent: int
    bad_status: int
    socket_errors: int
    statuses: dict[str, int]
    p50_ms: float
    p95_ms: float
    p99_ms: float


def raw(
    address: str, headers: dict[str, str], method: str, path: str, body: bytes | None = None
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def load(
    address: str,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
    script: str = "replay",
    once: bool = False,
    pause_ms: int = 0,
) -> Load:
    """Cycle through the requests, or send each at most once and wait for all answers.

    One thread of wrk: more would take the processors that the servers need.
    """
    with tempfile.NamedTemporaryFile() as file:
        for each in requests:
            file.write(b"%d\n%b" % (len(each), each))
        file.flush()
        how = ["once", str(seconds)] if once else ["cycle", str(pause_ms)]
        command = ["wrk", "-t1", f"-c{connections}", f"-d{UNTIL_STOPPED}", "--timeout", "30s"]
        command += ["-s", str(LUA / f"{script}.lua"), f"http://{address}/", "--", file.name, *how]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        try:
            first = process.stderr.readline()
            if first != "loaded\n":
                raise RuntimeError(f"wrk failed: {first}{process.stderr.read()}")
            said = _said(process, process.stderr, seconds, once=once)
        finally:
            process.kill()
            process.wait()
    return Load(**json.loads(said))


def send_all(address: str, requests: Sequence[bytes], status: int) -> None:
    """Each once, to fill a program before it is measured; raises if one was refused."""
    seen = load(
        address,
        requests,
        connections=SEEDING_CONNECTIONS,
        seconds=SEEDING_SECONDS_MAX,
        once=True,
    )
    if checked(seen).statuses != {str(status): len(requests)}:
        raise WrongAnswers(f"for {len(requests)} requests there came {seen.statuses}")


def _said(process: subprocess.Popen[str], said: IO[str], seconds: float, *, once: bool) -> str:
    """Stop it when the time is over: wrk itself counts whole seconds only."""
    if not once:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        return said.read()
    timer = threading.Timer(seconds + DRAIN_SECONDS_MAX, process.send_signal, [signal.SIGINT])
    timer.start()
    try:
        if said.readline() != "drained\n":
            raise WrongAnswers(f"some requests had no answer after {DRAIN_SECONDS_MAX} s")
    finally:
        timer.cancel()
    process.send_signal(signal.SIGINT)
    return said.read()


def checked(seen: Load, statuses: Sequence[int] = ()) -> Load:
    """The same, if nothing failed and only those statuses came, as far as they were counted."""
    if seen.socket_errors:
        raise WrongAnswers(f"{seen.socket_errors} connections failed")
    unwanted = {k: v for k, v in seen.statuses.items() if statuses and int(k) not in statuses}
    if unwanted or seen.bad_status:
        raise WrongAnswers(f"statuses {unwanted or seen.bad_status} of {seen.requests} answers")
    if statuses and sum(seen.statuses.values()) != seen.requests:
        raise WrongAnswers(f"{seen.requests} answers, but the statuses {seen.statuses}")
    if not seen.requests:
        raise WrongAnswers("no answer came")
    return seen
