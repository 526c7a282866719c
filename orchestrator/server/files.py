"""The data folder of a server: its lock, its admin token, where its address is published."""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from orchestrator.core.durable_file import write_private
from orchestrator.models.principal import TOKEN68
from orchestrator.server.error import ServeError

TOKEN_PREFIX = "orc_"  # noqa: S105 - so that scanners for leaked secrets know it.
LOCK_RETRY_SECONDS = (0.01, 0.02, 0.05, 0.1)


def lock_folder(folder: Path) -> TextIO:
    """Make the folder and lock it for this process until the returned file is closed.

    A folder that exists keeps its mode, as it may be any folder, even /tmp. The files that we put
    into it are private each.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ServeError(f"The data folder {folder} cannot be used: {error.strerror}.") from error
    lock = os.fdopen(descriptor, "r+")
    try:
        _lock(lock)
    except BlockingIOError:
        holder = lock.read().strip() or "?"
        lock.close()
        raise ServeError(
            f"Another server (process {holder}) uses the data folder {folder}: "
            "stop it, or choose another with --data-dir."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    # A forked worker would share the lock; it must end with this process alone.
    os.register_at_fork(after_in_child=lock.close)
    return lock


def _lock(lock: TextIO) -> None:
    """BlockingIOError if another process has it, and not only for a moment: a command that looks
    whether a server runs shares the lock for so long.
    """
    for seconds in LOCK_RETRY_SECONDS:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(seconds)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def was_left_by_a_crash(folder: Path) -> bool:
    """Whether the last server of the folder did not end in order."""
    return (folder / "server.json").exists()


def admin_token_sha256(folder: Path) -> str:
    """The digest of the token in `admin.token`, which is made when there is none."""
    path = folder / "admin.token"
    if not path.exists():
        write_private(path, TOKEN_PREFIX + secrets.token_urlsafe(32))
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        path.chmod(0o600)
        print(
            f"orchestrator: {path} was readable for others ({mode:o}); now it is private. "
            "Delete it and start again if somebody may have read it.",
            file=sys.stderr,
        )
    token = path.read_bytes().strip().decode("latin-1")
    if not token:
        raise ServeError(f"{path} is empty: delete it to get a new token.")
    if not TOKEN68.fullmatch(token):
        raise ServeError(
            f"{path} has no token: one is letters, digits and -._~+/, and perhaps = at its end."
        )
    return hashlib.sha256(token.encode()).hexdigest()


def fresh_folder(path: Path) -> Path:
    """An empty private folder, whatever an earlier server left there."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    return path


def publish(folder: Path, url: str) -> None:
    """Tell the command line our address. After a crash the file stays and names a dead process."""
    write_private(folder / "server.json", json.dumps({"url": url, "pid": os.getpid()}))


def unpublish(folder: Path) -> None:
    """Remove the address when the server ends in order."""
    (folder / "server.json").unlink(missing_ok=True)
