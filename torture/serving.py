"""What is seen of a server from outside: the memory of its own processes, and its connections."""

from contextlib import suppress
from pathlib import Path

from bench.server import Server


def serving_mib(server: Server) -> float:
    """The proportional set size of the processes that serve, without PostgreSQL."""
    total = 0
    ours = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, StopIteration):  # It has ended meanwhile.
            if (entry / "cmdline").read_bytes() == ours:
                lines = (entry / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def open_connections(server: Server) -> int:
    """Those that the server has not ended."""
    port = int(server.address.rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)
