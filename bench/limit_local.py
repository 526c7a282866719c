"""The limits of this machine: how fast it hashes, and how fast it writes and syncs."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from bench.material import MEGABYTES, blob, large
from bench.task import Calls, Task

BLOCK_BYTES = 4096
NAMES = ("disk", "fdatasync", "blake3", "blake3-threads")


def task(contender: str, folder: Path) -> Task:
    """One of NAMES. The files are on the disk that the programs have their data on."""
    folder.mkdir(exist_ok=True)
    if contender == "disk":
        return Calls(_writing(folder), megabytes=MEGABYTES)
    if contender == "fdatasync":
        return Calls(_syncing(folder))
    threads = 1 if contender == "blake3" else blake3.AUTO
    content = large("hashed")

    def call() -> float:
        started = time.perf_counter()
        blake3(content, max_threads=threads).digest()
        return time.perf_counter() - started

    return Calls(call, megabytes=MEGABYTES)


def _writing(folder: Path) -> Callable[[], float]:
    content = large("written")
    path = folder / "written"

    def call() -> float:
        started = time.perf_counter()
        with path.open("wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
        took = time.perf_counter() - started
        path.unlink()
        return took

    return call


def _syncing(folder: Path) -> Callable[[], float]:
    """Appends, as the log of a database does."""
    file = os.open(folder / "synced", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    content = blob("block", BLOCK_BYTES)

    def call() -> float:
        started = time.perf_counter()
        os.write(file, content)
        os.fdatasync(file)
        return time.perf_counter() - started

    return call
