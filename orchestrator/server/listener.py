"""What the connections of a worker must do that the HTTP server below us has no option for."""

import asyncio
import multiprocessing
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: The server below us listens as soon as the application has started.
LOOK_SECONDS = 0.02
LOOKS_MAX = 500


@contextmanager
def unread_connections_ended(seconds: float) -> Iterator[None]:
    """Let the kernel end each connection whose peer takes nothing for so long. Only in a worker.

    The server below us has no deadline for what it has yet to send. Connections have the options
    of the socket that they were accepted from, so it is enough to set them there.
    """
    if multiprocessing.parent_process() is None or sys.platform != "linux":
        yield
        return
    setting = asyncio.create_task(_set(socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000))))
    try:
        yield
    finally:
        setting.cancel()


async def _set(option: int, value: int) -> None:
    for _ in range(LOOKS_MAX):
        await asyncio.sleep(LOOK_SECONDS)
        if listening := list(_listening()):
            for each in listening:
                with each:
                    each.setsockopt(socket.IPPROTO_TCP, option, value)
            return


def _listening() -> Iterator[socket.socket]:
    """Second handles of the sockets on which this process accepts connections."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # It was closed meanwhile.
            if not stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                continue
            found = socket.socket(fileno=os.dup(int(entry.name)))
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield found
            else:
                found.close()
