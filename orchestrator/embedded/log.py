"""A log file that never grows past a limit; its last lines stay in memory."""

import os
import threading
from collections import deque
from pathlib import Path

BYTES_MAX = 4 * 1024 * 1024
TAIL_LINES = 20


class BoundedLog:
    """Writes what it reads from a pipe into two files of at most `bytes_max` each."""

    def __init__(self, path: Path, bytes_max: int = BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def pump(self, pipe: int) -> None:
        """Read until the last writer has closed the pipe, which is when the cluster is gone."""
        while chunk := os.read(pipe, min(65_536, self._bytes_max)):
            self._write(chunk)
        os.close(pipe)

    def tail(self) -> list[str]:
        """The last lines, oldest first."""
        with self._lock:
            return list(self._tail)

    def _write(self, chunk: bytes) -> None:
        with self._lock:
            self._tail.extend(line for line in chunk.decode(errors="replace").splitlines() if line)
            try:
                if self._size() + len(chunk) > self._bytes_max:
                    self._path.replace(self._path.with_suffix(".log.1"))
                with open(self._path, "ab", opener=_private) as file:
                    file.write(chunk)
            except OSError:
                pass  # A full disk must not stop the reader: PostgreSQL would block on its pipe.

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
