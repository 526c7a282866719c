"""Measures a long chain of patches on a large workflow; it starts its own server and cleans up.

Run it with `.venv/bin/python bench/versions.py [WORKFLOW.json] [PATCHES]`. WfFormat files are
converted as `orchestrator workflow import` does; without a file a workflow of that size is made.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

import asyncpg
import httpx2

from orchestrator.app import create_app
from orchestrator.cli.wfformat import is_wfformat, workflow_from_wfformat
from orchestrator.embedded.cluster import EmbeddedPostgres
from orchestrator.migration import upgrade
from orchestrator.settings import Settings

TOKEN = "bench"
LOOKUPS = 200


def workflow_of(path: str | None) -> dict[str, Any]:
    if path is None:
        nodes = [
            {"id": f"node-{n}", "type": "task", "config": {"command": "x" * 300, "n": n}}
            for n in range(1_500)
        ]
        edges = [{"from": f"node-{n}", "to": f"node-{n + 1}"} for n in range(1_499)]
        return {"nodes": nodes, "edges": edges}
    document = json.loads(Path(path).read_text())
    return workflow_from_wfformat(document) if is_wfformat(document) else document


@asynccontextmanager
async def server() -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """The application in this process on an embedded PostgreSQL that syncs to disk."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        url = postgres.start()
        try:
            await asyncio.to_thread(upgrade, url)
            digest = sha256(TOKEN.encode()).hexdigest()
            settings = Settings(
                database_url=url,
                blob_store=(Path(folder) / "blobs").as_uri(),
                admin_token_sha256=digest,
                allowed_hosts=(),
                access_log=False,
                log_level="error",
            )
            app = create_app(settings)
            inner: Any = app.app
            transport = httpx2.ASGITransport(app=cast("Any", app))
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with (
                inner.lifespan(),
                httpx2.AsyncClient(
                    transport=transport, base_url="http://bench/api/v1", headers=headers
                ) as http,
            ):
                yield http, url
        finally:
            postgres.stop()


async def timed(request: Any) -> float:
    started = time.perf_counter()
    response = await request
    assert response.status_code < 300, response.text
    return (time.perf_counter() - started) * 1_000


def summary(name: str, values: list[float]) -> str:
    cuts = quantiles(values, n=100)
    return f"{name:<34} p50 {median(values):8.2f} ms   p95 {cuts[94]:8.2f} ms"


async def stored_bytes(url: str) -> tuple[int, int]:
    connection = await asyncpg.connect(url)
    try:
        content = await connection.fetchval("SELECT sum(size_bytes) FROM cas_blob")
        whole = await connection.fetchval("SELECT pg_database_size(current_database())")
        return int(content), int(whole)
    finally:
        await connection.close()


async def main(path: str | None, patches: int) -> None:
    async with server() as (http, url):
        workflow = workflow_of(path)
        created = await http.post("/workflows", json={"tag": "main", "workflow": workflow})
        assert created.status_code == 201, created.text
        size = len((await http.get(f"/cas/{created.json()['cas_id']}")).content)
        print(f"{len(workflow['nodes'])} nodes, canonical document of {size} bytes")

        async def lookups() -> list[float]:
            return [await timed(http.get("/workflows/main")) for _ in range(LOOKUPS)]

        print(summary("lookup by tag at depth 0", await lookups()))
        durations: list[float] = []
        headers = {"Content-Type": "application/json-patch+json"}
        for number in range(patches):
            node = number % len(workflow["nodes"])
            operation = {"op": "add", "path": f"/nodes/{node}/timeout_ms", "value": number}
            request = http.patch("/workflows/main", json=[operation], headers=headers)
            durations.append(await timed(request))
            if number == 0:
                print(summary("lookup by tag at depth 1", await lookups()))
        print(summary("patch, the first 100", durations[:100]))
        print(summary("patch, the last 100", durations[-100:]))
        print(summary(f"patch, all {patches}", durations))
        print(summary(f"lookup by tag at depth {patches}", await lookups()))
        middle = [
            await timed(http.get(f"/workflows/main/versions/{patches // 2}")) for _ in range(50)
        ]
        print(summary("version in the middle", middle))
        content, whole = await stored_bytes(url)
        print(f"blobs {content / 1e6:.1f} MB, database {whole / 1e6:.1f} MB")


if __name__ == "__main__":
    given, count = (*sys.argv[1:], None, None)[:2]
    asyncio.run(main(given, int(count or 1_000)))
