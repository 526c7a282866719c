"""Large bodies over plain connections, as fast as they go; what they are is not known here.

wrk reads 8 KiB at a time, which is slower than what it would measure.
"""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from bench.load import WrongAnswers
from bench.material import LARGE_BYTES, MIB, cas_id
from bench.program import Answer, Program
from bench.task import Figure, timed

WARM_SECONDS = 0.2


@dataclass
class Downloads:
    """The same large blob, by several streams at once."""

    program: Program
    path: str
    cas_id: str
    streams: int

    def warm(self) -> None:
        self.round(WARM_SECONDS)

    def round(self, seconds: float) -> Figure:
        before = self.program.cpu_seconds()
        started = time.perf_counter()
        deadline = time.monotonic() + seconds
        with ThreadPoolExecutor(self.streams) as pool:
            took = list(pool.map(lambda _: self._stream(deadline), range(self.streams)))
        passed = time.perf_counter() - started
        used = self.program.cpu_seconds() - before
        self._check()
        each = [one for stream in took for one in stream]
        return replace(
            timed(each, passed),
            megabytes=len(each) * LARGE_BYTES / 1e6,
            cpu_seconds=used,
            pss_mib=self.program.pss_mib(),
        )

    def _stream(self, deadline: float) -> list[float]:
        connection = self.program.connect()
        buffer = memoryview(bytearray(MIB))
        took: list[float] = []
        while not took or time.monotonic() < deadline:
            started = time.perf_counter()
            connection.request("GET", self.path, headers=self.program.headers)
            answer = connection.getresponse()
            size = 0
            while count := answer.readinto(buffer):
                size += count
            if answer.status != 200 or size != LARGE_BYTES:
                raise WrongAnswers(f"status {answer.status} and {size} bytes")
            took.append(time.perf_counter() - started)
        connection.close()
        return took

    def _check(self) -> None:
        answer = self.program.ask("GET", self.path)
        if cas_id(answer.body) != self.cas_id:
            raise WrongAnswers("the bytes that came are others than those stored")


def send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | bytearray,
) -> Answer:
    """The body goes out in one call, without a copy."""
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.sock.sendall(body)
    answer = connection.getresponse()
    content = answer.read()
    return Answer(answer.status, answer.headers, content, len(content))
