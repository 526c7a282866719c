"""The workers as the parent process sees them: started, replaced when one ends, ended together."""

import gc
import os
import resource
import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from orchestrator.server.error import ServeError
from orchestrator.server.options import WORKER_SECONDS_MAX, HTTPOptions
from orchestrator.server.stop import Stop, end_by_signals, signals_held_back
from orchestrator.settings import Settings
from orchestrator.telemetry.logs import LINES

OPEN_FILES_MAX = 65_536
#: A worker that ends sooner than this has not been of use.
USEFUL_SECONDS_MIN = 5.0
#: So many in a row, and the server gives up.
USELESS_MAX = 3
REPLACE_SECONDS = 0.2


def run_workers(options: HTTPOptions, settings: Settings, stop: Stop) -> None:
    """Serve until a signal comes. Returns when every worker has ended."""
    from orchestrator.server.worker import run_worker

    _raise_file_limit()
    # Forked, they share what has been imported; elsewhere than on Linux that is not safe.
    context = get_context("fork") if sys.platform == "linux" else get_context("spawn")
    if sys.platform == "linux":
        os.register_at_fork(after_in_child=end_by_signals)
        gc.collect()
        gc.freeze()  # Else each collection would copy the pages that the workers share.

    def started() -> tuple[BaseProcess, float]:
        worker = context.Process(target=run_worker, args=(options, settings), name="worker")
        with signals_held_back():
            worker.start()
        return worker, time.monotonic()

    workers = [started() for _ in range(options.workers)]
    useless = 0
    try:
        while not stop.is_wanted:
            wait([stop.fileno(), *(worker.sentinel for worker, _ in workers)])
            for at, (worker, since) in enumerate(workers):
                if stop.is_wanted or worker.is_alive():
                    continue
                worker.join()
                # The signal that ended it may be for all of us, and it was first.
                stop.wait(REPLACE_SECONDS)
                if stop.is_wanted:
                    break
                useless = useless + 1 if time.monotonic() - since < USEFUL_SECONDS_MIN else 0
                if useless == USELESS_MAX:
                    raise ServeError("The workers end again and again; see above.")
                LINES.warning(
                    b"orchestrator: a worker ended unexpectedly; another one takes its place."
                )
                workers[at] = started()
    finally:
        _end([worker for worker, _ in workers])


def _end(workers: list[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + WORKER_SECONDS_MAX
    for worker in workers:
        worker.join(max(0, deadline - time.monotonic()))
        if worker.exitcode is None:
            worker.kill()
            worker.join()


def _raise_file_limit() -> None:
    """Each connection is an open file, and the usual soft limit of 1,024 is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
