"""A client of the application under test, as thin as a test needs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import httpx2
from litestar import Litestar

from orchestrator.handlers.http.edge import Edge
from orchestrator.models.principal import Actor

API = "/api/v1"

#: Who does things in tests of services.
ANN, BOB = Actor("ann", None), Actor("bob", None)


class Api:
    """Requests with the token, below the API's prefix."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    @classmethod
    @asynccontextmanager
    async def on(cls, app: Edge, token: str) -> AsyncIterator["Api"]:
        """The application with its lifespan, without a socket."""
        inner = app.app
        assert isinstance(inner, Litestar)
        transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]  # Its scopes are typed otherwise.
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            inner.lifespan(),
            httpx2.AsyncClient(
                transport=transport, base_url="http://test", headers=headers, timeout=30
            ) as http,
        ):
            yield cls(http)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.http.get(API + path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.http.post(API + path, json=json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.http.put(API + path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> httpx2.Response:
        return await self.http.delete(API + path, **options)

    async def create(self, tag: str, *ids: str, **members: Any) -> dict[str, Any]:
        """Create a workflow that is a chain of these nodes."""
        response = await self.post("/workflows", {"tag": tag, "workflow": chain(*ids), **members})
        assert response.status_code == 201, response.text
        body: dict[str, Any] = response.json()
        return body


def chain(*ids: str) -> dict[str, Any]:
    """A workflow whose nodes follow each other."""
    return {
        "nodes": [{"id": each, "type": "task"} for each in ids],
        "edges": [{"from": one, "to": two} for one, two in pairwise(ids)],
    }


def path(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")
