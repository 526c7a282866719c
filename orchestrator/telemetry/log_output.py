"""Standard error: writes that never wait where it can be asked for them, and writes that may."""

import os
import select
import socket
import stat
from collections.abc import Callable
from functools import cached_property

STDERR = 2
#: Up to here a write to a pipe is one piece, also when several workers write to it (POSIX).
PIPE_PIECE_BYTES_MAX = 4096
#: A write to a regular file always is.
FILE_PIECE_BYTES_MAX = 65_536


class LogOutput:
    """A descriptor that other programs write to as well: its own flags stay as they are.

    What it is, is looked at when the first line comes: a process that was forked may have got
    another standard error before.
    """

    def __init__(self, descriptor: int = STDERR) -> None:
        self._descriptor = descriptor

    @cached_property
    def piece_bytes_max(self) -> int:
        """How much of a piece is never torn apart by what others write."""
        is_file = stat.S_ISREG(_mode(self._descriptor))
        return FILE_PIECE_BYTES_MAX if is_file else PIPE_PIECE_BYTES_MAX

    @cached_property
    def _write_now(self) -> Callable[[bytes], int]:
        return _writer_that_never_waits(self._descriptor)

    def write_now(self, piece: bytes) -> int:
        """Write what is taken without waiting. Raises BlockingIOError if nothing is, or if nobody
        knows, as with a file, whose disk may hang.
        """
        return self._write_now(piece)

    def write(self, piece: bytes) -> None:
        """Write all of it, however long that takes."""
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:  # Another program made the terminal that we share so.
                select.select([], [self._descriptor], [])


def _mode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_mode
    except OSError:  # It is closed, and so each write fails.
        return 0


def _writer_that_never_waits(descriptor: int) -> Callable[[bytes], int]:
    """A second opening of the same pipe or terminal does not wait, and leaves the first as it is.

    To look first whether there is room, and to write then, is not enough: another process may take
    the room in between.
    """
    mode = _mode(descriptor)
    try:
        if stat.S_ISSOCK(mode):
            sender = socket.socket(fileno=os.dup(descriptor))
            return lambda piece: sender.send(piece, socket.MSG_DONTWAIT)
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            opened = os.open(f"/proc/self/fd/{descriptor}", flags)
            return lambda piece: os.write(opened, piece)
    except OSError:  # It belongs to another user, or there is no /proc.
        pass
    return _always_waits


def _always_waits(_: bytes) -> int:
    raise BlockingIOError
