"""What happened, told once it is true: log lines and counts wait for their transaction's commit.

A service says what it did inside a transaction that may still be rolled back; an auditor who reads
the log must not be told of what never was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from orchestrator import logs


class _Fact(NamedTuple):
    event: str
    fields: dict[str, Any]
    counts: tuple[Callable[[], None], ...]
    turn: int


_held: ContextVar[list[_Fact] | None] = ContextVar("_held", default=None)
_requests: ContextVar[Sequence[str | None]] = ContextVar("_requests", default=())


def tell(event: str, *counts: Callable[[], None], turn: int = 0, **fields: Any) -> None:
    """Log the event with its fields and count it: after the commit, or now outside of one.

    `turn` is the place of the request that the event is about among those that share the work.
    """
    fact = _Fact(event, fields, counts, turn)
    held = _held.get()
    if held is None:
        _tell(fact)
    else:
        held.append(fact)


@contextmanager
def held_until_commit() -> Iterator[None]:
    """Around a transaction: what is told inside is logged when the block ends, and forgotten when
    it raises.
    """
    facts: list[_Fact] = []
    token = _held.set(facts)
    try:
        yield
    finally:
        _held.reset(token)
    for fact in facts:
        _tell(fact)


@contextmanager
def shared_by(correlation_ids: Sequence[str | None]) -> Iterator[None]:
    """Around work that several requests share: each event carries the id of its own request."""
    token = _requests.set(correlation_ids)
    try:
        yield
    finally:
        _requests.reset(token)


def _tell(fact: _Fact) -> None:
    for count in fact.counts:
        count()
    requests = _requests.get()
    mine = requests[fact.turn] if requests else None
    logs.info(fact.event, fact.fields if mine is None else {**fact.fields, "correlation_id": mine})
