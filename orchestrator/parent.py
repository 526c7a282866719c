"""A worker's bond to the process that started it; nothing of what either does."""

import asyncio
import multiprocessing
import os


def exit_with_parent(loop: asyncio.AbstractEventLoop) -> None:
    """End this worker as soon as its parent is gone, however it went; without one do nothing.

    What was acknowledged is committed, so there is nothing to finish.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        loop.add_reader(parent.sentinel, os._exit, 1)
