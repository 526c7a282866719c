"""A connection that was accepted and is not encrypted yet: it counts as all others do."""

import asyncio
import socket
import ssl
from contextlib import suppress

from orchestrator.server.acceptor import Acceptor
from orchestrator.server.connection import Connection
from orchestrator.server.peer import network_of


class Handshake(asyncio.Protocol):
    """Holds the place of a connection until it is encrypted."""

    is_serving = False

    def __init__(self, acceptor: Acceptor, accepted: socket.socket, address: str) -> None:
        self._acceptor = acceptor
        self._accepted = accepted
        self.peer = network_of(address)
        #: TLS keeps the time of all of the handshake.
        self.deadline: float | None = None
        self.idle_turn = acceptor.next_turn()

    async def run(self, tls: ssl.SSLContext) -> None:
        """Return when the connection is encrypted and goes on without this, or has ended."""
        acceptor = self._acceptor
        acceptor.add(self)
        try:
            with suppress(OSError):  # The client is gone or late, or it speaks no TLS.
                await acceptor.loop.connect_accepted_socket(
                    lambda: self,
                    self._accepted,
                    ssl=tls,
                    ssl_handshake_timeout=acceptor.limits.head_seconds_max,
                )
        finally:
            acceptor.remove(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is encrypted."""
        self._acceptor.remove(self)
        connection = Connection(self._acceptor)
        transport.set_protocol(connection)
        connection.connection_made(transport)

    def finish(self) -> None:
        """Nothing is being answered."""
        self.expire()

    def expire(self) -> None:
        """Let TLS read the end of the connection, at whatever step it is."""
        with suppress(OSError):  # Ended already.
            self._accepted.shutdown(socket.SHUT_RDWR)

    async def abort(self) -> None:
        """The application does not know of it."""
        self.expire()
