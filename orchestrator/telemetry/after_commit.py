"""What happened, told once it is true: log lines and counts wait for their transaction's commit.

A service says what it did inside a transaction that may still be rolled back; an auditor who reads
the log must not be told of what never was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from orchestrator.telemetry import logs


class _Fact(NamedTuple):
    event: str
    fields: dict[str, Any]
    counts: tuple[Callable[[], None], ...]
    turn: int


#: The place of the request that is worked for among those that share the work.
_turn: ContextVar[int] = ContextVar("_turn", default=0)
_held: ContextVar[list[_Fact] | None] = ContextVar("_held", default=None)
_requests: ContextVar[Sequence[str | None]] = ContextVar("_requests", default=())


def tell(event: str, *counts: Callable[[], None], **fields: Any) -> None:
    """Log the event with its fields and count it: after the commit, or now outside of one."""
    fact = _Fact(event, fields, counts, _turn.get())
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
    turn_to(0)
    try:
        yield
    finally:
        _requests.reset(token)


def turn_to(turn: int) -> None:
    """What is told from here on is about this one of the requests that share the work."""
    _turn.set(turn)


def _tell(fact: _Fact) -> None:
    for count in fact.counts:
        count()
    requests = _requests.get()
    mine = requests[fact.turn] if requests else None
    logs.info(fact.event, fact.fields if mine is None else {**fact.fields, "correlation_id": mine})
