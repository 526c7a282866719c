"""Backups and restores that end at one step as if they were killed.

A process that has loaded everything and forks for each line of its input: loading takes longer than
a backup does.
"""

import asyncio
import functools
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.backup.make import BackupOptions, back_up
from orchestrator.backup.restore import RestoreOptions, restore
from orchestrator.settings import Settings


def die() -> None:
    """Nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def patch(step: str, *, persisted: bool) -> None:
    """Die when the method is called for the first time, or when that call has returned."""
    place, _, name = step.partition(":")
    owner: Any = importlib.import_module(place)
    *outer, method = name.split(".")
    for each in outer:
        owner = getattr(owner, each)
    original = getattr(owner, method)

    @functools.wraps(original)
    def dying(*given: Any, **options: Any) -> Any:
        if not persisted:
            die()
        result = original(*given, **options)
        if asyncio.iscoroutine(result):
            return finished(result)
        die()
        return None

    async def finished(result: Any) -> None:
        await result
        die()

    setattr(owner, method, dying)


def run(what: str, folder: str, settings: str, step: str, when: str) -> None:
    """Ends by SIGKILL, or returns if the step is never taken."""
    patch(step, persisted=when == "after")
    given = msgspec.json.decode(settings, type=Settings)
    if what == "backup":
        asyncio.run(back_up(Path(folder), given, BackupOptions(), lambda *_: None))
    else:
        restore(Path(folder), given, RestoreOptions(), lambda *_: None)


def main() -> None:
    """Each line is what `run` takes; the answer is how it ended."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run(*msgspec.json.decode(line, type=list[str]))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
