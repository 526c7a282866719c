"""The limit of what Python and PostgreSQL can do: one statement a request and nothing else.

No framework, no tokens, no log. It reads with the join that a lookup by tag needs, and commits rows
of 1 KiB. `python -m bench.limit_app --folder DIR --port PORT` has a PostgreSQL of its own.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import msgspec
from blake3 import blake3

from bench.material import blob, document
from bench.ours_api import TAGS
from orchestrator.core.identifier import new_id
from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.migration import upgrade
from orchestrator.server.address import load_application
from orchestrator.server.options import HTTPOptions
from orchestrator.server.stop import Stop
from orchestrator.server.workers import run_workers
from orchestrator.settings import Settings

URL = "BENCH_LIMIT_DATABASE_URL"
READERS = 8
SELECT = """
SELECT a.version_hash, b.content
  FROM tag t JOIN artifact a ON a.artifact_id = t.target_id
             JOIN cas_blob b ON b.cas_id = a.version_hash
 WHERE t.namespace = $1 AND t.name = $2
"""
INSERT = "INSERT INTO bench_row (content) VALUES ($1)"
SEED = """
WITH stored AS (
    INSERT INTO cas_blob (cas_id, size_bytes, media_type, content)
    VALUES ($1, length($2::bytea), 'application/json', $2)
), made AS (
    INSERT INTO artifact (artifact_id, namespace, kind, cas_id, version_hash, nodes_count,
                          edges_count, created_by)
    VALUES ($3, 'default', 'dag_version', $1, $1, 6, 5, 'bench')
), moved AS (
    INSERT INTO tag_move (namespace, name, seq, action, to_id, moved_by, moved_at)
    VALUES ('default', $4, 1, 'create', $3, 'bench', now())
)
INSERT INTO tag (namespace, name, target_id, version, cursor, action, moved_by, moved_at)
VALUES ('default', $4, $3, 1, 1, 'create', 'bench', now())
"""
Send = Callable[[dict[str, Any]], Awaitable[None]]


class App:
    """Connections are held and statements prepared once; a request waits for the first free."""

    def __init__(self) -> None:
        self._free: list[Any] = []
        self._waiting: list[asyncio.Future[Any]] = []
        self._writers: list[tuple[Any, Any]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"] == "/commit":
            given = parse_qs(scope["query_string"].decode())
            result = await self._commit(int(given["connections"][0]), float(given["seconds"][0]))
            await _answer(send, msgspec.json.encode(result), [])
        else:
            await self._select(scope["path"][1:], send)

    async def _lifespan(self, receive: Any, send: Send) -> None:
        await receive()
        for _ in range(READERS):
            connection = await asyncpg.connect(os.environ[URL])
            self._free.append(await connection.prepare(SELECT))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _select(self, name: str, send: Send) -> None:
        if self._free:
            statement = self._free.pop()
        else:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            statement = await waiter
        try:
            row = await statement.fetchrow("default", name)
        finally:
            if self._waiting:
                self._waiting.pop(0).set_result(statement)
            else:
                self._free.append(statement)
        tag = b'"blake3:' + row[0][1:].hex().encode() + b'"'
        await _answer(send, row[1], [(b"etag", tag)])

    async def _commit(self, connections: int, seconds: float) -> list[float]:
        """One row in each transaction; how long each took."""
        while len(self._writers) < connections:
            connection = await asyncpg.connect(os.environ[URL])
            self._writers.append((connection, await connection.prepare(INSERT)))
        content = blob("row", 1024)
        took: list[float] = []
        deadline = time.perf_counter() + seconds

        async def write(statement: Any) -> None:
            started = time.perf_counter()
            while started < deadline:
                await statement.fetch(content)
                ended = time.perf_counter()
                took.append(ended - started)
                started = ended

        await asyncio.gather(*(write(it) for _, it in self._writers[:connections]))
        return took


async def _answer(send: Send, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", b"%d" % len(body))
    start = {"type": "http.response.start", "status": 200, "headers": [length, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def create_app() -> App:
    return App()


async def _seed(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE bench_row (id bigserial PRIMARY KEY, content bytea)")
    rows = []
    for number in range(TAGS):
        content = document(f"lookup-{number}")
        cas_id = b"\x01" + blake3(content).digest()
        rows.append((cas_id, content, new_id(), f"lookup-{number}"))
    await connection.executemany(SEED, rows)
    await connection.execute("ANALYZE")
    await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    postgres = EmbeddedPostgres(given.folder / "postgres")
    url = postgres.start()
    try:
        upgrade(url)
        asyncio.run(_seed(url))
        os.environ[URL] = url
        # The same server with the same options as ours.
        options = HTTPOptions(
            target="bench.limit_app:create_app",
            address="127.0.0.1",
            port=given.port,
            workers=1,
            tls_certificate=None,
            tls_key=None,
        )
        postgres.register_at_fork()
        load_application(options.target)
        settings = Settings(database_url=url, admin_token_sha256="", blob_store="")
        run_workers(options, settings, Stop())
    finally:
        postgres.stop()


if __name__ == "__main__":
    main()
