"""Writes the log, so that one that nobody reads stops nothing: a thread does what would wait."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

#: How long the end of a process waits for what is not written yet.
DRAIN_SECONDS_MAX = 1.0


class Output(Protocol):
    """Where the log goes."""

    @property
    def piece_bytes_max(self) -> int:
        """How much of a piece is never torn apart by what others write."""

    def write_now(self, piece: bytes) -> int:
        """Write what is taken without waiting; BlockingIOError if nothing is."""

    def write(self, piece: bytes) -> None:
        """Write all of it, however long that takes."""


class LogWriter:
    """A queue of bounded size, and the thread that empties it, which the first piece starts that
    the output does not take at once. While nothing waits, there is nothing for the thread to do: to
    wake it costs a hundred times as much as to write.

    While the queue is full, what comes is dropped and counted. A line in its place says how many
    lines are missing there.
    """

    def __init__(
        self, output: Output, *, dropped_line: Callable[[int], bytes], bytes_max: int
    ) -> None:
        self.output = output
        self.bytes_max = bytes_max
        #: Lines that were never written, since the process began.
        self.dropped = 0
        self._dropped_line = dropped_line
        self.begin()

    def begin(self) -> None:
        """Start with nothing, as a process that was just forked must: it has no thread yet, and
        what waits is the parent's to write.
        """
        self._changed = threading.Condition(threading.Lock())
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._missing = 0
        self._is_running = False

    def put(self, piece: bytes, lines: int) -> None:
        """Write the piece after those before it. It is whole lines, so many."""
        with self._changed:
            if not self._bytes and not self._missing:
                piece = self._rest_of_write_now(piece, lines)
                if not piece:
                    return
            if self._bytes + len(piece) > self.bytes_max:
                self._missing += lines
                self.dropped += lines
            else:
                if self._missing:
                    self._append_missing()
                self._append(piece, lines)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="log", daemon=True).start()
            self._changed.notify_all()

    def drain(self, seconds: float = DRAIN_SECONDS_MAX) -> bool:
        """Wait until all is written. False: it takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._bytes and not self._missing, seconds)

    def _rest_of_write_now(self, piece: bytes, lines: int) -> bytes:
        try:
            return piece[self.output.write_now(piece) :]
        except BlockingIOError:
            return piece
        except OSError:  # Nobody can read it any more.
            self.dropped += lines
            return b""

    def _append(self, piece: bytes, lines: int) -> None:
        self._pieces.append((piece, lines))
        self._bytes += len(piece)

    def _append_missing(self) -> None:
        self._append(self._dropped_line(self._missing) + b"\n", 0)
        self._missing = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._missing)
                if not self._pieces:
                    self._append_missing()
                piece, lines = self._pieces.popleft()
            is_written = self._write_whole(piece)
            with self._changed:
                self._bytes -= len(piece)
                if not is_written:
                    self.dropped += lines
                if not self._bytes:
                    self._changed.notify_all()

    def _write_whole(self, piece: bytes) -> bool:
        try:
            self.output.write(piece)
        except OSError:  # Nobody can read it any more.
            return False
        return True
