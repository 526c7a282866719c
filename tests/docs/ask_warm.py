"""Stands for the command `orchestrator`: has it run by warm.py, with our own files."""

import json
import os
import socket
import struct
import sys
import time
from pathlib import Path

#: They have children and signals of their own, so they are processes of their own.
ALONE = {"serve", "migrate", "backup", "restore"}


def run() -> int:
    socket_path = Path(os.environ["DOCS_FOLDER"], "warm")
    asked = {"words": sys.argv, "folder": str(Path.cwd()), "environ": dict(os.environ)}
    body = json.dumps(asked).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        while True:
            try:
                connection.connect(str(socket_path))
                break
            except OSError:
                time.sleep(0.01)  # It is importing.
        connection.sendall(struct.pack("!I", len(body)))
        socket.send_fds(connection, [b"f"], [0, 1, 2])
        connection.sendall(body)
        answer = connection.recv(1)
    return answer[0] if answer else 1


if __name__ == "__main__":
    if sys.argv[1] in ALONE:
        from orchestrator.cli.main import main

        sys.exit(main())
    sys.exit(run())
