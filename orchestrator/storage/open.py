"""Finds the implementation of storage that a URL names; nothing is read or written."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.core.threads import Threads
from orchestrator.storage.base import Storage
from orchestrator.storage.filesystem import FilesystemStorage


def open_storage(url: str, threads: Threads) -> Storage:
    """Raise ValueError for a URL that names no storage that we know."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FilesystemStorage(Path(unquote(parts.path)), threads)
    from orchestrator.storage.objects import open_objects  # noqa: PLC0415 - loads a large library.

    return open_objects(url)
