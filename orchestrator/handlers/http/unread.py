"""What the server tells the application of a request that it could not read."""

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import DomainError

#: The extension of a scope that has the reason. Such a request is to be refused with it.
UNREAD = "orchestrator.unread"


def reason_unread(scope: Mapping[str, Any]) -> DomainError | None:
    """Why the request was not read."""
    extensions: Mapping[str, Any] | None = scope.get("extensions")
    return extensions.get(UNREAD) if extensions else None
