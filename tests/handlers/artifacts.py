"""Blobs and artifacts that tests make over HTTP."""

from typing import Any

import httpx2

from tests.api import Api


async def upload(api: Api, content: bytes, media_type: str = "text/plain") -> str:
    headers = {"Content-Type": media_type}
    response = await api.http.post("/api/v1/cas", content=content, headers=headers)
    assert response.status_code in {200, 201}, response.text
    name: str = response.json()["cas_id"]
    return name


async def create(api: Api, status: int = 201, **members: Any) -> dict[str, Any]:
    response = await api.post("/artifacts", {"kind": "model", **members})
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    return body


def rules(response: httpx2.Response) -> list[tuple[str, str]]:
    return [(each["pointer"], each["rule"]) for each in response.json()["errors"]]
