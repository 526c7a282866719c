"""Long work that a request needs; it is given up when the caller is gone."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from orchestrator.core.compute import Compute
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.documents.workflow_change import differences
from orchestrator.errors import CallerLeft, DomainError, Overloaded, TooComplex
from orchestrator.handlers.http.call import Call
from orchestrator.telemetry import metrics

T = TypeVar("T")

#: Most work is done before it is worth asking whether its caller is there.
UNWATCHED_SECONDS = 0.1
#: What is counted of its own; all else was done, also what found something to refuse.
OUTCOMES: dict[type[DomainError], str] = {
    TooComplex: "too-complex",
    Overloaded: "overloaded",
    CallerLeft: "left",
}


class Computing:
    """Each caller has its turn; the work of a connection that closes ends."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute

    async def run(self, call: Call, work: Callable[[], T], size_bytes: int) -> T:
        """What `work` gives, which reads so many bytes; the body of the request has been read."""
        if self._compute.is_short(size_bytes):
            return work()
        outcome = "done"
        try:
            with call.pausing():
                return await self._watched(call, work, size_bytes)
        except DomainError as error:
            outcome = OUTCOMES.get(type(error), outcome)
            raise
        finally:
            metrics.COMPUTATIONS.labels(outcome).inc()

    async def differences(
        self, call: Call, pairs: Sequence[tuple[bytes | None, bytes]]
    ) -> list[bytes | None]:
        """What is different between two versions of a workflow; None if there is no first one."""
        size = sum(size_of_reading(each) for pair in pairs for each in pair if each is not None)
        return await self.run(call, partial(differences, pairs), size)

    async def _watched(self, call: Call, work: Callable[[], T], size_bytes: int) -> T:
        caller = call.principal.name
        working = asyncio.ensure_future(self._compute.run(work, size_bytes, caller=caller))
        tasks: list[asyncio.Future[Any]] = [working]
        try:
            await asyncio.wait(tasks, timeout=UNWATCHED_SECONDS)
            if not working.done():
                leaving = asyncio.ensure_future(call.left())
                tasks.append(leaving)
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    leaving.result()
                    raise CallerLeft
            return working.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
