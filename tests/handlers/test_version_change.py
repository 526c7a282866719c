"""What all changes of a tag have in common: each is made once for its key, whatever refuses it."""

from typing import Any
from uuid import uuid4

import pytest

from orchestrator.core.connection_pool import ConnectionPool
from orchestrator.core.database import Connection
from orchestrator.core.fair_queue import FairQueue
from orchestrator.errors import StorageUnavailable
from orchestrator.models.version import Head
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.service.version import VersionService
from tests.api import Api
from tests.handlers.patching import MERGE_PATCH, patch, timeout
from tests.handlers.test_merge import add_node


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


async def change(api: Api, name: str, headers: dict[str, str]) -> Any:
    match name:
        case "a node that can be added only once":
            return await patch(api, "main", add_node("c", "b"), headers=headers)
        case "a member that can be removed only once":
            operations = [{"op": "remove", "path": "/metadata"}]
            return await patch(api, "main", operations, headers=headers)
        case "a merge patch that changes nothing more":
            return await patch(api, "main", {"metadata": {"y": 2}}, MERGE_PATCH, headers=headers)
        case "a merge of what the tag has by now":
            return await api.post("/workflows/main/merge", {"from": "side"}, headers=headers)
        case "a change of the chain that is longer by now":
            return await api.post("/workflows/main/revert", {"seq": 1}, headers=headers)
        case _:
            return await patch(api, "main", [timeout(9)], headers=headers)


@pytest.mark.parametrize(
    ("name", "guarded"),
    [
        ("a node that can be added only once", False),
        ("a member that can be removed only once", False),
        ("a merge patch that changes nothing more", False),
        ("a merge of what the tag has by now", False),
        ("a change of the chain that is longer by now", False),
        ("a change of the version that the request names", True),
    ],
)
async def test_a_change_that_a_copy_of_it_has_made_is_answered_as_the_copy_is(
    api: Api, key: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str, guarded: bool
) -> None:
    base = await api.create("main", "a", "b")
    await api.put("/tags/side", {"artifact_id": base["artifact_id"]})
    await patch(api, "side", [timeout(2)])
    added = [{"op": "add", "path": "/metadata", "value": {"x": 1}}]
    head = (await patch(api, "main", added)).json()
    headers = key | ({"If-Match": f'"{head["version_hash"]}"'} if guarded else {})
    copies: list[Any] = []
    get_head = VersionService.get_head

    async def get_head_after_a_copy(
        versions: VersionService, conn: Connection, namespace: str, tag: str
    ) -> Head:
        if not copies:
            copies.append(None)
            copies[0] = await change(api, name, headers)
        return await get_head(versions, conn, namespace, tag)

    monkeypatch.setattr(VersionService, "get_head", get_head_after_a_copy)
    answer = await change(api, name, headers)
    assert answer.status_code == 200, answer.text
    assert (answer.content, answer.headers.get("etag")) == (
        copies[0].content,
        copies[0].headers.get("etag"),
    )
    assert (await api.get("/tags/main")).json()["version"] == 3, "it was made once"


async def changed(api: Api, kind: str, blob: str) -> Any:
    """Each takes several connections, one after the other."""
    match kind:
        case "patch":
            return await patch(api, "main", [timeout(2)], headers={"Idempotency-Key": "p"})
        case "rebased patch":
            return await patch(api, "main", add_node("c", "b"))
        case "merge":
            return await api.post("/workflows/main/merge", {"from": "side"})
        case "artifact":
            body = {"kind": "acme/report", "blobs": [{"cas_id": blob, "name": "a"}]}
            return await api.post("/artifacts", {**body, "tag": "report", "absent": True})
        case _:
            step = {"op": "patch", "tag": "main", "patch": [timeout(2)]}
            headers = {"Idempotency-Key": "t"}
            return await api.post("/transactions", {"operations": [step]}, headers=headers)


@pytest.mark.parametrize("kind", ["patch", "rebased patch", "merge", "artifact", "transaction"])
async def test_all_that_a_request_waits_for_has_one_deadline(
    api: Api, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    base = await api.create("main", "a", "b")
    await api.put("/tags/side", {"artifact_id": base["artifact_id"]})
    await patch(api, "side", [timeout(2)])
    deadlines: list[float] = []
    acquire, take, get_head = ConnectionPool.acquire, FairQueue.place, VersionService.get_head

    async def acquire_noted(pool: ConnectionPool[Connection], deadline: float) -> Connection:
        deadlines.append(deadline)
        return await acquire(pool, deadline)

    def place_noted(queue: FairQueue, caller: str, size: int, deadline: float) -> Any:
        deadlines.append(deadline)
        return take(queue, caller, size, deadline)

    async def get_head_of_before(*given: Any) -> Head:
        monkeypatch.setattr(VersionService, "get_head", get_head)
        head = await get_head(*given)
        before = len(deadlines)
        await patch(api, "main", [timeout(3)])
        del deadlines[before:]
        return head

    if kind == "rebased patch":
        monkeypatch.setattr(VersionService, "get_head", get_head_of_before)
    monkeypatch.setattr(ConnectionPool, "acquire", acquire_noted)
    monkeypatch.setattr(FairQueue, "place", place_noted)
    answer = await changed(api, kind, base["cas_id"])
    assert answer.status_code in {200, 201}, answer.text
    assert len(deadlines) > (4 if kind == "rebased patch" else 1)
    assert len(set(deadlines)) == 1


@pytest.mark.parametrize(
    ("step", "body"),
    [
        ("merge", {"from": "side"}),
        ("cherry-pick", {"version": "side"}),
        ("revert", {"seq": 1}),
        ("compact", {"move": True}),
    ],
)
async def test_every_change_takes_the_version_that_it_expects(
    api: Api, step: str, body: dict[str, Any]
) -> None:
    base = await api.create("main", "a", "b")
    await api.put("/tags/side", {"artifact_id": base["artifact_id"]})
    await patch(api, "side", [timeout(2)])
    await patch(api, "main", [{"op": "add", "path": "/metadata", "value": {"x": 1}}])
    path = f"/workflows/main/{step}"
    stale = await api.post(path, {**body, "expected_version": 1})
    assert (stale.status_code, stale.json()["current_version"]) == (409, 2), stale.text
    assert (await api.get("/tags/main")).json()["version"] == 2
    done = await api.post(path, {**body, "expected_version": 2})
    assert done.status_code == 200, done.text


async def test_a_refusal_that_no_copy_explains_stands(api: Api, key: dict[str, str]) -> None:
    await api.create("main", "a")
    refused = await patch(api, "main", [{"op": "remove", "path": "/x"}], headers=key)
    assert refused.status_code == 422
    assert (await patch(api, "nope", [timeout(1)], headers=key)).status_code == 404


async def test_a_database_that_cannot_answer_is_not_asked_for_a_copy(
    api: Api, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create("main", "a")
    asked: list[str] = []
    get = IdempotencyRepository.get

    async def get_noted(keys: IdempotencyRepository, conn: Connection, call: Any) -> Any:
        asked.append(call.key)
        return await get(keys, conn, call)

    async def unavailable(*_: Any) -> Head:
        raise StorageUnavailable

    monkeypatch.setattr(IdempotencyRepository, "get", get_noted)
    monkeypatch.setattr(VersionService, "get_head", unavailable)
    assert (await patch(api, "main", [timeout(1)], headers=key)).status_code == 503
    assert asked == [*key.values()], "only before the change"
