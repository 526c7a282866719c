"""The processes of an embedded PostgreSQL: how they start, and how each of them surely ends."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from orchestrator.embedded.account import Account

POLL_SECONDS = 0.005
ENDING = ((signal.SIGINT, 2.0), (signal.SIGQUIT, 1.0), (signal.SIGKILL, 2.0))

# The pid comes first. A second line means that PostgreSQL has ended; the end of the input without
# one means that we have: nothing but our death closes the pipe, whichever thread started this.
# (Linux's parent-death signal is sent when the *thread* that forked ends, and setuid clears it.)
WATCHER = 'read -r pid && [ "$pid" != ended ] && { read -r ended || kill -QUIT "$pid"; }'
# The new process tells the watcher its own pid before it becomes PostgreSQL, so that there is no
# moment in which it runs unwatched.
ANNOUNCED = 'echo $$ >&0; exec "$@" </dev/null'


class Watched(NamedTuple):
    """A running program, the process that ends it after our death, and the pipes to them."""

    program: subprocess.Popen[bytes]
    watcher: subprocess.Popen[bytes]
    lifeline: int
    said: int


def spawn_watched(command: list[str], folder: Path, account: Account | None) -> Watched:
    """Start the program. No other process may have the lifeline: its end tells of our death."""
    watched, lifeline = os.pipe()
    said, saying = os.pipe()
    try:
        watcher = subprocess.Popen(
            ["/bin/sh", "-c", WATCHER], stdin=watched, cwd="/", start_new_session=True
        )
        announced = ["/bin/sh", "-c", ANNOUNCED, "sh", *command]
        program = _popen(announced, folder, account, stdin=lifeline, stderr=saying)
    finally:
        os.close(watched)
        os.close(saying)
    return Watched(program, watcher, lifeline, said)


def release_watcher(watched: Watched) -> None:
    """End the watcher, so that it cannot signal a pid that is used by another process by then."""
    with suppress(BrokenPipeError):  # Somebody ended the watcher.
        os.write(watched.lifeline, b"ended\n")
    os.close(watched.lifeline)
    watched.watcher.wait()


def _popen(
    command: list[str], folder: Path, account: Account | None, *, stdin: int, stderr: int
) -> subprocess.Popen[bytes]:
    """Enter the folder, then drop our privileges. In a session of its own: Ctrl-C is for us."""
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
        umask=0o077,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def as_seen_by_child(folder: Path, account: Account | None) -> str:
    """How a child names the folder that it was started in.

    The unprivileged account often may not pass through the folders above ours, and we do not
    open them up. This link leads to the working folder without passing through them.
    """
    link = "/proc/self/cwd"
    return link if account and Path(link).exists() else str(folder)


def postmaster_file(data: Path) -> list[str]:
    """The lines of `postmaster.pid`; none when PostgreSQL ended in order."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def end_strays(data: Path, cluster_name: str) -> None:
    """End all processes of a cluster whose supervisor died. The caller has locked the folder."""
    for number, seconds in ENDING:
        deadline = time.monotonic() + seconds
        pids = _processes(cluster_name)
        postmaster = _postmaster_pid(data)
        for pid in [postmaster] if postmaster in pids else pids:
            _signal(pid, number)
        while _processes(cluster_name) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if not _processes(cluster_name):
            break
    if not _processes(cluster_name):
        _forget_dead_postmaster(data)


def _processes(cluster_name: str) -> list[int]:
    """By command line, which unlike the working folder is readable without further rights."""
    found: list[int] = []
    title = f"postgres: {cluster_name}:".encode()
    setting = f"cluster_name={cluster_name}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # Ended meanwhile.
        is_postmaster = arguments[0].endswith(b"/postgres") and setting in arguments
        if is_postmaster or arguments[0].startswith(title):
            found.append(int(entry.name))
    return found


def _postmaster_pid(data: Path) -> int:
    lines = postmaster_file(data)
    return int(lines[0]) if lines and lines[0].isdigit() else 0


def _forget_dead_postmaster(data: Path) -> None:
    """Remove the pid file of a postmaster that is dead although its pid is in use.

    Its pid may belong to another program by now, as in a new container, or to its own zombie that
    nobody has waited for yet. PostgreSQL would refuse to start. Where the pid is free, or is a
    PostgreSQL that somebody started by hand, its own checks are right and need the file.
    """
    try:
        name, _, rest = Path(f"/proc/{_postmaster_pid(data)}/stat").read_text().rpartition(")")
    except OSError:
        return
    is_zombie = rest.split()[0] in {"Z", "X"}
    if is_zombie or name.partition("(")[2] != "postgres":
        (data / "postmaster.pid").unlink(missing_ok=True)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
