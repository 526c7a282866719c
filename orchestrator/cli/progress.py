"""A bar for what takes long, on a terminal only; nothing is written elsewhere."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.cli.output import console, printable

#: Called with how many bytes are done, and of how many.
Show = Callable[[int, int | None], None]


def is_wanted(*, quiet: bool) -> bool:
    """Whether somebody looks at standard error, and wants to see more than results."""
    return sys.stderr.isatty() and not quiet


@contextmanager
def progress(label: str, *, quiet: bool) -> Iterator[Show]:
    """Show bytes on standard error until the block ends; without a total the bar only moves."""
    if not is_wanted(quiet=quiet):
        yield lambda _done, _total: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(sys.stderr), transient=True) as bars:
        bar = bars.add_task(printable(label), total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def together(show: Show, total: int) -> Callable[[], Show]:
    """Makes for each of several things that go on at once what shows its part of the one bar."""
    lock, done_in_all = threading.Lock(), 0

    def part() -> Show:
        done_before = 0

        def advance(done: int, _total: int | None) -> None:
            nonlocal done_in_all, done_before
            with lock:
                done_in_all += done - done_before
                done_before = done
                show(done_in_all, total)

        return advance

    return part
