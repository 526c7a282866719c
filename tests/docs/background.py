"""Starts the server of a page behind the shell, and ends it: `start PORT COMMAND…` or `end`."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["DOCS_FOLDER"])
#: One line for each server: the port in the text, the process.
SERVERS = FOLDER / "servers"
#: One line for each port in the text: it, and the real one.
PORTS = FOLDER / "ports"
READY_SECONDS_MAX = 120.0
END_SECONDS_MAX = 10.0


def table(file: Path) -> dict[str, str]:
    return dict(line.split() for line in file.read_text().splitlines()) if file.exists() else {}


def write(file: Path, rows: dict[str, str]) -> None:
    file.write_text("".join(f"{key} {value}\n" for key, value in rows.items()))


# tests/processes.py has it too. This is a program of its own: it imports nothing of the tests.
def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def end(pid: int) -> None:
    """As Ctrl-C would."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + END_SECONDS_MAX
        if is_running(pid):
            os.kill(pid, number)
        while is_running(pid):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)


def start(port: str, *command: str) -> int:
    """Wait until the server is ready or has refused, and print what it said."""
    servers = table(SERVERS)
    former = servers.get(port)
    if command[0] == "orchestrator":
        command = (".venv/bin/orchestrator", *command[1:])
    out, errors = FOLDER / "serve.out", FOLDER / "serve.err"
    with out.open("w") as said, errors.open("w") as complained:
        process = subprocess.Popen(
            [*command, "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
        )
    write(SERVERS, servers | {"starting": str(process.pid)})
    deadline = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and "Ctrl-C" not in out.read_text():
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    if former and process.returncode and "uses the data folder" in errors.read_text():
        # A reader ends the one that runs, and then starts the other.
        end(int(former))
        write(SERVERS, {key: pid for key, pid in servers.items() if key != port})
        return start(port, *command)
    ready = re.search(r"ready: \w+://\S+:(\d+)", out.read_text())
    sys.stdout.write(out.read_text())
    if ready:
        if former:
            end(int(former))
        write(SERVERS, servers | {port: str(process.pid)})
        write(PORTS, table(PORTS) | {port: ready[1]})
        return 0
    end(process.pid)
    write(SERVERS, servers)
    sys.stdout.write(errors.read_text())
    return process.returncode or 1


if __name__ == "__main__":
    if sys.argv[1] == "start":
        sys.exit(start(*sys.argv[2:]))
    for pid in table(SERVERS).values():
        end(int(pid))
