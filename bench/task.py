"""How a work is measured once: the load, the checks of its answers, and the figure of one round."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bench.load import Load, WrongAnswers, checked, load

WARM_SECONDS = 0.2
FIRST_PER_SECOND = 4_000


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one round gave; None where there is no such thing."""

    count: int | None = None
    seconds: float | None = None
    megabytes: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    start_seconds: float | None = None
    cpu_seconds: float | None = None
    pss_mib: float | None = None

    @property
    def per_second(self) -> float | None:
        return self.count / self.seconds if self.count and self.seconds else None

    @property
    def mb_per_second(self) -> float | None:
        return self.megabytes / self.seconds if self.megabytes and self.seconds else None

    @property
    def per_cpu_second(self) -> float | None:
        return self.count / self.cpu_seconds if self.count and self.cpu_seconds else None

    @property
    def cpu_seconds_per_1000(self) -> float | None:
        return 1000 / self.per_cpu_second if self.per_cpu_second else None


class Task(Protocol):
    """One program at one work. Whoever measures adds what its processes used."""

    def warm(self) -> None:
        """Do what the first time costs more than the others."""

    def round(self, seconds: float) -> Figure:
        """Load for so long; raises WrongAnswers rather than give a figure that means nothing."""
        ...


class Measured(Protocol):
    """A program, as far as measuring it needs it."""

    address: str

    def cpu_seconds(self) -> float: ...

    def pss_mib(self) -> float: ...


class Looked(Protocol):
    """An answer that was found right."""

    @property
    def wire_bytes(self) -> int: ...


@dataclass
class Reads:
    """The same requests again and again. `look` asks one of them by hand and checks the answer."""

    program: Measured
    requests: Sequence[bytes]
    look: Callable[[int], Looked]
    connections: int
    pause_ms: int = 0
    warm_seconds: float = WARM_SECONDS

    def warm(self) -> None:
        self.round(self.warm_seconds)

    def round(self, seconds: float) -> Figure:
        sizes = self._sizes()
        before = self.program.cpu_seconds()
        seen = load(
            self.program.address,
            self.requests,
            connections=self.connections,
            seconds=seconds,
            pause_ms=self.pause_ms,
        )
        used = self.program.cpu_seconds() - before
        checked(seen)
        sizes += self._sizes()
        # What wrk saw in part when it stopped, and heads that are some digits longer.
        slack = 0.01 * seen.bytes + self.connections * max(sizes)
        low, high = seen.requests * min(sizes) - slack, seen.requests * max(sizes) + slack
        if not low <= seen.bytes <= high:
            expected = f"{min(sizes)} to {max(sizes)}"
            raise WrongAnswers(
                f"{seen.bytes} bytes in {seen.requests} answers, each has {expected}"
            )
        return figure_of(seen, self.program, used)

    def _sizes(self) -> list[int]:
        picked = range(0, len(self.requests), max(1, len(self.requests) // 5))
        return [self.look(index).wire_bytes for index in picked]


class Batches(Protocol):
    """Requests that each may be sent once, and what must be true of them afterwards."""

    statuses: Sequence[int]
    script: str

    def take(self, count: int) -> list[bytes]:
        """Requests that were never given before."""
        ...

    def verify(self, sent: int) -> None:
        """So many of those taken last were sent, in order, and answered."""
        ...


@dataclass
class Writes:
    """Each request changes something, so each is another one."""

    program: Measured
    batches: Batches
    connections: int
    unit_status: int | None = None
    _per_second: float = FIRST_PER_SECOND

    def warm(self) -> None:
        self.round(WARM_SECONDS)

    def round(self, seconds: float) -> Figure:
        # Where they do not last, the round ends early.
        requests = self.batches.take(int(self._per_second * 2 * seconds) + 200)
        before = self.program.cpu_seconds()
        seen = load(
            self.program.address,
            requests,
            connections=self.connections,
            seconds=seconds,
            script=self.batches.script,
            once=True,
        )
        used = self.program.cpu_seconds() - before
        checked(seen, self.batches.statuses)
        self.batches.verify(seen.sent)
        self._per_second = seen.sent / seen.seconds
        return figure_of(seen, self.program, used, self.unit_status)


@dataclass
class Calls:
    """Something that this process does itself, one time after the other, and how much it moves."""

    call: Callable[[], float | None]
    program: Measured | None = None
    megabytes: float | None = None
    calls_max: int = 1_000_000

    def warm(self) -> None:
        self.call()

    def round(self, seconds: float) -> Figure:
        """A call may say how long it took, without what came before and after."""
        took: list[float] = []
        cpu_seconds = self.program.cpu_seconds if self.program else time.process_time
        before = cpu_seconds()
        deadline = time.monotonic() + seconds
        while not took or (time.monotonic() < deadline and len(took) < self.calls_max):
            started = time.perf_counter()
            said = self.call()
            took.append(time.perf_counter() - started if said is None else said)
        return replace(
            timed(took, sum(took)),
            megabytes=self.megabytes and self.megabytes * len(took),
            cpu_seconds=cpu_seconds() - before,
            pss_mib=self.program.pss_mib() if self.program else None,
        )


def timed(took: list[float], seconds: float) -> Figure:
    """The figure of requests whose seconds are known one by one."""
    ordered = sorted(took)

    def quantile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000

    return Figure(
        count=len(took),
        seconds=seconds,
        p50_ms=quantile(0.5),
        p95_ms=quantile(0.95),
        p99_ms=quantile(0.99),
    )


def figure_of(seen: Load, program: Measured, used: float, unit_status: int | None = None) -> Figure:
    """With a unit status, only such answers count, and how long one takes is not known."""
    figure = Figure(
        count=seen.requests,
        seconds=seen.seconds,
        p50_ms=seen.p50_ms,
        p95_ms=seen.p95_ms,
        p99_ms=seen.p99_ms,
        cpu_seconds=used,
        pss_mib=program.pss_mib(),
    )
    if unit_status is None:
        return figure
    units = seen.statuses.get(str(unit_status), 0)
    return replace(figure, count=units, p50_ms=None, p95_ms=None, p99_ms=None)
