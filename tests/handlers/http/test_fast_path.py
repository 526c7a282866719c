"""The short way and the long way of a request give the same answer; what memory may answer."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from blake3 import blake3
from litestar import Litestar
from litestar.routes import HTTPRoute

from orchestrator.app import create_app
from orchestrator.core.disk import ROOM_SECONDS, Disk
from orchestrator.handlers.http.edge import Edge
from orchestrator.handlers.http.fast_path import FastPath, Found
from tests.api import API, Api, chain, path
from tests.conftest import TOKEN, settings_for
from tests.handlers.test_openapi import DOCUMENT

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

    def find(self, scope: Any) -> Found | None:
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


@pytest.fixture
async def pair(make_app: Callable[..., Edge]) -> Any:
    limits = {
        "json_body_bytes_max": 4_000,
        "workflow_bytes_max": 3_000,
        "blob_bytes_max": 10_000,
        "blob_inline_bytes_max": INLINE_BYTES_MAX,
    }
    suffix = uuid4().hex[:8]
    short, long = f"short-{suffix}", f"longs-{suffix}"
    async with AsyncExitStack() as stack:
        made = make_app(**limits, namespace_default=short)
        made.fast_path = counted = CountedFastPath(made.fast_path)
        other = without_fast_path(make_app(**limits, namespace_default=long))
        pair = Pair(
            {
                short: await stack.enter_async_context(Api.on(made, TOKEN)),
                long: await stack.enter_async_context(Api.on(other, TOKEN)),
            },
            counted,
        )
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
CREATE = b'{"tag":"new","workflow":{"nodes":[{"id":"n","type":"task"}]}}'
NOBODY = str(UUID(int=7))


async def in_pieces() -> AsyncIterator[bytes]:
    for at in range(0, len(CREATE), 7):
        yield CREATE[at : at + 7]


async def shorter_than_said() -> AsyncIterator[bytes]:
    yield CREATE[:-1]


def document(size: int) -> bytes:
    return CREATE.replace(b'"n"', b'"' + b"n" * size + b'"')


LOOKUPS = {
    "ok": ("/workflows/main", {}),
    "in its namespace": ("/workflows/main?namespace=NAMESPACE", {}),
    "in another namespace": ("/workflows/main?namespace=nobody", {}),
    "in a namespace with a slash": ("/workflows/main?namespace=no/body", {}),
    "in a bad namespace": ("/workflows/main?namespace=-a", {}),
    "in an upper case namespace": ("/workflows/main?namespace=Main", {}),
    "in a quoted namespace": ("/workflows/main?namespace=no%2Fbody", {}),
    "in an empty namespace": ("/workflows/main?namespace=", {}),
    "an empty query": ("/workflows/main?", {}),
    "two namespaces": ("/workflows/main?namespace=a&namespace=b", {}),
    "the same namespace twice": ("/workflows/main?namespace=NAMESPACE&namespace=NAMESPACE", {}),
    "unknown parameter": ("/workflows/main?verison=1", {}),
    "unknown parameter too": ("/workflows/main?namespace=NAMESPACE&verison=1", {}),
    "repeated parameter": ("/workflows/main?version=1&version=2", {}),
    "known parameter": ("/workflows/main?version=1", {}),
    "parts": ("/workflows/main?materialize=false", {}),
    "absent": ("/workflows/nope", {}),
    "bad name": ("/workflows/-bad", {}),
    "quoted slash": ("/workflows/with%2Fslash", {}),
    "quoted lower": ("/workflows/with%2fslash", {}),
    "quoted letter": ("/workflows/m%61in", {}),
    "not utf-8": ("/workflows/%ff", {}),
    "not quoted": ("/workflows/100%", {}),
    "nul": ("/workflows/a%00", {}),
    "space": ("/workflows/a%20b", {}),
    "more segments": ("/workflows/main/nope", {}),
    "match": ("/workflows/main", {"If-None-Match": "ETAG"}),
    "weak match": ("/workflows/main", {"If-None-Match": "W/ETAG"}),
    "match in a list": ("/workflows/main", {"If-None-Match": '"x", ETAG'}),
    "any": ("/workflows/main", {"If-None-Match": "*"}),
    "mismatch": ("/workflows/main", {"If-None-Match": '"x"'}),
    "malformed match": ("/workflows/main", {"If-None-Match": "x"}),
    "match of nothing": ("/workflows/nope", {"If-None-Match": "*"}),
    "if-match": ("/workflows/main", {"If-Match": '"x"'}),
    "range": ("/workflows/main", {"Range": "bytes=0-3"}),
    "accept": ("/workflows/main", {"Accept": "text/html"}),
    "blob": (f"/cas/{name(BLOB)}", {}),
    "blob in its namespace": (f"/cas/{name(BLOB)}?namespace=NAMESPACE", {}),
    "blob in another namespace": (f"/cas/{name(BLOB)}?namespace=nobody", {}),
    "blob in a bad namespace": (f"/cas/{name(BLOB)}?namespace=-a", {}),
    "blob in two namespaces": (f"/cas/{name(BLOB)}?namespace=a&namespace=b", {}),
    "blob with a parameter": (f"/cas/{name(BLOB)}?x=1", {}),
    "blob quoted": (f"/cas/{name(BLOB).replace(':', '%3A')}", {}),
    "blob absent": (f"/cas/{name(b'absent')}", {}),
    "blob bad name": ("/cas/blake3:xyz", {}),
    "blob not utf-8": ("/cas/%ff", {}),
    "blob second name": (f"/cas/sha256:{'0' * 64}", {}),
    "blob match": (f"/cas/{name(BLOB)}", {"If-None-Match": "ETAG"}),
    "blob any": (f"/cas/{name(BLOB)}", {"If-None-Match": "*"}),
    "blob mismatch": (f"/cas/{name(BLOB)}", {"If-None-Match": '"x"'}),
    "blob malformed match": (f"/cas/{name(BLOB)}", {"If-None-Match": "x"}),
    "blob range": (f"/cas/{name(BLOB)}", {"Range": "bytes=2-4"}),
    "blob range outside": (f"/cas/{name(BLOB)}", {"Range": "bytes=99-"}),
    "blob range malformed": (f"/cas/{name(BLOB)}", {"Range": "lines=1"}),
    "blob digest": (f"/cas/{name(BLOB)}", {"Want-Repr-Digest": "sha-256=1"}),
    "blob zstd": (f"/cas/{name(BLOB)}", {"Accept-Encoding": "zstd"}),
    "large": (f"/cas/{name(LARGE)}", {}),
    "large zstd": (f"/cas/{name(LARGE)}", {"Accept-Encoding": "zstd"}),
    "large range": (f"/cas/{name(LARGE)}", {"Range": "bytes=2-4"}),
}


@pytest.mark.parametrize("case", LOOKUPS, ids=[case.replace(" ", "-") for case in LOOKUPS])
async def test_both_ways_answer_a_read_alike(pair: Pair, case: str) -> None:
    where, headers = LOOKUPS[case]
    if "ETAG" in headers.get("If-None-Match", ""):
        current, _ = await pair.ask("GET", API + where)
        given = headers["If-None-Match"].replace("ETAG", current.headers["etag"])
        headers = {"If-None-Match": given}
    for _ in range(2):  # The second may come from memory.
        short, long = await pair.ask("GET", API + where, headers=headers)
        assert essence(short) == essence(long)
    short, long = await pair.ask("HEAD", API + where, headers=headers)
    assert (short.status_code, short.headers.keys()) == (long.status_code, long.headers.keys())


WRITES: dict[str, tuple[str, Any, dict[str, str]]] = {
    "ok": ("/workflows", CREATE, JSON),
    "with a charset": ("/workflows", CREATE, {"Content-Type": "Application/JSON; charset=utf-8"}),
    "in pieces": ("/workflows", in_pieces, JSON),
    "in its namespace": ("/workflows?namespace=NAMESPACE", CREATE, JSON),
    "in a bad namespace": ("/workflows?namespace=_", CREATE, JSON),
    "two namespaces": ("/workflows?namespace=a&namespace=b", CREATE, JSON),
    "unknown parameter": ("/workflows?x=1", CREATE, JSON),
    "wrong type": ("/workflows", CREATE, {"Content-Type": "text/plain"}),
    "no type": ("/workflows", CREATE, {}),
    "encoded": ("/workflows", CREATE, {**JSON, "Content-Encoding": "gzip"}),
    "bad json": ("/workflows", b"{", JSON),
    "empty": ("/workflows", b"", JSON),
    "a key twice": ("/workflows", b'{"tag":"a","tag":"a"}', JSON),
    "unknown member": ("/workflows", b'{"tag":"a","workflow":{},"x":1}', JSON),
    "missing member": ("/workflows", b'{"tag":"a"}', JSON),
    "bad tag": ("/workflows", b'{"tag":"-","workflow":{"nodes":[]}}', JSON),
    "broken rule": ("/workflows", CREATE.replace(b'"n"', b'""'), JSON),
    "no workflow": ("/workflows", b'{"tag":"a","workflow":[]}', JSON),
    "long message": ("/workflows", CREATE[:-1] + b',"message":"' + b"m" * 4_097 + b'"}', JSON),
    "too large": ("/workflows", document(4_000), JSON),
    "too large in pieces": ("/workflows", lambda: _pieces(document(4_000)), JSON),
    "too large a workflow": ("/workflows", document(3_000), JSON),
    "if-none-match": ("/workflows", CREATE, {**JSON, "If-None-Match": "*"}),
    "if-none-match of one": ("/workflows", CREATE, {**JSON, "If-None-Match": '"x"'}),
    "if-match of none": ("/workflows", CREATE, {**JSON, "If-Match": '"x"'}),
    "there already": (
        "/workflows",
        CREATE.replace(b"new", b"other"),
        {**JSON, "If-None-Match": "*"},
    ),
    "stale": (
        "/workflows",
        CREATE.replace(b"new", b"main")[:-1] + b',"expected_version":1}',
        JSON,
    ),
    "expected": (
        "/workflows",
        CREATE.replace(b"new", b"main")[:-1] + b',"expected_version":2}',
        JSON,
    ),
    "with a key": ("/workflows", CREATE, {**JSON, "Idempotency-Key": "KEY"}),
    "with a bad key": ("/workflows", CREATE, {**JSON, "Idempotency-Key": "two words"}),
    "artifact": ("/artifacts", b'{"kind":"m","meta":{"n":1},"tag":"m"}', JSON),
    "artifact without a tag": ("/artifacts", b'{"kind":"m","meta":{"n":1}}', JSON),
    "artifact with a parent": (
        "/artifacts",
        b'{"kind":"m","meta":{"n":1},"parents":[{"tag":"main"}]}',
        JSON,
    ),
    "artifact of a reserved kind": ("/artifacts", b'{"kind":"report","meta":{"n":1}}', JSON),
    "artifact if absent": (
        "/artifacts",
        b'{"kind":"m","meta":{"n":1},"tag":"main"}',
        {**JSON, "If-None-Match": "*"},
    ),
    "artifact with a key": (
        "/artifacts",
        b'{"kind":"m","meta":{"n":1}}',
        {**JSON, "Idempotency-Key": "KEY"},
    ),
    "artifact with a parameter": ("/artifacts?x=1", b'{"kind":"m","meta":{"n":1}}', JSON),
    "move": ("/tags/main/move", "OTHER", JSON),
    "move at its version": ("/tags/main/move", "OTHER,2", JSON),
    "move with a slash": ("/tags/with%2Fslash/move", "OTHER", JSON),
    "move in its namespace": ("/tags/main/move?namespace=NAMESPACE", "OTHER", JSON),
    "move in another namespace": ("/tags/main/move?namespace=nobody", "OTHER", JSON),
    "move with a parameter": ("/tags/main/move?x=1", "OTHER", JSON),
    "move to where it is": ("/tags/other/move", "OTHER", JSON),
    "stale move": ("/tags/main/move", "OTHER,1", JSON),
    "move to nothing": ("/tags/main/move", b'{"artifact_id":"%s"}' % NOBODY.encode(), JSON),
    "move of nothing": ("/tags/nope/move", "OTHER", JSON),
    "move of a bad name": ("/tags/-/move", "OTHER", JSON),
    "move of no utf-8": ("/tags/%ff/move", "OTHER", JSON),
    "move to no id": ("/tags/main/move", b'{"artifact_id":"x"}', JSON),
    "move at version nought": ("/tags/main/move", "OTHER,0", JSON),
    "move without a type": ("/tags/main/move", "OTHER", {}),
    "move if match": ("/tags/main/move", "OTHER", {**JSON, "If-Match": '"2"'}),
    "move if no match": ("/tags/main/move", "OTHER", {**JSON, "If-Match": '"1"'}),
    "move if any": ("/tags/main/move", "OTHER", {**JSON, "If-Match": "*"}),
    "move if absent": ("/tags/main/move", "OTHER", {**JSON, "If-None-Match": "*"}),
    "move with a key": ("/tags/main/move", "OTHER", {**JSON, "Idempotency-Key": "KEY"}),
    "move too large": ("/tags/main/move", b" " * 65_537, JSON),
    "blob": ("/cas", b"new bytes", {"Content-Type": "text/plain"}),
    "blob without a type": ("/cas", b"new bytes", {}),
    "blob with a bad type": ("/cas", b"new bytes", {"Content-Type": "é"}),
    "blob known": ("/cas", BLOB, {"Content-Type": "image/png"}),
    "blob empty": ("/cas", b"", {}),
    "blob large": ("/cas", LARGE + b"x", {}),
    "blob in pieces": ("/cas", in_pieces, {}),
    "blob too large": ("/cas", b"x" * 10_001, {}),
    "blob too large in pieces": ("/cas", lambda: _pieces(b"x" * 10_001), {}),
    "blob encoded": ("/cas", b"x", {"Content-Encoding": "gzip"}),
    "blob with a key": ("/cas", b"new bytes", {"Idempotency-Key": "KEY"}),
    "blob with a wrong digest": ("/cas", b"x", {"Repr-Digest": f"sha-256=:{'A' * 43}=:"}),
    "blob with a bad digest": ("/cas", b"x", {"Repr-Digest": "sha-256=:AAAA:"}),
    "blob second name": ("/cas", b"seconds", {"Want-Repr-Digest": "sha-256=1"}),
    "blob in its namespace": ("/cas?namespace=NAMESPACE", b"new bytes", {}),
    "blob in a bad namespace": ("/cas?namespace=-", b"x", {}),
    "blob with a parameter": ("/cas?x=1", b"x", {}),
    "shorter than it says": ("/workflows", shorter_than_said, {**JSON, "Content-Length": "61"}),
    "blob shorter than it says": ("/cas", shorter_than_said, {"Content-Length": "99"}),
}


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1_000):
        yield content[at : at + 1_000]


async def target(api: Api, given: str) -> bytes:
    """A move to the version that the tag `other` names; after a comma the version expected."""
    _, comma, expected = given.partition(",")
    wanted = (await api.get("/tags/other")).json()["artifact_id"]
    expectation = f',"expected_version":{expected}' if comma else ""
    return f'{{"artifact_id":"{wanted}"{expectation}}}'.encode()


@pytest.mark.parametrize("case", WRITES, ids=[case.replace(" ", "-") for case in WRITES])
async def test_both_ways_answer_a_write_alike(pair: Pair, case: str) -> None:
    where, content, headers = WRITES[case]
    key = uuid4().hex
    for _ in range(2):  # The second time it is there already.
        answers = []
        for namespace, api in pair.ways.items():
            body = await target(api, content) if isinstance(content, str) else content
            # Keys belong to the caller, who is the same in both namespaces.
            own = {each: value.replace("KEY", key + namespace) for each, value in headers.items()}
            answers.append(
                await api.http.post(
                    API + where.replace("NAMESPACE", namespace),
                    content=body() if callable(body) else body,
                    headers=[(each.encode(), value.encode()) for each, value in own.items()],
                )
            )
        assert essence(answers[0]) == essence(answers[1])
    states = [
        [
            DIFFERENT.sub("*", (await api.get(at)).text)
            for at in ("/tags", "/tags/main/history", "/artifacts")
        ]
        for api in pair.ways.values()
    ]
    assert states[0] == states[1], "what they leave is the same too"


@pytest.mark.parametrize("where", ["/workflows", "/cas"])
async def test_a_body_that_ends_early_is_refused_both_ways(pair: Pair, where: str) -> None:
    # Also one that is whole in itself.
    headers = {**JSON, "Content-Length": str(len(CREATE) + 1)}
    for content in (shorter_than_said, in_pieces):
        for answer in await pair.ask("POST", API + where, content=content, headers=headers):
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["rule"] == "length"


async def test_the_tables_take_the_fast_path_and_are_refused_it(pair: Pair) -> None:
    """Else they would compare the framework with itself."""
    for where, is_fast in (
        ("/workflows/main", True),
        ("/workflows/main?namespace=NAMESPACE", True),
        ("/workflows/main?version=1", False),
        ("/workflows/main?namespace=a&namespace=b", False),
        (f"/cas/{name(BLOB)}", True),
        (f"/cas/{name(LARGE)}", True),
        ("/cas/blake3:xyz", True),
        ("/tags/main", False),
    ):
        pair.fast_path.taken.clear()
        await pair.ask("GET", API + where)
        assert len(pair.fast_path.taken) == is_fast, where
    for where in ("/workflows", "/tags/main/move", "/cas"):
        pair.fast_path.taken.clear()
        await pair.ask("POST", API + where, content=b"{}", headers=JSON)
        assert len(pair.fast_path.taken) == 1, where


# ------------------------------------------------------------------------------- around a handler


def test_every_fast_route_is_one_of_the_framework_and_documented() -> None:
    app = create_app(settings_for("postgresql://nowhere/x"))
    inner = app.app
    assert isinstance(inner, Litestar)
    routes = {
        (method, route.path_format)
        for route in inner.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
    }
    paths = DOCUMENT["paths"]
    assert len(app.fast_path.routes) == 6
    for each in app.fast_path.routes:
        assert (each.method, each.path) in routes
        assert each.method.lower() in paths[each.path]
        assert each.writes == (each.method != "GET")


@pytest.mark.parametrize("where", ["/workflows", "/tags/main/move", "/cas"])
async def test_a_write_on_a_full_disk_is_refused_both_ways(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(Disk, "free_bytes", staticmethod(lambda _: -1))
    await asyncio.sleep(2 * ROOM_SECONDS)  # So long it may believe that there is room.
    short, long = await pair.ask("POST", API + where, content=b"{}", headers=JSON)
    assert essence(short) == essence(long)
    assert short.status_code == 507
    reads = await pair.ask("GET", f"{API}/workflows/main")
    assert {read.status_code for read in reads} == {200}


@pytest.mark.parametrize("where", ["/workflows", "/tags/main/move", "/cas"])
async def test_writes_on_the_fast_path_are_counted_with_the_others(
    fresh_database: str, where: str
) -> None:
    app = create_app(settings_for(fresh_database, writes_per_minute_max=100_000))
    connection = await asyncpg.connect(fresh_database)
    try:
        async with Api.on(app, TOKEN) as api:
            await api.put("/tags/x", {})
            # No minute ends before the test does.
            await connection.execute(
                "UPDATE rate_count SET window_start = window_start + interval '1 hour', count = 1"
            )
            for turn in range(1, 4):
                await api.http.post(API + where, content=b"{}", headers=JSON)
                await api.put("/tags/x", {})
                await api.get("/workflows/x")
                assert (
                    await connection.fetchval("SELECT sum(count) FROM rate_count") == 1 + 2 * turn
                )
    finally:
        await connection.close()


async def test_one_direct_write_too_many_is_refused_before_it_is_read(
    fresh_database: str,
) -> None:
    app = create_app(settings_for(fresh_database, writes_per_minute_max=1))
    async with Api.on(app, TOKEN) as api:
        answers = [
            await api.http.post(f"{API}/{each}", content=b"{", headers=JSON)
            for each in ("tags/main/move", "workflows", "cas", "workflows", "tags/main/move")
        ]
        statuses = [answer.status_code for answer in answers]
        # A minute may have begun in between: then one of them is admitted.
        assert statuses[0] == 400
        assert statuses.count(429) >= 3
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1


async def test_the_route_is_called_the_same_in_the_metrics_both_ways(pair: Pair) -> None:
    async def routes() -> list[dict[str, float]]:
        text = (await pair.ask("GET", "/metrics"))[0].text
        found = re.findall(
            r'^orchestrator_http_requests_total\{method="(\w+)",route="(.*)",status="(\d+)"\}'
            r" (\S+)",
            text,
            re.MULTILINE,
        )
        return [{" ".join(labels): float(value) for *labels, value in found}]

    (before,) = await routes()
    for method, where in (
        ("GET", "/workflows/main"),
        ("GET", "/workflows/nope"),
        ("GET", f"/cas/{name(BLOB)}"),
        ("GET", f"/cas/{name(LARGE)}"),
        ("POST", "/workflows"),
        ("POST", "/tags/main/move"),
        ("POST", "/cas"),
    ):
        await pair.ask(method, API + where, **({"content": b"{}"} if method == "POST" else {}))
    (after,) = await routes()
    added = {each: count - before.get(each, 0.0) for each, count in after.items()}
    added = {each: count for each, count in added.items() if count and "metrics" not in each}
    assert added == {
        f"GET {API}/workflows/{{tag}} 200": 2,
        f"GET {API}/workflows/{{tag}} 404": 2,
        f"GET {API}/cas/{{cas_id}} 200": 4,
        f"POST {API}/workflows 415": 2,
        f"POST {API}/tags/{{name}}/move 415": 2,
        f"POST {API}/cas 201": 2,
    }


@pytest.mark.parametrize("authorization", ["", "Bearer wrong"])
async def test_a_direct_route_needs_the_token_too(api: Api, authorization: str) -> None:
    headers = {"Authorization": authorization}
    assert (await api.get("/workflows/main", headers=headers)).status_code == 401
    assert (await api.post("/workflows", {}, headers=headers)).status_code == 401


async def test_a_defect_is_answered_and_logged_both_ways(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.repository.workflow import WorkflowRepository  # noqa: PLC0415

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(WorkflowRepository, "resolve", broken)
    short, long = await pair.ask("GET", f"{API}/workflows/main")
    assert essence(short) == essence(long)
    assert short.status_code == 500
    assert "secret" not in short.text


# ------------------------------------------------------------------------- what memory may answer


async def uploaded(api: Api, content: bytes = BLOB) -> str:
    answer = await api.http.post(f"{API}/cas", content=content)
    assert answer.status_code == 201
    where = f"/cas/{answer.json()['cas_id']}"
    assert (await api.get(where)).content == content
    return where


@pytest.mark.parametrize(
    ("changed", "served"),
    [
        ({}, True),
        ({"blob_cache_seconds": 0}, False),
        ({"blob_cache_seconds": 0.05}, False),
        ({"blob_cache_bytes_max": 0}, False),
    ],
)
async def test_a_blob_that_nothing_holds_any_more_is_served_so_long_and_no_longer(
    fresh_database: str, database: asyncpg.Connection, changed: dict[str, Any], *, served: bool
) -> None:
    async with Api.on(create_app(settings_for(fresh_database, **changed)), TOKEN) as api:
        where = await uploaded(api)
        await database.execute("UPDATE cas_lease SET expires_at = created_at")
        await asyncio.sleep(changed.get("blob_cache_seconds", 0))
        answer = await api.get(where)
        assert answer.status_code == (200 if served else 404)
        assert (answer.content == BLOB) is served
        # Who says more than the name is not answered from memory.
        assert (await api.get(where, headers={"Range": "bytes=0-"})).status_code == 404


async def test_what_memory_holds_is_for_the_namespace_that_may_see_it(fresh_api: Api) -> None:
    where = await uploaded(fresh_api)
    for _ in range(2):
        assert (await fresh_api.get(where)).status_code == 200
        assert (await fresh_api.get(f"{where}?namespace=other")).status_code == 404


@pytest.mark.parametrize("bytes_max", [0, 1_000_000])
async def test_damaged_bytes_are_never_served(
    fresh_database: str, database: asyncpg.Connection, bytes_max: int
) -> None:
    settings = settings_for(fresh_database, blob_cache_bytes_max=bytes_max)
    async with Api.on(create_app(settings), TOKEN) as api:
        where = await uploaded(api)
        await database.execute("UPDATE cas_blob SET content = 'SOME BYTES'")
        for _ in range(2):
            answer = await api.get(where)
            if bytes_max:
                assert answer.content == BLOB, "what is in memory is right"
            else:
                assert answer.status_code == 500
        if bytes_max:
            # Another name of the same is another entry, which is not there.
            quoted = where.replace("blake3:", "blake3%3A")
            assert (await api.get(quoted)).status_code == 500


@pytest.mark.parametrize("bytes_max", [0, 1_000_000])
async def test_a_damaged_workflow_is_never_served(
    fresh_database: str, database: asyncpg.Connection, bytes_max: int
) -> None:
    settings = settings_for(fresh_database, document_cache_bytes_max=bytes_max)
    async with Api.on(create_app(settings), TOKEN) as api:
        await api.create("main", "a")
        wanted = (await api.get("/workflows/main")).json()
        await database.execute(
            "UPDATE cas_blob SET content = content || ' '::bytea, size_bytes = size_bytes + 1"
        )
        answer = await api.get("/workflows/main")
        if bytes_max:
            assert answer.json() == wanted, "what is in memory is right"
        else:
            assert answer.status_code == 500


@pytest.fixture
async def two(fresh_database: str) -> AsyncIterator[tuple[Api, Api]]:
    """Two servers on one database."""
    settings = settings_for(fresh_database)
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(Api.on(create_app(settings), TOKEN)) for _ in "ab"
        ]
        yield one, other


async def looked_up(api: Api, tag: str = "main") -> tuple[list[str], int, str]:
    answer = await api.get(f"/workflows/{path(tag)}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert answer.headers["etag"] == f'"{body["version_hash"]}"'
    same = await api.get(
        f"/workflows/{path(tag)}", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert same.status_code == 304
    return [node["id"] for node in body["workflow"]["nodes"]], body["tag_version"], body["moved_by"]


async def test_a_tag_that_another_server_moved_is_never_answered_from_memory(
    two: tuple[Api, Api],
) -> None:
    one, other = two
    first = await one.create("main", "a")
    for _ in range(2):
        assert (await looked_up(one))[:2] == (["a"], 1)
    second = await other.create("main", "b")
    assert (await looked_up(one))[:2] == (["b"], 2)
    old = {"If-None-Match": f'"{first["version_hash"]}"'}
    assert (await one.get("/workflows/main", headers=old)).status_code == 200

    back = {"artifact_id": first["artifact_id"], "message": "back"}
    assert (await other.post("/tags/main/move", back)).status_code == 200
    assert (await looked_up(one))[:2] == (["a"], 3)
    assert (await one.get("/workflows/main")).json()["message"] == "back"

    assert (await other.post("/tags/main/undo")).status_code == 200
    assert (await looked_up(one))[:2] == (["b"], 4)
    assert (await other.post("/tags/main/redo")).status_code == 200
    assert (await looked_up(one))[:2] == (["a"], 5)

    operations = [
        {"op": "add", "path": "/nodes/-", "value": {"id": "p", "type": "task"}},
        {"op": "add", "path": "/edges/-", "value": {"from": "a", "to": "p"}},
    ]
    patched = await other.http.patch(
        f"{API}/workflows/main",
        json=operations,
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert patched.status_code < 300, patched.text
    assert (await looked_up(one))[:2] == (["a", "p"], 6)

    put = await other.put("/tags/main", {"artifact_id": second["artifact_id"]})
    assert put.status_code == 200
    assert (await looked_up(one))[:2] == (["b"], 7)


async def test_a_tag_that_another_server_deleted_is_not_found_and_comes_back_as_it_is_now(
    two: tuple[Api, Api],
) -> None:
    one, other = two
    await one.create("main", "a")
    await looked_up(one)
    assert (await other.delete("/tags/main")).status_code == 200
    assert (await one.get("/workflows/main")).status_code == 404
    await other.create("main", "a", message="again")
    assert (await looked_up(one))[:2] == (["a"], 3)
    assert (await one.get("/workflows/main")).json()["message"] == "again"


async def test_lookups_that_come_together_each_get_their_own(two: tuple[Api, Api]) -> None:
    one, other = two
    for number in range(20):
        await one.create(f"t{number}", f"n{number}")
    await asyncio.gather(*(one.get(f"/workflows/t{number}") for number in range(10)))
    await asyncio.gather(*(other.create(f"t{number}", f"m{number}") for number in range(0, 20, 3)))
    await other.delete("/tags/t1")
    asked = [f"t{number % 22}" for number in range(60)]
    answers = await asyncio.gather(*(one.get(f"/workflows/{tag}") for tag in asked))
    for tag, answer in zip(asked, answers, strict=True):
        number = int(tag[1:])
        if number in {1, 20, 21}:
            assert answer.status_code == 404
            assert tag in answer.json()["detail"]
        else:
            body = answer.json()
            assert body["tag"] == tag
            assert body["workflow"] == chain(f"{'n' if number % 3 else 'm'}{number}")
