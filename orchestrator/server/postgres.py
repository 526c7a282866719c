"""Keeps the embedded PostgreSQL running while the server runs."""

import threading
import time
from concurrent.futures import Future
from pathlib import Path

from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.embedded.error import EmbeddedPostgresError
from orchestrator.telemetry.logs import LINES

DELAY_SECONDS_MIN = 0.1
DELAY_SECONDS_MAX = 5.0
#: After so long the next unexpected end is a new one, not a part of a series.
HEALTHY_SECONDS = 60.0


class PostgresSupervisor:
    """A thread that starts PostgreSQL, and starts it again whenever it ends unexpectedly."""

    def __init__(self, folder: Path) -> None:
        self._postgres = EmbeddedPostgres(folder)
        self._postgres.register_at_fork()
        #: Where PostgreSQL is, once it takes connections, or what kept it from starting.
        self.url: Future[str] = Future()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postgresql", daemon=True)

    def start(self) -> None:
        """Begin to start PostgreSQL; `url` has the outcome."""
        self._thread.start()

    def stop(self) -> None:
        """Returns when no process of PostgreSQL is left."""
        self._stopping.set()
        self._postgres.stop()

    def _run(self) -> None:
        try:
            self.url.set_result(self._postgres.start())
        except Exception as error:  # noqa: BLE001 - raised again by `url`.
            self.url.set_exception(error)
            return
        delay = DELAY_SECONDS_MIN
        while True:
            started = time.monotonic()
            self._postgres.wait()
            if time.monotonic() - started > HEALTHY_SECONDS:
                delay = DELAY_SECONDS_MIN
            if self._stopping.is_set():
                return
            _say("PostgreSQL ended unexpectedly; starting it again.")
            delay = self._restart(delay)

    def _restart(self, delay: float) -> float:
        """The URL stays the same, so the workers find it again by themselves."""
        while not self._stopping.wait(delay):
            delay = min(delay * 2, DELAY_SECONDS_MAX)
            try:
                self._postgres.start()
            except EmbeddedPostgresError as error:
                if not self._stopping.is_set():
                    _say(f"{error} Trying again in {delay:g} s.")
            else:
                _say("PostgreSQL takes connections again.")
                break
        return delay


def _say(line: str) -> None:
    LINES.warning(f"orchestrator: {line}".encode())
