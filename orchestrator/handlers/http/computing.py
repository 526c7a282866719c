"""Work that a request needs and that may be long: nobody waits for what its caller has left."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from orchestrator.core.compute import Compute
from orchestrator.errors import CallerLeft
from orchestrator.handlers.http.call import Call

T = TypeVar("T")


class Computing:
    """Each caller has its turn; the work of a connection that closes ends."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute

    async def run(self, call: Call, work: Callable[[], T], size_bytes: int) -> T:
        """What `work` gives, which reads so many bytes; the body of the request has been read."""
        if self._compute.is_short(size_bytes):
            return work()
        working = asyncio.ensure_future(
            self._compute.run(work, size_bytes, caller=call.principal.name)
        )
        leaving = asyncio.ensure_future(call.left())
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            leaving.result()
            raise CallerLeft
        finally:
            working.cancel()
            leaving.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)
