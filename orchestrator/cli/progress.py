"""A bar for what takes long, for somebody who looks at a terminal; it writes nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.cli.output import console, printable

#: Called with how many bytes are done, and of how many.
Show = Callable[[int, int | None], None]


@contextmanager
def progress(label: str) -> Iterator[Show]:
    """Shows bytes on standard error until the block ends; an unknown total only moves."""
    if not sys.stderr.isatty():
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
