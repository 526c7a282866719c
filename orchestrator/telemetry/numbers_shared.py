"""How the processes of one server see each other's numbers: through a file of each in a folder."""

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import msgspec

from orchestrator.telemetry.numbers import Row, added_up

_DECODER = msgspec.json.Decoder(list[Row])
_ENCODER = msgspec.json.Encoder()


class SharedNumbers:
    """The numbers of this process for the others, and theirs for this one.

    A process claims the lowest place that no other one has, and goes on from what the last one in
    this place had counted. So there are never more files than there were processes at one moment,
    and the sum of all places never shrinks when a process ends and another begins. What a process
    counted since its last write is lost if it is killed; nobody has seen that yet.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock, place = _claim(folder)
        self._path = folder / f"{place}.json"
        self._before = _read(self._path)

    def close(self) -> None:
        """Leave the place, with its numbers, to the next process."""
        self._lock.close()

    def write(self, rows: Iterable[Row]) -> None:
        """Let the others see what this process has counted."""
        total = added_up([*self._before, *rows])
        encoded = _ENCODER.encode([Row(*series, numbers) for series, numbers in total.items()])
        writing = self._path.with_suffix(".writing")
        # A full disk must not stop what is counted: the next write brings it all.
        with suppress(OSError):
            writing.write_bytes(encoded)
            writing.rename(self._path)  # Readers see the old file or the new one.

    def others(self) -> Iterator[Row]:
        """What all others have counted, and those before us in our place."""
        yield from self._before
        for path in self._folder.glob("*.json"):
            if path != self._path:
                yield from _read(path)


def _claim(folder: Path) -> tuple[TextIO, int]:
    """The operating system ends the claim with the process, however that ends."""
    for place in itertools.count():
        descriptor = os.open(folder / f"{place}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        lock = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock, place
    raise AssertionError


def _read(path: Path) -> list[Row]:
    try:
        return _DECODER.decode(path.read_bytes())
    except FileNotFoundError:
        return []
