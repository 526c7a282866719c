"""Dry runs: the answer is the one that comes without it, and the database stays as it was."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

from orchestrator.core.database import Connection, connect
from tests.api import Api, chain
from tests.conftest import logged
from tests.handlers.patching import JSON_PATCH, patched, timeout
from tests.handlers.test_merge import add_node

#: What a dry run alone says, and what is new each time.
OWN = {"dry_run", "diff", "artifact_id", "transaction_id", "created_at", "moved_at", "merged"}
LONELY: dict[str, Any] = chain("a", "b") | {"nodes": [*chain("a", "b", "z")["nodes"]]}
CYCLE: dict[str, Any] = chain("a", "b", "a") | {"nodes": chain("a", "b")["nodes"]}


@pytest.fixture
async def conn(fresh_database: str) -> AsyncIterator[Connection]:
    conn = await connect(fresh_database)
    yield conn
    await conn.close()


@pytest.fixture
async def api(fresh_api: Api) -> Api:
    """Two branches with a change of their own each, and a transaction."""
    base = await fresh_api.create("main", "a", "b")
    await fresh_api.put("/tags/side", {"artifact_id": base["artifact_id"]})
    await patched(fresh_api, "main", timeout(5))
    await patched(fresh_api, "side", *add_node("c", "b"))
    await fresh_api.create("other", "x")
    return fresh_api


async def together(api: Api, tag: str) -> str:
    """Create two tags in a transaction; returns its id."""
    names = (tag, f"{tag}/too")
    operations = [{"op": "create", "tag": name, "from": "main@1"} for name in names]
    body = (await api.post("/transactions", {"operations": operations})).json()
    made: str = body["transaction_id"]
    return made


async def contents(conn: Connection) -> dict[str, Any]:
    """Each row of each table, and which transaction wrote it."""
    names = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {
        name: sorted(
            row[0] for row in await conn.fetch(f'SELECT t.xmin || t::text FROM "{name}" t')
        )
        for (name,) in names
    }


async def counted(api: Api) -> list[str]:
    """The numbers of what was changed."""
    lines = (await api.http.get("/metrics")).text.splitlines()
    return [line for line in lines if line.startswith(("orchestrator_blob", "orchestrator_tag"))]


def said(body: Any) -> Any:
    """An answer without what no two answers have in common."""
    if isinstance(body, list):
        return [said(each) for each in body]
    if isinstance(body, dict):
        return {key: said(value) for key, value in body.items() if key not in OWN}
    return body


def results(answer: httpx2.Response) -> list[Any]:
    body = answer.json()
    found: list[Any] = body.get("results", [body])
    return found


async def difference(api: Api, body: Any) -> Any:
    """What a change of a tag changed in the workflow, if there was one."""
    changed = body.get("result", body)
    if "tag_version" not in changed or "compacted_from" in changed:
        return None
    tag, version = changed["tag"], changed["tag_version"]
    before = version if changed["action"] is None else version - 1
    if before == 0:
        return None
    found = await api.get("/diff", params={"from": f"{tag}@{before}", "to": tag})
    return found.json()["diff"]


Request = tuple[str, str, Any]
WORKFLOW = "/workflows/main"
CHANGES: dict[str, Request] = {
    "create": ("POST", "/workflows", {"tag": "new", "workflow": LONELY, "message": "m"}),
    "create what is there": ("POST", "/workflows", {"tag": "other", "workflow": chain("x")}),
    "patch": ("PATCH", WORKFLOW, add_node("lonely", "a")[:1]),
    "patch nothing": ("PATCH", WORKFLOW, [{"op": "test", "path": "/nodes/0/id", "value": "a"}]),
    "merge": ("POST", f"{WORKFLOW}/merge", {"from": "side"}),
    "merge forward": ("POST", "/workflows/behind/merge", {"from": "main"}),
    "cherry-pick": ("POST", f"{WORKFLOW}/cherry-pick", {"version": "side"}),
    "revert": ("POST", f"{WORKFLOW}/revert", {"seq": 1}),
    "create over": ("POST", "/workflows", {"tag": "side", "workflow": chain("a", "q")}),
    "compact": ("POST", f"{WORKFLOW}/compact", {"move": True}),
    "transaction": (
        "POST",
        "/transactions",
        {
            "operations": [
                {"op": "create_workflow", "tag": "main", "workflow": LONELY},
                {"op": "create", "tag": "next", "from": "main@1"},
                {"op": "patch", "tag": "side", "patch": [timeout(9)]},
                {"op": "redo", "tag": "old"},
                {"op": "delete", "tag": "other"},
            ]
        },
    ),
}
REFUSALS: dict[str, Request] = {
    "a stale version": (
        "POST",
        "/workflows",
        {"tag": "main", "workflow": LONELY, "expected_version": 1},
    ),
    "a document that breaks rules": ("POST", "/workflows", {"tag": "main", "workflow": CYCLE}),
    "a patch that does not fit": ("PATCH", WORKFLOW, [{"op": "remove", "path": "/nodes/7"}]),
    "a merge that conflicts": ("POST", "/workflows/rival/merge", {"from": "main"}),
    "a name that is taken": (
        "POST",
        "/transactions",
        {
            "operations": [
                {"op": "move", "tag": "side", "from": "main"},
                {"op": "create", "tag": "other", "from": "main"},
            ]
        },
    ),
}


async def send(
    api: Api, request: Request, more: Mapping[str, str] | None = None, **query: Any
) -> httpx2.Response:
    method, path, body = request
    headers = {"Content-Type": JSON_PATCH if method == "PATCH" else "application/json"}
    headers |= more or {}
    return await api.http.request(
        method, "/api/v1" + path, json=body, params=query, headers=headers
    )


async def test_a_dry_run_answers_what_the_change_does_and_writes_nothing(
    api: Api, conn: Connection, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    revert = "POST", f"/transactions/{await together(api, 'past')}/revert", {"message": "back"}
    await together(api, "behind")
    await together(api, "old")
    await api.post("/tags/old/move", {"from": "side"})
    await api.post("/tags/old/undo")
    for name, request in {**CHANGES, "revert of a transaction": revert}.items():
        before, numbers = await contents(conn), await counted(api)
        logged(capfdbinary)
        dry = await send(api, request, dry_run="true")
        assert dry.status_code == 200, (name, dry.text)
        assert dry.headers.keys().isdisjoint({"location", "etag"}), name
        assert dry.json()["dry_run"] is True, name
        assert await contents(conn) == before, name
        assert await counted(api) == numbers, name
        assert logged(capfdbinary).count(b"\n") <= 2, name  # Of requests alone.

        real = await send(api, request)
        assert real.status_code in {200, 201}, (name, real.text)
        assert said(dry.json()) == said(real.json()), name
        for rehearsed, made in zip(results(dry), results(real), strict=True):
            assert rehearsed.get("diff") == await difference(api, made), name


async def test_a_dry_run_is_refused_as_the_change_is(api: Api, conn: Connection) -> None:
    revert = "POST", f"/transactions/{await together(api, 'rival')}/revert", None
    await patched(api, "rival", timeout(6))
    before = await contents(conn)
    for name, request in {**REFUSALS, "a transaction whose tags have moved": revert}.items():
        dry, real = await send(api, request, dry_run="true"), await send(api, request)
        assert dry.status_code == real.status_code >= 400, (name, dry.text)
        assert dry.json() == real.json(), name
        assert await contents(conn) == before, name


async def test_a_dry_run_takes_no_key_and_leaves_none(api: Api) -> None:
    operations = {"operations": [{"op": "create", "tag": "next", "from": "main"}]}
    transaction = "POST", "/transactions", operations
    for request in (*map(CHANGES.__getitem__, ("create", "patch", "compact")), transaction):
        key = {"Idempotency-Key": f"{request[0]}:{request[1]}"}
        for _ in range(2):
            dry = await send(api, request, key, dry_run="true")
            assert (dry.status_code, dry.json()["dry_run"]) == (200, True)
        unreadable = await send(api, request, {"Idempotency-Key": "k" * 256}, dry_run="true")
        assert unreadable.status_code == 400
        real = await send(api, request, key)
        assert (await send(api, request, key)).content == real.content
        again = await send(api, CHANGES["patch nothing"], key, dry_run="true")
        assert (again.status_code, again.json()["action"]) == (200, None)
