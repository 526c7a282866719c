"""Structured logs: one JSON object a line on standard error; what is logged is chosen elsewhere."""

import logging
from contextvars import ContextVar

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

#: Set by the edge for the request that this task serves; every line carries it.
correlation_id: ContextVar[str] = ContextVar("correlation_id")


def configure(level: str) -> None:
    """Once per process, before the first line."""
    structlog.configure(
        processors=[
            _correlate,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(serializer=_encode),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        # Standard error itself, unbuffered: a line is one write and is there when we crash.
        logger_factory=structlog.BytesLoggerFactory(
            file=open(2, "wb", buffering=0, closefd=False)  # noqa: SIM115 - as long as the process.
        ),
        cache_logger_on_first_use=False,
    )


def _correlate(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    current = correlation_id.get(None)
    if current is not None:
        event["correlation_id"] = current
    return event


def _encode(event: EventDict, **_: object) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)
