"""The same requests to an application with a fast path, and to one without."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from blake3 import blake3

from orchestrator.handlers.http.edge import Edge
from orchestrator.handlers.http.fast_path import FastPath, FoundRoute
from tests.api import API, Api
from tests.conftest import TOKEN

BLOB = b"some bytes"
MEDIA_TYPE = "application/x-bytes"
INLINE_BYTES_MAX = 2_000
LARGE = blake3(b"large").digest(INLINE_BYTES_MAX + 1)


def name(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


def without_fast_path(app: Edge) -> Edge:
    """Every request is served by the framework."""
    app.fast_path = FastPath([])
    return app


class CountedFastPath(FastPath):
    """Tells which requests it takes."""

    def __init__(self, real: FastPath) -> None:
        super().__init__(real.routes, real.exact)
        self.taken: list[str] = []

    def find(self, scope: Any) -> FoundRoute | None:
        found = super().find(scope)
        if found is not None:
            self.taken.append(found.route.path)
        return found


@dataclass
class Pair:
    """The same requests, one after the other: to an application with a fast path, and to one
    without; each in a namespace of its own, so that what they change is the same too.
    """

    ways: dict[str, Api]
    fast_path: CountedFastPath

    async def ask(self, method: str, where: str, **options: Any) -> tuple[Any, Any]:
        headers = options.pop("headers", None)
        answers = []
        for namespace, api in self.ways.items():
            url = where.replace("NAMESPACE", namespace)
            given = options.copy()
            if callable(given.get("content")):
                given["content"] = given["content"]()
            answers.append(await api.http.request(method, url, headers=headers, **given))
        return answers[0], answers[1]


LIMITS = {
    "json_body_bytes_max": 4_000,
    "workflow_bytes_max": 3_000,
    "blob_bytes_max": 10_000,
    "blob_inline_bytes_max": INLINE_BYTES_MAX,
}


@asynccontextmanager
async def pair_of(make_app: Callable[..., Edge]) -> AsyncIterator[Pair]:
    """Both with some workflows and blobs."""
    suffix = uuid4().hex[:8]
    short, long = f"short-{suffix}", f"longs-{suffix}"
    made = make_app(**LIMITS, namespace_default=short)
    made.fast_path = counted = CountedFastPath(made.fast_path)
    other = without_fast_path(make_app(**LIMITS, namespace_default=long))
    async with Api.on(made, TOKEN) as one, Api.on(other, TOKEN) as two:
        pair = Pair({short: one, long: two}, counted)
        for api in pair.ways.values():
            await api.create("main", "a")
            await api.create("main", "a", "b")
            await api.create("with/slash", "s")
            await api.create("other", "o")
            for content in (BLOB, LARGE):
                await api.http.post(
                    f"{API}/cas", content=content, headers={"Content-Type": MEDIA_TYPE}
                )
        pair.fast_path.taken.clear()
        yield pair


#: What differs by its nature: ids, times and the two namespaces.
DIFFERENT = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|(short|longs)-[0-9a-f]{8}"
)
#: A time is written without zeros at its end, so a body may be some bytes shorter.
OWN_HEADERS = {"x-correlation-id", "date", "content-length"}


def essence(answer: Any) -> tuple[int, str, list[tuple[str, str]]]:
    headers = sorted(
        (key, DIFFERENT.sub("*", value))
        for key, value in answer.headers.multi_items()
        if key not in OWN_HEADERS
    )
    if answer.status_code != 304:
        assert answer.headers["content-length"] == str(len(answer.content))
    else:
        assert answer.content == b""
        # Of nothing it says nothing.
        headers = [each for each in headers if each[0] != "content-type"]
    headers.append(("content-length", str("content-length" in answer.headers)))
    return answer.status_code, DIFFERENT.sub("*", answer.text), headers


JSON = {"Content-Type": "application/json"}
