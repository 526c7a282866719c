"""Patches of workflows over HTTP, for the tests of what comes of them."""

from typing import Any

from tests.api import Api

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


def timeout(milliseconds: int, node: int = 0) -> dict[str, Any]:
    return {"op": "add", "path": f"/nodes/{node}/timeout_ms", "value": milliseconds}


async def patch(api: Api, tag: str, document: Any, kind: str = JSON_PATCH, **options: Any) -> Any:
    headers = {"Content-Type": kind, **options.pop("headers", {})}
    return await api.http.patch(
        f"/api/v1/workflows/{tag}", json=document, headers=headers, **options
    )


async def patched(api: Api, tag: str, *operations: dict[str, Any], **options: Any) -> Any:
    response = await patch(api, tag, list(operations), **options)
    assert response.status_code == 200, response.text
    return response.json()


async def document(api: Api, tag: str, **query: Any) -> Any:
    return (await api.get(f"/workflows/{tag}", params=query)).json()["workflow"]
