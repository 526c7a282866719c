"""What passes between a process that computes and the one that it computes for; it runs nothing."""

import socket
from typing import IO, Any, NamedTuple, cast

#: A longer read or write is a system call of its own.
BUFFER_BYTES = 128 * 1024


class Outcome(NamedTuple):
    """What came of a call: a value, or what was raised."""

    value: Any = None
    error: Exception | None = None
    #: The call needed more memory than the process may have.
    outgrew: bool = False
    #: The process ends now.
    is_last: bool = False


def files_of(connection: socket.socket) -> tuple[IO[bytes], IO[bytes]]:
    """To read from the other end, and to write to it."""
    reader = connection.makefile("rb", BUFFER_BYTES)
    return cast("IO[bytes]", reader), cast("IO[bytes]", connection.makefile("wb", BUFFER_BYTES))
