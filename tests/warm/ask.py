"""Stands for the command `orchestrator`: has it run by a fork, with our own files and signals.

Standard library only, and little of it: this is what still starts for each command.
"""

import json
import os
import signal
import socket
import struct
import sys

#: The command line, as its console script runs it.
CODE = "import sys; from orchestrator.cli.main import main; sys.exit(main())"
#: The environment variable with the address of who forks.
ADDRESS_VARIABLE = "TEST_WARM"
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(address: str) -> int:
    """The exit code of the command."""
    asked = {
        "code": CODE,
        "executable": sys.executable,
        "words": sys.argv[1:],
        "environ": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes as long to import as all the rest.
        "is_leader": False,
    }
    body = json.dumps(asked).encode()
    with socket.socket(socket.AF_UNIX) as attendant:
        attendant.connect(address)
        attendant.sendall(struct.pack("!I", len(body)))
        socket.send_fds(attendant, [b"f"], [0, 1, 2])
        attendant.sendall(body)
        (pid,) = struct.unpack("!i", attendant.recv(4, socket.MSG_WAITALL))
        for each in FORWARDED:
            signal.signal(each, lambda number, _: os.kill(pid, number))
        (code,) = struct.unpack("!i", attendant.recv(4, socket.MSG_WAITALL))
    return int(code)


if __name__ == "__main__":
    code = main(os.environ[ADDRESS_VARIABLE])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
