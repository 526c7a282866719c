"""Ends a worker when its parent process is gone."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait

GRACE_SECONDS = 2.0


def exit_with_parent(loop: asyncio.AbstractEventLoop) -> None:
    """Watch the parent from now on. A process that has no parent of ours is left alone.

    It is a thread and no reader of the event loop, so that a worker whose loop is stuck ends too.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        # The orderly end first, so that responses that are being written may still arrive.
        loop.call_soon_threadsafe(signal.raise_signal, signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
