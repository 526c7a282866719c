"""What is counted, in the Prometheus data model; where it is counted is said at each place."""

import asyncio
from bisect import bisect_left

from prometheus_client import Counter, Histogram

HANDED_OVER_SECONDS = 1.0


class Tally:
    """Counts in plain numbers, which are handed over to the client library each second.

    The library's own counts are shared with the other workers through files: to write there each
    time costs a tenth of a small request.
    """

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._amount = 0.0
        _TALLIES.append(self)

    def inc(self, amount: float = 1) -> None:
        """Count. In the event loop only, or in a command that has none."""
        self._amount += amount
        _plan()

    def hand_over(self) -> None:
        """Let the library know."""
        amount, self._amount = self._amount, 0.0
        if amount:
            self._counter.inc(amount)


class Tallies:
    """One for each value of a label."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._tallies: dict[str, Tally] = {}

    def labels(self, value: str) -> Tally:
        """The one for this value."""
        tally = self._tallies.get(value)
        if tally is None:
            tally = self._tallies[value] = Tally(self._counter.labels(value))
        return tally


_TALLIES: list[Tally] = []
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter(
    "orchestrator_http_requests", "Requests answered.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "orchestrator_http_request_seconds",
    "Time from the request's head to the end of its answer.",
    ["method", "route"],
    buckets=BUCKETS,
)
TAG_CHANGES = Tallies(Counter("orchestrator_tag_changes", "Recorded changes of tags.", ["action"]))
BLOBS_STORED = Tally(Counter("orchestrator_blobs_stored", "Blobs that were new when they came."))
BLOB_BYTES_STORED = Tally(Counter("orchestrator_blob_bytes_stored", "Bytes of those blobs."))
BLOBS_KNOWN = Tally(
    Counter("orchestrator_blobs_known", "Blobs that were there when they came again.")
)
BLOB_BYTES_KNOWN = Tally(Counter("orchestrator_blob_bytes_known", "Bytes that dedupe saved."))
BLOBS_QUARANTINED = Counter("orchestrator_blobs_quarantined", "Blobs that were found damaged.")
VERIFY_BLOBS_CHECKED = Counter("orchestrator_verify_blobs_checked", "Blobs that were verified.")
VERIFY_PROBLEMS = Counter(
    "orchestrator_verify_problems", "What verification found, by its kind.", ["problem"]
)
BLOB_BYTES_RECEIVED = Tally(
    Counter("orchestrator_blob_bytes_received", "Bytes of uploads, hashed.")
)
BLOB_BYTES_SENT = Tally(
    Counter("orchestrator_blob_bytes_sent", "Bytes of blobs sent from storage.")
)
STORAGE_BYTES_WRITTEN = Counter(
    "orchestrator_storage_bytes_written", "Bytes written to blob storage, after compression."
)
UPLOADS_COMPLETED = Counter("orchestrator_uploads_completed", "Uploads that became blobs.")
GC_RUNS = Counter("orchestrator_gc_runs", "Garbage collections that ended.", ["outcome"])
GC_ARTIFACTS_DELETED = Counter(
    "orchestrator_gc_artifacts_deleted", "Artifacts that nothing needed any more."
)
GC_BLOBS_DELETED = Counter("orchestrator_gc_blobs_deleted", "Blobs that nothing needed any more.")
GC_BYTES_FREED = Counter("orchestrator_gc_bytes_freed", "Bytes of those blobs, as stored.")


class _Series:
    """Requests of one kind that were not handed over yet."""

    __slots__ = ("count", "counts", "method", "route", "seconds", "status")

    def __init__(self, method: str, route: str, status: int) -> None:
        self.method, self.route, self.status = method, route, status
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.counts = [0] * (len(BUCKETS) + 1)


class RequestMetrics:
    """Tallies of requests."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], _Series] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. In the event loop only."""
        series = self._series.get((method, route, status))
        if series is None:
            series = self._series[method, route, status] = _Series(method, route, status)
        series.count += 1
        series.seconds += seconds
        series.counts[bisect_left(BUCKETS, seconds)] += 1
        _plan()

    def hand_over(self) -> None:
        """Let the library know."""
        for series in self._series.values():
            if series.count:
                REQUESTS.labels(series.method, series.route, series.status).inc(series.count)
                histogram = SECONDS.labels(series.method, series.route)
                # What `observe` does, for many at once: the library has no method for that.
                histogram._sum.inc(series.seconds)  # noqa: SLF001
                for bucket, count in zip(histogram._buckets, series.counts, strict=True):  # noqa: SLF001
                    if count:
                        bucket.inc(count)
                series.clear()


HTTP = RequestMetrics()
_planned: list[asyncio.TimerHandle] = []


def hand_over() -> None:
    """Let the client library know all that was counted: each second, and before a scrape."""
    _planned.clear()
    HTTP.hand_over()
    for tally in _TALLIES:
        tally.hand_over()


def _plan() -> None:
    if _planned:
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        hand_over()
        return
    _planned.append(loop.call_later(HANDED_OVER_SECONDS, hand_over))
