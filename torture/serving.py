"""What is seen of a server from outside: the memory of its own processes, and its connections."""

from contextlib import suppress
from pathlib import Path

from bench.program import family
from bench.server import Server


def serving_mib(pid: int) -> float:
    """What the processes that serve have written to memory, without PostgreSQL and those that
    compute. Pages that they share through a fork count once. Files that they map do not count: what
    they take of these depends on who else maps them.
    """
    total = 0
    ours = _command_line(pid)
    for each in family(pid):
        with suppress(OSError, StopIteration):  # It has ended meanwhile.
            if _command_line(each) == ours:
                lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon"))
    return total / 1024


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def open_connections(server: Server) -> int:
    """Those that the server has not ended."""
    port = int(server.address.rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)
