"""Ends a worker when the process that made it is gone; does nothing while that lives."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait

GRACE_SECONDS = 2.0


def exit_with_parent(loop: asyncio.AbstractEventLoop) -> None:
    """Call once when the worker starts; does nothing in a process that nobody supervises.

    A thread and not a reader of the loop, so that a loop that is stuck ends as well.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        # The orderly end first: responses that are being written may still arrive.
        loop.call_soon_threadsafe(signal.raise_signal, signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
