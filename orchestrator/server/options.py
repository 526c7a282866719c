"""Where and how the workers serve."""

from pathlib import Path

import msgspec

#: How long requests may take to end once the server is to end: a client that stalls does not delay
#: it. Then the application has so long to put things in order.
REQUESTS_SECONDS_MAX = 2.0
SHUTDOWN_SECONDS_MAX = 1.0
#: A worker that is not gone by then is killed.
WORKER_SECONDS_MAX = REQUESTS_SECONDS_MAX + SHUTDOWN_SECONDS_MAX + 0.5


class HTTPOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to serve. The values have been checked."""

    target: str
    address: str
    port: int
    workers: int
    tls_certificate: Path | None
    tls_key: Path | None
