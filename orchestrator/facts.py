"""What happened, told once it is true: log lines and counts wait for their transaction's commit.

A service says what it did inside a transaction that may still be rolled back; an auditor who reads
the log must not be told of what never was.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog

log = structlog.get_logger()

_Fact = tuple[str, dict[str, Any], tuple[Callable[[], None], ...]]
_held: ContextVar[list[_Fact] | None] = ContextVar("_held", default=None)


def tell(event: str, *counts: Callable[[], None], **fields: Any) -> None:
    """Log the event with its fields and count it: after the commit, or now outside of one."""
    fact = (event, fields, counts)
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


def _tell(fact: _Fact) -> None:
    event, fields, counts = fact
    for count in counts:
        count()
    log.info(event, **fields)
