"""The page that Prometheus reads: the numbers of all processes of this server, added up."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from orchestrator.telemetry.numbers import Family, Numbers, added_up
from orchestrator.telemetry.numbers_shared import SharedNumbers

Metric = CounterMetricFamily | HistogramMetricFamily


class Exposition(Collector):
    """Shows numbers in the Prometheus text format. With a folder they are those of all processes
    that share it, without one those of this process, and what the library says of a process.
    """

    def __init__(self, numbers: Numbers, folder: Path | None) -> None:
        self._numbers = numbers
        self._folder = folder
        self._shared: SharedNumbers | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Within this block the other processes see the numbers of this one."""
        if self._folder is None:
            yield
            return
        shared = self._shared = SharedNumbers(self._folder)
        try:
            with self._numbers.published_by(self._publish):
                yield
        finally:
            self._shared = None
            shared.close()

    def text(self) -> bytes:
        """The whole page."""
        self._publish()  # What was shown once must not be lost with this process.
        ours = generate_latest(self._registry)
        return ours if self._shared else generate_latest(REGISTRY) + ours

    def collect(self) -> Iterator[Metric]:
        """For the library: every family with its series."""
        rows = self._numbers.rows()
        if self._shared is not None:
            rows += self._shared.others()
        total = added_up(rows)
        for family in self._numbers.families:
            metric = _metric(family)
            for (name, labels), numbers in total.items():
                if name == family.name:
                    _add(metric, family, labels, numbers)
            yield metric

    def _publish(self) -> None:
        if self._shared is not None:
            self._shared.write(self._numbers.rows())


def _metric(family: Family) -> Metric:
    kind = HistogramMetricFamily if family.bounds else CounterMetricFamily
    return kind(family.name, family.help, labels=family.labels)


def _add(metric: Metric, family: Family, labels: tuple[str, ...], numbers: list[float]) -> None:
    if isinstance(metric, CounterMetricFamily):
        metric.add_metric(labels, numbers[0])
        return
    bounds = [*(str(float(bound)) for bound in family.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(numbers[1:]), strict=True))
    metric.add_metric(labels, buckets, numbers[0])
