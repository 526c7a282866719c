"""Long work of requests: done elsewhere with the same result, within limits, or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import httpx2
import pytest

from orchestrator.handlers.http.edge import Edge
from tests.api import API, Api, chain
from tests.conftest import TOKEN

MIB = 1024 * 1024
#: Half a second of a processor.
LONG = {**chain("a"), "z": [1e300] * 40_000}


def large() -> Any:
    """50 MiB of memory."""
    return {**chain("a"), "z": [{"a": {}} for _ in range(200_000)]}


@pytest.fixture
async def both(make_app: Callable[..., Edge]) -> AsyncIterator[dict[str, Api]]:
    """One that computes all at once, and one that computes all in other processes."""
    async with AsyncExitStack() as stack:
        yield {
            namespace: await stack.enter_async_context(
                Api.on(make_app(compute_bytes_min=least, namespace_default=namespace), TOKEN)
            )
            for namespace, least in (("at-once", 10**9), ("sent", 0))
        }


def create(tag: str, document: Any) -> tuple[str, str, Any]:
    return "POST", "/workflows", {"tag": tag, "workflow": document}


def everything() -> Iterator[tuple[str, str, Any]]:
    """Requests of every kind that computes, in order, good ones and bad ones."""
    yield create("a", chain("x", "y"))
    yield create("a", chain("x", "x"))
    yield create("a\0", chain("x"))
    yield create("b", chain("x", "y"))
    patch = [{"op": "add", "path": "/nodes/0/timeout_ms", "value": 5}]
    yield "PATCH", "/workflows/a", patch
    yield "PATCH", "/workflows/a", [{"op": "remove", "path": "/nodes/7"}]
    yield "PATCH", "/workflows/b", {"metadata": {"name": "é"}}
    yield "PATCH", "/workflows/b", {}
    yield "GET", "/workflows/a/diff?against=1", None
    yield "GET", "/workflows/a/diff?against=1&format=text", None
    merge = {"from": "b", "base": "b@1"}
    yield "POST", "/workflows/a/merge", {**merge, "dry_run": True}
    yield "POST", "/workflows/a/merge", merge
    yield "PATCH", "/workflows/a", [{"op": "replace", "path": "/nodes/1/type", "value": "p"}]
    yield "PATCH", "/workflows/b", [{"op": "replace", "path": "/nodes/1/type", "value": "q"}]
    yield "POST", "/workflows/a/merge", merge
    resolution = {"/nodes/y/type": {"value": "r"}}
    yield "POST", "/workflows/a/merge", {**merge, "resolutions": resolution}
    yield "POST", "/workflows/a/merge", {**merge, "resolutions": {"/none": "ours"}}
    yield "POST", "/workflows/a/cherry-pick", {"version": "b", "prefer": "theirs"}
    yield "POST", "/workflows/a/revert", {"seq": 1}
    steps: list[dict[str, Any]] = [
        {"op": "create_workflow", "tag": "c", "workflow": chain("z")},
        {"op": "create_workflow", "tag": "d", "workflow": chain("z"), "absent": True},
    ]
    yield "POST", "/transactions", {"operations": steps}
    yield "POST", "/transactions", {"operations": [steps[0], {**steps[0], "tag": "e\0"}]}
    yield "POST", "/transactions", {"operations": [{**steps[0], "workflow": {}}]}
    yield "POST", "/cas/missing", {"cas_ids": ["blake3:" + "0" * 64]}
    yield "POST", "/cas/missing", {"cas_ids": [7]}


async def test_what_is_computed_elsewhere_is_the_same(both: dict[str, Api]) -> None:
    for method, path, body in everything():
        content, type_ = json.dumps(body), "application/json"
        if method == "PATCH":
            kind = "json" if isinstance(body, list) else "merge"
            type_ = f"application/{kind}-patch+json"
        seen = [
            await api.http.request(
                method,
                API + path,
                content=None if body is None else content,
                headers={"Content-Type": type_},
            )
            for api in both.values()
        ]
        first, second = map(comparable, seen)
        assert first == second, (method, path)


def comparable(response: httpx2.Response) -> tuple[int, Any]:
    """Without the ids, times and places of the two runs."""
    if response.headers["content-type"].startswith("text/"):
        return response.status_code, response.text

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(each) for each in value]
        if not isinstance(value, dict):
            return value
        own = ("_id", "_ids", "_at", "namespace", "instance")
        return {k: without(v) for k, v in value.items() if not k.endswith(own) or k == "cas_id"}

    return response.status_code, without(response.json())


@contextmanager
def refused(response: httpx2.Response, status: int, slug: str) -> Iterator[dict[str, Any]]:
    assert response.status_code == status, response.text
    problem = response.json()
    assert problem["type"] == f"urn:orchestrator:problem:{slug}"
    yield problem


async def test_what_takes_too_long_or_too_much_memory_is_too_complex(
    make_app: Callable[..., Edge],
) -> None:
    for limit, value, document in (("seconds", 0.1, LONG), ("memory_bytes", 48 * MIB, large())):
        async with Api.on(make_app(**{f"compute_{limit}_max": value}), TOKEN) as api:
            response = await api.post("/workflows", {"tag": "large", "workflow": document})
            with refused(response, 422, "too-complex") as problem:
                assert problem[f"limit_{limit.removeprefix('memory_')}"] == value
            assert (await api.create("small", "a"))["tag"] == "small"
            counted = (await api.http.get("/metrics")).text
            assert 'orchestrator_computations_total{outcome="too-complex"} ' in counted


async def test_what_would_wait_in_too_long_a_queue_is_503(make_app: Callable[..., Edge]) -> None:
    app = make_app(compute_processes=1, compute_waiting_bytes_max=0)
    async with Api.on(app, TOKEN) as api:
        body = {"tag": "large", "workflow": LONG}
        answers = await asyncio.gather(*[api.post("/workflows", body) for _ in range(3)])
        assert sorted(each.status_code for each in answers) == [201, 503, 503]
        for each in answers:
            if each.status_code == 503:
                with refused(each, 503, "overloaded"):
                    assert each.headers["retry-after"]
