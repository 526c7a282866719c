"""Runs commands of `orchestrator` in forks of a process that has imported everything already.

A page has dozens of them, and each would spend half a second on imports.
"""

import json
import os
import signal
import socket
import struct
import sys
import threading

from orchestrator.cli.main import main


def _serve_one(connection: socket.socket) -> None:
    """Become the process that the caller is: its words, folder, environment and files."""
    size = struct.unpack("!I", connection.recv(4, socket.MSG_WAITALL))[0]
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    asked = json.loads(connection.recv(size, socket.MSG_WAITALL))
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    sys.argv = asked["words"]
    code = 1
    try:
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(bytes([code]))
        os._exit(code)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        threading.Thread(target=_end_with_parent, daemon=True).start()
        while True:
            connection, _ = listener.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _serve_one(connection)
            connection.close()
