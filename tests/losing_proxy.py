"""Stands before PostgreSQL and loses the answer to a commit, as a network does that fails then."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit, urlunsplit

#: A statement that changes rows, and so commits if it stands alone.
WRITES = re.compile(rb"\b(INSERT\s+INTO|DELETE\s+FROM|SET)\b")
TERMINATED = b"\0"
NOTICED_SECONDS = 0.02
_FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"
#: What PostgreSQL says on an idle connection before it closes it.
ENDING = b"E" + (4 + len(_FIELDS)).to_bytes(4) + _FIELDS
LOST = (OSError, asyncio.IncompleteReadError)


class LosingProxy:
    """Passes everything on. Once it is armed, it swallows the answer to the next commit, which has
    taken place then, and closes the connection.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._links: set[_Link] = set()
        self._port = 0
        self.is_armed = False
        #: How many of the next statements are answered with the end of their connection.
        self.cuts = 0
        #: While it is not set, nothing is answered, and no connection ends.
        self.thawed = asyncio.Event()
        self.thawed.set()
        #: What was asked for each answer that was lost.
        self.lost: list[bytes] = []

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator["LosingProxy"]:
        """One that listens; it ends with the block."""
        proxy = cls(url)
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy._port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.thawed.set()
            await proxy.cut()

    @property
    def url(self) -> str:
        """The database, through here."""
        parts = urlsplit(self._url)
        user, _, _ = parts.netloc.rpartition("@")
        netloc = f"{user}@127.0.0.1:{self._port}"
        return urlunsplit((parts.scheme, netloc, parts.path, "sslmode=disable", ""))

    async def announce_end(self) -> None:
        """Tell all connections that they end, unasked, as a server does that shuts down, and let
        that be noticed. The end itself comes later, or not at all.
        """
        for link in self._links:
            link.tell(ENDING)
        await asyncio.sleep(NOTICED_SECONDS)

    async def cut(self) -> None:
        """Close all connections, as a server that is restarted does, and let that be noticed."""
        for link in self._links:
            link.close()
        await asyncio.gather(*(link.ended.wait() for link in self._links))
        await asyncio.sleep(NOTICED_SECONDS)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._url)
        query = parse_qs(parts.query)
        (host,), (port,) = query.get("host", [parts.hostname]), query.get("port", [parts.port])
        if host is not None and host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port or 5432}")
        return await asyncio.open_connection(host, int(port or 5432))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await self._connect()
        link = _Link(self, writer, questions)
        self._links.add(link)
        passing = [link.pass_questions(reader), link.pass_answers(answers)]
        tasks = [asyncio.ensure_future(each) for each in passing]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        link.close()
        for each in tasks:
            each.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        link.ended.set()
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, LOST):
                raise error


class _Link:
    """One connection."""

    def __init__(
        self, proxy: LosingProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._statements: dict[bytes, bytes] = {}
        self._bound = b""
        self._is_in_transaction = False
        self._loses = False
        self.ended = asyncio.Event()

    def close(self) -> None:
        self._client.close()
        self._server.close()

    def tell(self, message: bytes) -> None:
        self._client.write(message)

    async def pass_questions(self, reader: asyncio.StreamReader) -> None:
        header = await reader.readexactly(4)
        self._server.write(header + await reader.readexactly(int.from_bytes(header) - 4))
        while True:
            header = await reader.readexactly(5)
            payload = await reader.readexactly(int.from_bytes(header[1:]) - 4)
            if self._proxy.cuts and header[:1] in {b"Q", b"E"}:
                self._proxy.cuts -= 1
                self.close()
                return
            if (committing := self._committing(header[:1], payload)) and self._proxy.is_armed:
                self._proxy.is_armed = False
                self._proxy.lost.append(committing)
                self._loses = True
            self._server.write(header + payload)

    def _committing(self, kind: bytes, payload: bytes) -> bytes:
        """The statement, if this message commits something."""
        match kind:
            case b"Q":
                word = payload.split(maxsplit=1)[0].rstrip(b";\0")
                if word in {b"BEGIN", b"COMMIT", b"ROLLBACK"}:
                    self._is_in_transaction = word == b"BEGIN"
                return payload if word == b"COMMIT" else b""
            case b"P":
                name, statement, _ = payload.split(TERMINATED, 2)
                self._statements[name] = statement
            case b"B":
                self._bound = self._statements[payload.split(TERMINATED, 2)[1]]
            case b"E":
                if not self._is_in_transaction and WRITES.search(self._bound):
                    return self._bound
        return b""

    async def pass_answers(self, reader: asyncio.StreamReader) -> None:
        while True:
            header = await reader.readexactly(5)
            payload = await reader.readexactly(int.from_bytes(header[1:]) - 4)
            await self._proxy.thawed.wait()
            if not self._loses:
                self._client.write(header + payload)
            elif header[:1] == b"Z":  # All of it was done.
                self.close()
