"""Forks processes from one that has imported the product: `program.py DESCRIPTOR` of a listener.

Most of what a start costs are imports. What is forked here is like `python -c CODE WORD…` in all
else: its files, folder, environment and signals are its own. For each there is an attendant, which
tells who asked its pid and, when it has ended, its exit code.
"""

import gc
import importlib
import io
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import coverage

AHEAD = (
    "orchestrator.app",
    "orchestrator.backup.make",
    "orchestrator.backup.restore",
    "orchestrator.cli.main",
    "orchestrator.server.migrate",
    "orchestrator.server.parent",
    "orchestrator.server.worker",
)
#: What a Python that measures itself at once finds in its environment.
MEASURING = "COVERAGE_PROCESS_CONFIG"


def forked(listener: socket.socket) -> str:
    """The code that this process is to run: it is a fork. The first one never returns."""
    signal.signal(signal.SIGCHLD, _bury)
    while True:
        connection, _ = listener.accept()
        with connection:
            if not os.fork():
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return _attend(connection)


def _bury(*_: object) -> None:
    """Wait for the attendants that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _attend(connection: socket.socket) -> str:
    """Return in the process that was asked for; its attendant ends here."""
    size = struct.unpack("!I", connection.recv(4, socket.MSG_WAITALL))[0]
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    asked = json.loads(connection.recv(size, socket.MSG_WAITALL))
    pid = os.fork()
    if not pid:
        connection.close()
        _become(asked, files)
        return str(asked["code"])
    for file in files:
        os.close(file)
    connection.sendall(struct.pack("!i", pid))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.sendall(struct.pack("!i", code))
    os._exit(0)


def _become(asked: dict[str, Any], files: Sequence[int]) -> None:
    """Take everything over that a process has from who starts it."""
    if asked["is_leader"]:
        os.setsid()
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    sys.executable = asked["executable"]
    sys.argv = ["-c", *asked["words"]]
    sys.path[0] = ""
    sys.stdin = _stream(0, "r")
    sys.stdout = _stream(1, "w")
    sys.stderr = _stream(2, "w", errors="backslashreplace")
    if MEASURING in os.environ:
        coverage.process_startup()


def _stream(file: int, mode: str, errors: str = "surrogateescape") -> io.TextIOWrapper:
    is_by_line = file == 2 or os.isatty(file)
    raw = os.fdopen(file, f"{mode}b", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=is_by_line)


if __name__ == "__main__":
    for _name in AHEAD:
        importlib.import_module(_name)
    gc.collect()
    gc.freeze()
    _code = forked(socket.socket(fileno=int(sys.argv[1])))
    exec(compile(_code, "<string>", "exec"), {"__name__": "__main__"})
