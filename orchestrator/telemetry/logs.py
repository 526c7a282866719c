"""Structured logs: one JSON object a line on standard error; what is logged is chosen elsewhere."""

import atexit
import logging
import os
from collections import deque
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from orchestrator.telemetry.flush_timer import FlushTimer
from orchestrator.telemetry.log_output import LogOutput
from orchestrator.telemetry.log_writer import LogWriter

#: Set by the edge for the request that this task serves; every line carries it.
correlation_id: ContextVar[str] = ContextVar("correlation_id")

FLUSH_SECONDS = 0.05
LINES_WAITING_MAX = 256
#: Until the settings say otherwise.
QUEUE_BYTES_MAX = 4 * 1024 * 1024


class Lines:
    """Lines on their way to standard error: those of one moment share a write.

    A write of its own costs a line as much as a third of a small request. So lines wait for others,
    for `flush_seconds` at most; a warning or worse waits for nothing. A process that is killed
    loses what still waits: what must not be lost is in the database, not in the log.
    """

    def __init__(self, writer: LogWriter, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self.tells_info = True
        self._writer = writer
        self._waiting: deque[bytes] = deque()
        self._timer = FlushTimer(self.flush, flush_seconds)

    def info(self, line: bytes) -> None:
        """Write the line soon."""
        self._waiting.append(line)
        if len(self._waiting) >= LINES_WAITING_MAX:
            self.flush()
        elif self._timer.is_due():
            self._timer.start()

    def warning(self, line: bytes) -> None:
        """Write the line, and those before it, now."""
        self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Let all lines that wait be written."""
        piece: list[bytes] = []
        size, size_max = 0, self._writer.output.piece_bytes_max
        while self._waiting:
            line = self._waiting.popleft()
            size += len(line) + 1
            if piece and size > size_max:
                self._put(piece)
                piece, size = [], len(line) + 1
            piece.append(line)
        if piece:
            self._put(piece)

    def _put(self, lines: list[bytes]) -> None:
        self._writer.put(b"\n".join(lines) + b"\n", len(lines))

    def drain(self) -> None:
        """Wait until they are written, but not for ever."""
        self.flush()
        self._writer.drain()

    debug = info
    error = exception = critical = warning


def _dropped_line(lines: int) -> bytes:
    event = {"lines": lines, "level": "warning", "timestamp": datetime.now(UTC)}
    return _ENCODER.encode(event | {"message": "log lines dropped"})


WRITER = LogWriter(LogOutput(), dropped_line=_dropped_line, bytes_max=QUEUE_BYTES_MAX)
LINES = Lines(WRITER)
atexit.register(LINES.drain)
os.register_at_fork(after_in_child=WRITER.begin)


def configure(level: str, *, queue_bytes_max: int = QUEUE_BYTES_MAX) -> None:
    """Once per process, before the first line."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    LINES.tells_info = threshold <= logging.INFO
    WRITER.bytes_max = queue_bytes_max
    logging.lastResort = PlainLines(logging.WARNING)  # Of libraries that have no handler.
    structlog.configure(
        processors=[
            _complete,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(serializer=_encode),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: LINES,
        cache_logger_on_first_use=False,
    )


def info(message: str, fields: dict[str, Any]) -> None:
    """What `log.info` of structlog writes, without its machinery: that costs 10 µs a line, and
    a request that only reads is served in 50.
    """
    if LINES.tells_info:
        line = _complete(None, "info", {**fields, "message": message})
        LINES.info(_ENCODER.encode(line))


class PlainLines(logging.Handler):
    """For libraries that log by themselves: their lines, as they are, go the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line now."""
        LINES.warning(self.format(record).encode(errors="replace"))


class _Request(msgspec.Struct):
    """The line of a request, the one that is written most."""

    method: str
    path: str
    status: int
    duration_ms: float
    correlation_id: str
    timestamp: datetime
    message: str = "request"
    level: str = "info"


def request(method: str, path: str, status: int, seconds: float) -> None:
    """What `info` would write of a request, in a third of the time."""
    if LINES.tells_info:
        now = datetime.now(UTC)
        duration = round(seconds * 1000, 3)
        line = _Request(method, path, status, duration, correlation_id.get(""), now)
        LINES.info(_ENCODER.encode(line))


_ENCODER = msgspec.json.Encoder(enc_hook=str)


def _complete(logger: WrappedLogger | None, method: str, event: EventDict) -> EventDict:
    current = correlation_id.get(None)
    if current is not None:
        event.setdefault("correlation_id", current)
    event["level"] = "error" if method == "exception" else method
    event["timestamp"] = datetime.now(UTC)
    return event


def _encode(event: EventDict, **_: object) -> bytes:
    return _ENCODER.encode(event)
