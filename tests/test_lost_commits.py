"""The answer to a commit is lost, for every route that writes: nobody is told that nothing was
done, and only who has an Idempotency-Key is told to ask again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from blake3 import blake3

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from tests.api import API, Api, chain
from tests.conftest import TOKEN, settings_for
from tests.handlers.http.test_edge import ROUTES
from tests.handlers.patching import patch, timeout
from tests.losing_proxy import LosingProxy
from tests.test_failures import dangling


class LossyApi(Api):
    """A client of an application whose database may lose an answer."""

    #: An upload that was begun.
    upload = ""
    #: A transaction that was made.
    transaction_id = ""


Headers = dict[str, str]
Request = Callable[[LossyApi, Headers], Awaitable[Any]]
KEY = {"Idempotency-Key": "once"}
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
TUS = {"Tus-Resumable": "1.0.0"}
PART = {**TUS, "Content-Type": "application/offset+octet-stream"}
BYTES = b"some new bytes"
TABLES = (
    "cas_blob",
    "cas_lease",
    "artifact",
    "artifact_blob",
    "lineage",
    "tag",
    "tag_move",
    "idempotency_key",
)


def posting(path: str, body: Any = None) -> Request:
    return lambda api, headers: api.post(path, body, headers=headers)


async def moving(api: LossyApi, headers: Headers) -> Any:
    target = (await api.get("/tags/other")).json()["artifact_id"]
    return await api.post("/tags/main/move", {"artifact_id": target}, headers=headers)


async def putting(api: LossyApi, headers: Headers) -> Any:
    target = (await api.get("/tags/other")).json()["artifact_id"]
    return await api.put("/tags/new", {"artifact_id": target}, headers=headers)


async def transacting(api: LossyApi, headers: Headers) -> Any:
    operations = [
        {"op": "create_workflow", "tag": "a", "workflow": chain("a")},
        {"op": "delete", "tag": "other"},
    ]
    return await api.post("/transactions", {"operations": operations}, headers=headers)


async def reverting(api: LossyApi, headers: Headers) -> Any:
    return await api.post(f"/transactions/{api.transaction_id}/revert", headers=headers)


async def uploading(api: LossyApi, headers: Headers) -> Any:
    return await api.http.post(f"{API}/cas", content=BYTES, headers=headers)


async def putting_bytes(api: LossyApi, headers: Headers) -> Any:
    name = blake3(BYTES).hexdigest()
    return await api.http.put(f"{API}/cas/blake3:{name}", content=BYTES, headers=headers)


async def patching(api: LossyApi, headers: Headers) -> Any:
    return await patch(api, "main", [timeout(9)], headers=headers)


async def beginning(api: LossyApi, headers: Headers) -> Any:
    length = {"Upload-Length": str(len(BYTES))}
    return await api.http.post(f"{API}/uploads", headers={**TUS, **length, **headers})


def deleting(path: str) -> Request:
    return lambda api, headers: api.delete(path, headers=headers)


async def appending(api: LossyApi, headers: Headers) -> Any:
    given = {**PART, "Upload-Offset": "0", **headers}
    return await api.http.patch(api.upload, content=BYTES, headers=given)


async def appending_by_post(api: LossyApi, headers: Headers) -> Any:
    given = {**PART, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH", **headers}
    return await api.http.post(api.upload, content=BYTES, headers=given)


async def ending(api: LossyApi, headers: Headers) -> Any:
    return await api.http.delete(api.upload, headers={**TUS, **headers})


#: Of each route that writes: what is sent, and whether its key makes it safe to send again.
CASES: dict[tuple[str, str], tuple[Request, bool]] = {
    ("POST", "/workflows"): (posting("/workflows", {"tag": "new", "workflow": chain("n")}), True),
    ("PATCH", "/workflows/{tag}"): (patching, True),
    ("DELETE", "/workflows/{tag}"): (deleting("/workflows/main"), False),
    ("POST", "/workflows/{tag}/compact"): (
        posting("/workflows/main/compact", {"move": True}),
        True,
    ),
    ("POST", "/workflows/{tag}/cherry-pick"): (
        posting("/workflows/main/cherry-pick", {"version": "side"}),
        True,
    ),
    ("POST", "/workflows/{tag}/revert"): (posting("/workflows/main/revert", {"seq": 1}), True),
    ("POST", "/workflows/{tag}/merge"): (posting("/workflows/main/merge", {"from": "side"}), True),
    ("POST", "/artifacts"): (
        posting("/artifacts", {"kind": "model", "meta": {"n": 1}, "tag": "model"}),
        True,
    ),
    ("PUT", "/tags/{name}"): (putting, False),
    ("DELETE", "/tags/{name}"): (deleting("/tags/main"), False),
    ("POST", "/tags/{name}/move"): (moving, True),
    ("POST", "/tags/{name}/undo"): (posting("/tags/main/undo"), True),
    ("POST", "/tags/{name}/redo"): (posting("/tags/other/redo"), True),
    ("POST", "/transactions"): (transacting, True),
    ("POST", "/transactions/{transaction_id}/revert"): (reverting, True),
    ("POST", "/cas"): (uploading, True),
    ("PUT", "/cas/{cas_id}"): (putting_bytes, False),
    ("POST", "/uploads"): (beginning, True),
    ("PATCH", "/uploads/{upload_id}"): (appending, False),
    ("POST", "/uploads/{upload_id}"): (appending_by_post, False),
    ("DELETE", "/uploads/{upload_id}"): (ending, False),
    ("POST", "/gc"): (posting("/gc", {}), False),
    ("POST", "/verify"): (posting("/verify", {"read_data": True, "repair": True}), False),
}
#: It asks only; its key is remembered all the same.
ASKS = {("POST", "/workflows/validate"), ("POST", "/cas/missing")}
KEYED = [route for route, (_, has_key) in CASES.items() if has_key]


def named(route: tuple[str, str]) -> str:
    return " ".join(route)


@pytest.fixture
async def proxy(fresh_database: str) -> AsyncIterator[LosingProxy]:
    async with LosingProxy.before(fresh_database) as proxy:
        yield proxy


@pytest.fixture
async def lossy_api(proxy: LosingProxy) -> AsyncIterator[LossyApi]:
    """Tags of which each case finds what it needs."""
    async with Api.on(create_app(settings_for(proxy.url)), TOKEN) as client:
        api = LossyApi(client.http)
        base = await api.create("main", "a", "b")
        await api.put("/tags/side", {"artifact_id": base["artifact_id"]})
        await patch(api, "main", [timeout(1)])
        await patch(api, "side", [timeout(2, 1)])
        await api.create("other", "x")
        await patch(api, "other", [timeout(3)])
        await api.post("/tags/other/undo")
        created = {"op": "create", "tag": "together", "from": "side"}
        ran = await api.post("/transactions", {"operations": [created]})
        api.transaction_id = ran.json()["transaction_id"]
        length = {"Upload-Length": str(len(BYTES))}
        begun = await api.http.post(f"{API}/uploads", headers={**TUS, **length})
        api.upload = begun.headers["location"]
        yield api


async def contents(database: Connection) -> dict[str, list[str]]:
    return {
        table: sorted(map(str, await database.fetch(f"SELECT * FROM {table}"))) for table in TABLES
    }


async def everything(database: Connection) -> tuple[object, ...]:
    uploads = await database.fetch("SELECT * FROM cas_upload")
    return await contents(database), sorted(map(str, uploads))


def test_there_is_a_case_for_every_route_that_writes() -> None:
    writing = {(method, path.removeprefix(API)) for method, path in ROUTES if method in WRITES}
    assert CASES.keys() | ASKS == writing


@pytest.mark.parametrize("route", CASES, ids=named)
async def test_a_write_whose_commit_was_not_confirmed_is_not_told_as_undone(
    lossy_api: LossyApi, proxy: LosingProxy, database: Connection, route: tuple[str, str]
) -> None:
    request, _ = CASES[route]
    if route[1] == "/verify":
        await database.execute("UPDATE cas_blob SET content = overlay(content PLACING 'X' FROM 3)")
    before = await everything(database)
    proxy.is_armed = True
    answer = await request(lossy_api, {})
    assert len(proxy.lost) == 1
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (
        503,
        "outcome-unknown",
    )
    assert "Retry-After" not in answer.headers
    assert (await everything(database) != before) is (route[1] != "/gc"), "it took place"
    assert await dangling(database) == []
    assert (await lossy_api.get("/tags")).status_code == 200


@pytest.mark.parametrize("route", KEYED, ids=named)
async def test_with_a_key_it_is_sent_again_and_made_once(
    lossy_api: LossyApi, proxy: LosingProxy, database: Connection, route: tuple[str, str]
) -> None:
    request, _ = CASES[route]
    proxy.is_armed = True
    answer = await request(lossy_api, KEY)
    assert len(proxy.lost) == 1
    assert answer.json()["type"].rpartition(":")[2] == "outcome-unknown"
    assert int(answer.headers["Retry-After"]) > 0
    after = await everything(database)
    again = await request(lossy_api, KEY)
    assert again.status_code in {200, 201}, again.text
    assert await everything(database) == after
    assert await dangling(database) == []


@pytest.mark.parametrize("route", [each for each in CASES if each not in KEYED], ids=named)
async def test_a_key_that_the_route_does_not_heed_makes_nothing_safe(
    lossy_api: LossyApi, proxy: LosingProxy, database: Connection, route: tuple[str, str]
) -> None:
    request, _ = CASES[route]
    if route[1] == "/verify":
        await database.execute("UPDATE cas_blob SET content = overlay(content PLACING 'X' FROM 3)")
    proxy.is_armed = True
    answer = await request(lossy_api, KEY)
    assert answer.json()["type"].rpartition(":")[2] == "outcome-unknown"
    assert "Retry-After" not in answer.headers


async def test_a_question_whose_answer_was_lost_is_just_asked_again(
    lossy_api: LossyApi, proxy: LosingProxy
) -> None:
    name = f"blake3:{blake3(BYTES).hexdigest()}"
    proxy.is_armed = True
    answer = await lossy_api.post("/cas/missing", {"cas_ids": [name]})
    assert (answer.status_code, answer.json()["missing"], proxy.lost) == (200, [name], [])
    keyed = await lossy_api.post("/cas/missing", {"cas_ids": [name]}, headers=KEY)
    assert (keyed.status_code, len(proxy.lost)) == (503, 1)
    again = await lossy_api.post("/cas/missing", {"cas_ids": [name]}, headers=KEY)
    assert again.json()["missing"] == [name]


# --------------------------------------------------------------------------- lost while idle


@pytest.mark.parametrize("route", CASES, ids=named)
async def test_connections_that_were_lost_while_idle_cost_nobody_a_request(
    lossy_api: LossyApi, proxy: LosingProxy, database: Connection, route: tuple[str, str]
) -> None:
    request, _ = CASES[route]
    await proxy.cut()
    answer = await request(lossy_api, {})
    assert answer.status_code < 300, answer.text
    await proxy.cut()
    assert (await lossy_api.get("/workflows/side")).status_code == 200
    assert await dangling(database) == []
