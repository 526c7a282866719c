"""What the connections of a worker must do that the HTTP server below us has no option for."""

import asyncio
import multiprocessing
import os
import socket
import stat
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import structlog

from orchestrator.telemetry import metrics

log = structlog.get_logger()

#: The server below us listens as soon as the application has started.
LOOK_SECONDS = 0.02
LOOKS_MAX = 500
COUNT_SECONDS = 1.0
#: In `struct tcp_info` of Linux: milliseconds since something was sent.
_LAST_DATA_SENT = struct.Struct("=44xI")


@contextmanager
def connections_limited(*, send_seconds_max: float, per_peer_max: int) -> Iterator[None]:
    """Let no peer wait for ever, or have too many connections. Only in a worker, and on Linux.

    The server below us has no deadline for what it has yet to send. The kernel has one:
    connections take over the options of the socket that they were accepted from.
    """
    if multiprocessing.parent_process() is None or sys.platform != "linux":
        yield
        return
    limiting = asyncio.create_task(_limit(max(1, int(send_seconds_max * 1000)), per_peer_max))
    try:
        yield
    finally:
        limiting.cancel()


async def _limit(send_milliseconds: int, per_peer_max: int) -> None:
    port = 0
    for _ in range(LOOKS_MAX):
        await asyncio.sleep(LOOK_SECONDS)
        if port := _end_unread(send_milliseconds):
            break
    while port and per_peer_max:
        await asyncio.sleep(COUNT_SECONDS)
        with suppress(OSError):  # No file can be opened at this moment; there is a next one.
            ended = await asyncio.to_thread(_end_excess, port, per_peer_max)
            for peer, count in ended.items():
                metrics.CONNECTIONS_ENDED.inc(count)
                log.warning("ended connections", peer=peer, count=count)


def _end_unread(milliseconds: int) -> int:
    """The port on which this process accepts connections, once it does; else 0."""
    for each in _sockets():
        if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
            port: int = each.getsockname()[1]
            return port
    return 0


def _end_excess(port: int, per_peer_max: int) -> Counter[str]:
    """End connections of peers that have too many: first those to which nothing was sent for
    longest, so that one which has just been served stays. How many, by the peer's address.
    """
    ended: Counter[str] = Counter()
    if len(os.listdir("/proc/self/fd")) <= per_peer_max:  # noqa: PTH208 - that makes no objects.
        return ended
    counts = Counter(peer for each in _sockets() if (peer := _peer(each, port)))
    for peer, count in counts.items():
        if count <= per_peer_max:
            continue
        with ExitStack() as stack:
            theirs = [stack.enter_context(each) for each in _sockets() if _peer(each, port) == peer]
            theirs.sort(key=_milliseconds_since_sent, reverse=True)
            for each in theirs[: len(theirs) - per_peer_max]:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                    ended[peer] += 1
    return ended


def _sockets() -> Iterator[socket.socket]:
    """A second handle of each socket of this process that speaks over a network. It lives until
    nobody refers to it.
    """
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # It was closed meanwhile.
            if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                handle = _Handle(fileno=os.dup(int(entry.name)))
                if handle.family in {socket.AF_INET, socket.AF_INET6}:
                    yield handle


class _Handle(socket.socket):
    def __del__(self) -> None:
        self.close()


def _peer(handle: socket.socket, port: int) -> str:
    """The address of a client that is connected to our port."""
    try:
        return handle.getpeername()[0] if handle.getsockname()[1] == port else ""
    except OSError:
        return ""  # It has no peer any more, or it listens.


def _milliseconds_since_sent(handle: socket.socket) -> int:
    info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.size)
    found: int = _LAST_DATA_SENT.unpack(info)[0]
    return found
