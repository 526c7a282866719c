"""A server of its own for a benchmark, and what its processes use; it measures nothing itself."""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from bench.program import cpu_seconds, pss_mib

MAIN = "import sys; from orchestrator.cli.main import main; sys.exit(main())"


class Server:
    """`orchestrator serve` in a process of its own, with settings as in the environment."""

    def __init__(
        self,
        folder: Path,
        *,
        stderr: IO[bytes] | None = None,
        port: int = 0,
        ready_seconds_max: float = 120.0,
        **settings: object,
    ) -> None:
        named = {f"ORCHESTRATOR_{key.upper()}": str(value) for key, value in settings.items()}
        defaults = {"ORCHESTRATOR_DATA_DIR": str(folder), "ORCHESTRATOR_LOG_LEVEL": "error"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "serve", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **defaults, **named},
            text=True,
        )
        assert self.process.stdout is not None
        hanging = threading.Timer(ready_seconds_max, self.process.kill)
        hanging.start()
        for line in self.process.stdout:
            if ready := re.search(r"ready: http://(\S+)", line):
                self.address = ready[1]
            if line.startswith("Ctrl-C"):
                break
        else:
            hanging.cancel()
            raise RuntimeError(f"The server ended with {self.process.wait()} before it was ready.")
        hanging.cancel()
        token = (folder / "admin.token").read_text().strip()
        self.headers = {"Authorization": f"Bearer {token}"}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=300)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def cpu_seconds(self) -> float:
        """Of all processes of the server, PostgreSQL included."""
        return cpu_seconds(self.process.pid)

    def pss_mib(self) -> float:
        """The proportional set size of all processes: what they really take of the memory."""
        return pss_mib(self.process.pid)
