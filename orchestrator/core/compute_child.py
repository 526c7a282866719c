"""The process that computes for another one: it calls functions that it is given, one at a time.

`ComputeProcess` starts it, with the ends of two pairs of sockets as standard input and output. It
is small, as it imports nothing but what the functions need.
"""

import contextlib
import fcntl
import gc
import os
import pickle
import resource
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from orchestrator.core.compute_exchange import Outcome, files_of
from orchestrator.errors import DomainError

#: The memory of the program itself; the limit for documents comes on top of it.
PROGRAM_BYTES = 24 * 1024 * 1024
#: A process that has grown so large, or has done so much, is replaced after its work.
GROWN_BYTES = 128 * 1024 * 1024
CALLS_MAX = 1_000


def main(memory_bytes_max: int, seconds_max: float) -> None:
    """Serve until the other end closes."""
    for ending in (signal.SIGPROF, signal.SIGIO):  # The caller may ignore them.
        signal.signal(ending, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPROF, signal.SIGIO))
    _end_with_caller()
    _limit(memory_bytes_max)
    connection = socket.socket(fileno=0)
    # Objects that refer to each other are never freed: the process grows, and is replaced.
    gc.disable()
    with contextlib.suppress(EOFError, MemoryError):
        _serve(connection, seconds_max)


def _serve(connection: socket.socket, seconds_max: float) -> None:
    """Call by call, until there is none, or this process has grown too much."""
    reader, writer = files_of(connection)
    for count in range(1, CALLS_MAX + 1):
        work = pickle.load(reader)  # noqa: S301 - it comes from the process that started us.
        # Of the processor, so that a busy machine refuses nothing. The signal kills.
        signal.setitimer(signal.ITIMER_PROF, seconds_max)
        outcome = _outcome(work)
        del work
        signal.setitimer(signal.ITIMER_PROF, 0)
        is_last = outcome.outgrew or count == CALLS_MAX or _resident_bytes() > GROWN_BYTES
        pickle.dump(outcome._replace(is_last=is_last), writer, protocol=5)
        writer.flush()
        if is_last:
            return
        del outcome


def _outcome(work: Any) -> Outcome:
    try:
        return Outcome(value=work())
    except MemoryError:
        return Outcome(outgrew=True)
    except DomainError as error:
        return Outcome(error=error)
    except Exception:  # noqa: BLE001 - the caller reports it.
        return Outcome(error=RuntimeError(traceback.format_exc()))


def _limit(memory_bytes_max: int) -> None:
    """Bound what a document can do to the machine: no dump of the memory on disk either."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data_bytes = max(memory_bytes_max - PROGRAM_BYTES, PROGRAM_BYTES)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > data_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    with contextlib.suppress(OSError):  # Not Linux. If memory runs out, this process goes first.
        Path("/proc/self/oom_score_adj").write_text("500")


def _end_with_caller() -> None:
    """Let the kernel end this process when the other end of standard output is closed, which the
    death of the caller does in any case. A thread could not: C code may hold the interpreter.
    """
    fcntl.fcntl(1, fcntl.F_SETOWN, os.getpid())
    # Nothing is ever sent there, so the first signal (SIGIO, which ends a process) is the last.
    fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_ASYNC)


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # Not Linux: the peak.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
