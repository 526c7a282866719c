"""A proxy that breaks connections, and what passes through it."""

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on, and ends a connection when one side has sent what its turn allows.

    Each connection takes the next limit; when there are no more, nothing is ended.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.limits: list[tuple[int, int]] = []
        #: Changes what the server answers.
        self.altered: Callable[[bytes], bytes] = bytes
        self.sent = 0
        self.received = 0
        #: Where the requests that passed began to send.
        self.offsets: list[int] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self._server)
                up, down = self.limits.pop(0) if self.limits else (1 << 60, 1 << 60)
                for one, other, limit, is_up in (
                    (ours, theirs, up, True),
                    (theirs, ours, down, False),
                ):
                    work = threading.Thread(
                        target=self._pass, args=(one, other, limit, is_up), daemon=True
                    )
                    work.start()

    def _pass(self, one: socket.socket, other: socket.socket, limit: int, is_up: bool) -> None:
        with suppress(OSError):
            while limit > 0 and (data := one.recv(min(65_536, limit))):
                limit -= len(data)
                if not is_up:
                    self.received += len(data)
                else:
                    self.sent += len(data)
                    self.offsets += map(int, re.findall(rb"(?i)upload-offset: (\d+)", data))
                other.sendall(data if is_up else self.altered(data))
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
