"""A server of its own for a benchmark, and what its processes use; it measures nothing itself."""

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

MAIN = "import sys; from orchestrator.cli.main import main; sys.exit(main())"
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """`orchestrator serve` in a process of its own, with settings as in the environment."""

    def __init__(self, folder: Path, **settings: object) -> None:
        named = {f"ORCHESTRATOR_{key.upper()}": str(value) for key, value in settings.items()}
        defaults = {"ORCHESTRATOR_DATA_DIR": str(folder), "ORCHESTRATOR_LOG_LEVEL": "error"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            env={**os.environ, **defaults, **named},
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if ready := re.search(r"ready: http://(\S+)", line):
                self.address = ready[1]
            if line.startswith("Ctrl-C"):
                break
        token = (folder / "admin.token").read_text().strip()
        self.headers = {"Authorization": f"Bearer {token}"}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=300)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def cpu_seconds(self) -> float:
        """Of all processes of the server that are alive, PostgreSQL included."""
        total = 0
        for pid in self._family():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def pss_mib(self) -> float:
        """The proportional set size of all processes: what they really take of the memory."""
        total = 0
        for pid in self._family():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
            total += int(found[1]) if found else 0
        return total / 1024

    def _family(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            children.setdefault(int(parent), []).append(int(entry.name))
        found = [self.process.pid]
        for each in found:
            found.extend(children.get(each, []))
        return found
