"""A disk that has lost a sector: the system cannot read one file, and reads all others."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def unreadable(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Let every read of this file fail as the system does (EIO)."""

    def failing(original: Callable[..., Any]) -> Callable[..., Any]:
        def read(file: int, *args: Any) -> Any:
            if Path(f"/proc/self/fd/{file}").readlink() == path:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return original(file, *args)

        return read

    for name in ("pread", "preadv"):
        patch.setattr(os, name, failing(getattr(os, name)))
