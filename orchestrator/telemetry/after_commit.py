"""Log lines and counts that wait until the transaction of their event is committed.

A service reports an event inside a transaction that may still be rolled back. The log must not
report what never took place.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from orchestrator.core.database import Connection
from orchestrator.models.principal import Actor
from orchestrator.telemetry import logs


def tell(
    conn: Connection | None,
    event: str,
    *counts: Callable[[], None],
    by: Actor | None,
    **fields: Any,
) -> None:
    """Log the event and count it: after the commit of the connection's transaction, or now if it
    is in none, or if there is nothing to commit.

    The line carries the id of the request that `by` acts in, whichever request's task the commit
    runs in. None is for what no caller is named for: the line gets the id of the task, if any.
    """
    if by is not None:
        fields["correlation_id"] = by.correlation_id
    if conn is None:
        _tell(event, fields, counts)
    else:
        conn.after_commit(partial(_tell, event, fields, counts))


def _tell(event: str, fields: dict[str, Any], counts: tuple[Callable[[], None], ...]) -> None:
    for count in counts:
        count()
    logs.info(event, fields)
