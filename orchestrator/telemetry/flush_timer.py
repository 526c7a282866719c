"""A timer for what is collected in memory and written a moment later, many pieces at once."""

import asyncio
from collections.abc import Callable


def _always() -> bool:
    return True


class FlushTimer:
    """Calls `flush` once, `seconds` after the first `start` since the last call.

    A timer belongs to the event loop that ran when it was started. One whose loop was closed never
    fires, so it counts as none, and the next `start` makes another. Without a loop, in a thread or
    a command, nothing would come back later: `start` flushes at once.
    """

    __slots__ = ("_flush", "_seconds", "is_due")

    def __init__(self, flush: Callable[[], None], seconds: float) -> None:
        self._flush = flush
        self._seconds = seconds
        #: Whether `start` has anything to do: a look at it costs less than the call.
        self.is_due: Callable[[], bool] = _always

    def start(self) -> None:
        """Flush soon; nothing changes if that is planned already."""
        if not self.is_due():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
            return
        loop.call_later(self._seconds, self._fire)
        self.is_due = loop.is_closed

    def _fire(self) -> None:
        self.is_due = _always
        self._flush()
