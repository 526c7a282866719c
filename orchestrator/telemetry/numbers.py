"""Numbers that only grow, in plain memory; how they are shown is not known here.

A small request counts several things, so a count costs no more than an addition and a look at a
timer.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from orchestrator.telemetry.flush_timer import FlushTimer

PUBLISH_SECONDS = 1.0


class Family(NamedTuple):
    """What a number means: its name, and the labels that tell its series apart.

    With bounds it is a histogram, and each of its series is the sum of what was observed, then how
    many observations each bound is the lowest for, and how many are above all of them.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


class Row(NamedTuple):
    """One series of a family, or a part of one: rows of the same labels are added up."""

    family: str
    labels: tuple[str, ...]
    numbers: list[float]


class Count:
    """One number."""

    __slots__ = ("_timer", "value")

    def __init__(self, timer: FlushTimer) -> None:
        self.value = 0.0
        self._timer = timer

    def inc(self, amount: float = 1) -> None:
        """Count. In the event loop only, or in a command that has none."""
        self.value += amount
        if self._timer.is_due():
            self._timer.start()


class Counts:
    """A number for each value of a label. One that was never counted is not shown."""

    def __init__(self, timer: FlushTimer) -> None:
        self._timer = timer
        self._counts: dict[str, Count] = {}

    def labels(self, value: str) -> Count:
        """The number for this value."""
        count = self._counts.get(value)
        if count is None:
            count = self._counts[value] = Count(self._timer)
        return count

    def items(self) -> Iterator[tuple[str, float]]:
        """Those that were counted."""
        return ((value, count.value) for value, count in self._counts.items() if count.value)


class _Requests:
    """Requests of one method, route and status."""

    __slots__ = ("counts", "seconds")

    def __init__(self, buckets: int) -> None:
        self.seconds = 0.0
        self.counts = [0.0] * buckets


class RequestNumbers:
    """How many requests there were of each kind, and how long they took."""

    def __init__(self, timer: FlushTimer, requests: Family, seconds: Family) -> None:
        self._timer = timer
        self._requests = requests.name
        self._seconds = seconds.name
        self._bounds = seconds.bounds
        self._series: dict[tuple[str, str, int], _Requests] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. In the event loop only."""
        series = self._series.get((method, route, status))
        if series is None:
            series = self._series[method, route, status] = _Requests(len(self._bounds) + 1)
        series.seconds += seconds
        series.counts[bisect_left(self._bounds, seconds)] += 1
        if self._timer.is_due():
            self._timer.start()

    def rows(self) -> Iterator[Row]:
        """The histogram has no status: those of a route share it."""
        for (method, route, status), series in self._series.items():
            yield Row(self._requests, (method, route, str(status)), [sum(series.counts)])
            yield Row(self._seconds, (method, route), [series.seconds, *series.counts])


class Numbers:
    """All families of a process. Publishers are called soon after a number has changed."""

    def __init__(self, *, publish_seconds: float = PUBLISH_SECONDS) -> None:
        self.families: list[Family] = []
        self._sources: list[Callable[[], Iterable[Row]]] = []
        self._publishers: list[Callable[[], None]] = []
        self._timer = FlushTimer(self._publish, publish_seconds)

    def count(self, name: str, meaning: str) -> Count:
        """A new number."""
        count = Count(self._timer)
        self._add(lambda: [Row(name, (), [count.value])], Family(name, meaning))
        return count

    def observed(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A number that is counted elsewhere, perhaps by another thread."""
        self._add(lambda: [Row(name, (), [read()])], Family(name, meaning))

    def counts(self, name: str, meaning: str, label: str) -> Counts:
        """A new number for each value of a label."""
        counts = Counts(self._timer)
        self._add(
            lambda: (Row(name, (value,), [amount]) for value, amount in counts.items()),
            Family(name, meaning, (label,)),
        )
        return counts

    def requests(self, requests: Family, seconds: Family) -> RequestNumbers:
        """New numbers of requests."""
        numbers = RequestNumbers(self._timer, requests, seconds)
        self._add(numbers.rows, requests, seconds)
        return numbers

    def rows(self) -> list[Row]:
        """What was counted until now."""
        return [row for source in self._sources for row in source()]

    @contextmanager
    def published_by(self, publish: Callable[[], None]) -> Iterator[None]:
        """Inside the block, and at its end, `publish` is called soon after a count."""
        self._publishers.append(publish)
        try:
            yield
        finally:
            self._publishers.remove(publish)
            publish()

    def _publish(self) -> None:
        for publish in self._publishers:
            publish()

    def _add(self, source: Callable[[], Iterable[Row]], *families: Family) -> None:
        self._sources.append(source)
        self.families += families


def added_up(rows: Iterable[Row]) -> dict[tuple[str, tuple[str, ...]], list[float]]:
    """Each series once."""
    total: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for row in rows:
        series = total.get((row.family, row.labels))
        if series is None:
            total[row.family, row.labels] = list(row.numbers)
        else:
            total[row.family, row.labels] = [
                one + other for one, other in zip(series, row.numbers, strict=True)
            ]
    return total
