"""The application is plain ASGI: another server can serve it."""

import asyncio
import socket
from collections.abc import Callable

import httpx2
import pytest
import uvicorn

from orchestrator.handlers.http.edge import Edge
from tests.api import chain
from tests.conftest import TOKEN

pytestmark = pytest.mark.anyio


async def test_uvicorn_serves_it(make_app: Callable[..., Edge]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(make_app(), log_config=None, lifespan="on", loop="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([bound]))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/api/v1"
        headers = {"Authorization": f"Bearer {TOKEN}", "Host": "test"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
            while not server.started:  # noqa: ASYNC110 - nothing tells of it.
                await asyncio.sleep(0.01)
            body = {"tag": "main", "workflow": chain("a", "b")}
            made = await http.post("/workflows", json=body)
            found = await http.get("/workflows/main")
            blob = await http.get(f"/cas/{made.json()['cas_id']}")
            refused = await http.post("/workflows", content=b"{")
        assert [each.status_code for each in (made, found, blob, refused)] == [201, 200, 200, 415]
        assert found.json()["workflow"] == chain("a", "b")
        server.should_exit = True
        await serving
