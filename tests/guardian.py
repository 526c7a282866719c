"""Ends what a test run started, when the run has ended or was ended: `guardian.py RUN [FOLDER]`.

Every process of a run inherits the run's id in its environment, so that it is found whoever its
parent was. The run holds the other end of our input: it closes however the run ends, also by a
signal that nobody can catch. Standard library only.
"""

import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

#: The environment variable that names the run.
RUN_VARIABLE = "TEST_RUN"
POLL_SECONDS = 0.5
#: A server may end in order; whoever needs longer is ended.
GRACE_SECONDS = 3.0
END_SECONDS_MAX = 10.0


def members(run: str) -> list[int]:
    """The processes of a run that are alive, but for ourselves."""
    mark = f"{RUN_VARIABLE}={run}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # Ended meanwhile, or somebody else's.
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def await_end(parent: int) -> None:
    """Until the run is over: its end of the pipe is closed, or it is no longer our parent."""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS)
        if readable and not os.read(0, 1):
            return


def end(run: str) -> None:
    """First by the signal that a server obeys in order, then by the one that nobody can refuse."""
    started = time.monotonic()
    told: set[int] = set()
    while (found := members(run)) and time.monotonic() - started < END_SECONDS_MAX:
        patient = time.monotonic() - started < GRACE_SECONDS
        for pid in found:
            if patient and pid in told:
                continue
            told.add(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if patient else signal.SIGKILL)
        time.sleep(0.02)


def remove(folder: Path) -> None:
    """A PostgreSQL in it ends by itself when its starter has gone, and writes until then."""
    deadline = time.monotonic() + END_SECONDS_MAX
    while any(folder.glob("*/data/postmaster.pid")) and time.monotonic() < deadline:
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def main(run: str, *folders: str) -> None:
    """Wait, end, remove."""
    await_end(os.getppid())
    end(run)
    for folder in folders:
        remove(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
