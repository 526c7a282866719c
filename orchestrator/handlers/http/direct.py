"""For handlers that are asked by either way."""

from orchestrator.handlers.http.reading import Asked

__all__ = ["Asked"]
