"""Requests that share a commit, with each step of it failing: they are served again, each alone,
unless the database cannot answer at all.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import Contended, StorageUnavailable
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.workflow import WorkflowRepository
from tests.api import Api, chain
from tests.test_failures import dangling

TOGETHER = 6
Answers = list[Any]
Step = tuple[type, str]


async def create(api: Api) -> Answers:
    """Each revises a tag of its own by content of its own."""
    return await asyncio.gather(
        *(
            api.post("/workflows", {"tag": f"t{number}", "workflow": chain(f"new{number}")})
            for number in range(TOGETHER)
        )
    )


async def move(api: Api) -> Answers:
    """Each moves a tag to the version that the next one names."""
    ids = [
        (await api.get(f"/tags/t{number}/history")).json()["items"][-1]["to_id"]
        for number in range(TOGETHER)
    ]
    return await asyncio.gather(
        *(
            api.post(f"/tags/t{number}/move", {"artifact_id": ids[(number + 1) % TOGETHER]})
            for number in range(TOGETHER)
        )
    )


async def upload(api: Api) -> Answers:
    return await asyncio.gather(
        *(
            api.http.post("/api/v1/cas", content=b"content %d" % number)
            for number in range(TOGETHER)
        )
    )


#: The statement that is shared, which commits itself; for one request alone too.
STEPS: dict[Callable[[Api], Awaitable[Answers]], Step] = {
    create: (WorkflowRepository, "create_new"),
    move: (TagRepository, "put_briefly"),
    upload: (CASRepository, "insert_leased"),
}
#: The first statement of a request that is served alone because another one was in the way twice.
ALONE: dict[Callable[[Api], Awaitable[Answers]], Step] = {
    create: (CASRepository, "insert"),
    move: (TagRepository, "put"),
    upload: (CASRepository, "insert"),
}
EACH = pytest.mark.parametrize("act", list(STEPS), ids=lambda act: act.__name__)
FAULT = pytest.mark.parametrize("fault", [Contended, ZeroDivisionError])


class Fault:
    """Lets a step fail the first times that it is taken, before anything is written."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        step: Step,
        fault: type[Exception],
        *,
        times: int,
    ) -> None:
        repository, method = step
        self.sizes: list[int] = []
        original = getattr(repository, method)

        async def failing(this: Any, conn: Any, several: Any, *rest: Any) -> Any:
            self.sizes.append(len(several))
            if len(self.sizes) <= times:
                raise fault
            return await original(this, conn, several, *rest)

        monkeypatch.setattr(repository, method, failing)


async def contents(database: Connection) -> dict[str, list[Any]]:
    """All rows of all tables that a write may touch."""
    tables = ("cas_blob", "cas_lease", "artifact", "artifact_blob", "lineage", "tag", "tag_move")
    return {
        table: sorted(map(str, await database.fetch(f"SELECT * FROM {table}"))) for table in tables
    }


async def prepared(api: Api) -> None:
    for number in range(TOGETHER):
        await api.create(f"t{number}", f"old{number}")
    # The first upload of a server waits for its storage.
    await api.http.post("/api/v1/cas", content=b"first")


async def succeeded(
    api: Api, database: Connection, act: Callable[[Api], Awaitable[Answers]], answers: Answers
) -> None:
    """Each request took place, once, and each got its own answer."""
    assert [answer.status_code for answer in answers] == [200 if act is move else 201] * TOGETHER, [
        answer.text for answer in answers
    ]
    assert await dangling(database) == []
    for number, answer in enumerate(answers):
        body = answer.json()
        if act is upload:
            assert body["cas_id"] == str(CasId.of(b"content %d" % number))
            assert (await api.get(f"/cas/{body['cas_id']}")).content == b"content %d" % number
            continue
        items = (await api.get(f"/tags/t{number}/history")).json()["items"]
        assert [item["seq"] for item in items] == [2, 1]
        assert items[0]["to_id"] == body["artifact_id"]
        if act is create:
            assert body["tag"] == f"t{number}"
            found = (await api.get(f"/workflows/t{number}")).json()
            assert found["workflow"] == chain(f"new{number}")
            page = (await api.get(f"/artifacts/{body['artifact_id']}/lineage")).json()
            assert [edge["parent_id"] for edge in page["items"]] == [items[1]["to_id"]]


@EACH
async def test_without_a_fault_one_statement_serves_all(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(fresh_api)
    taken = Fault(monkeypatch, STEPS[act], ZeroDivisionError, times=0)
    await succeeded(fresh_api, database, act, await act(fresh_api))
    assert taken.sizes == [TOGETHER]


@EACH
@FAULT
async def test_a_statement_that_fails_once_fails_nobody(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    fault: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(fresh_api)
    with monkeypatch.context() as patched:
        failing = Fault(patched, STEPS[act], fault, times=1)
        answers = await act(fresh_api)
    assert failing.sizes == [TOGETHER, *[1] * TOGETHER], "together, then each alone"
    await succeeded(fresh_api, database, act, answers)


@EACH
@FAULT
async def test_a_statement_that_always_fails_refuses_all_and_leaves_nothing(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    fault: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(fresh_api)
    before = await contents(database)
    with monkeypatch.context() as patched:
        failing = Fault(patched, STEPS[act], fault, times=1_000)
        alone = Fault(patched, ALONE[act], fault, times=1_000)
        answers = await act(fresh_api)
    assert {answer.status_code for answer in answers} == {503 if fault is Contended else 500}
    assert failing.sizes == [TOGETHER, *[1] * TOGETHER]
    assert alone.sizes == ([1] * TOGETHER if fault is Contended else [])
    assert await contents(database) == before
    await succeeded(fresh_api, database, act, await act(fresh_api))


@EACH
async def test_that_the_database_cannot_answer_is_told_to_all_at_once(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(fresh_api)
    before = await contents(database)
    with monkeypatch.context() as patched:
        failing = Fault(patched, STEPS[act], StorageUnavailable, times=1)
        answers = await act(fresh_api)
    assert [answer.status_code for answer in answers] == [503] * TOGETHER
    assert all(answer.headers["Retry-After"] for answer in answers)
    assert failing.sizes == [TOGETHER]
    assert await contents(database) == before
    await succeeded(fresh_api, database, act, await act(fresh_api))


@EACH
async def test_of_those_served_again_who_fails_again_is_refused_alone(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(fresh_api)
    with monkeypatch.context() as patched:
        # Together, and then the first two alone.
        Fault(patched, STEPS[act], ZeroDivisionError, times=3)
        answers = await act(fresh_api)
    good = 200 if act is move else 201
    assert sorted(answer.status_code for answer in answers) == [*[good] * (TOGETHER - 2), 500, 500]
    assert await dangling(database) == []


@EACH
async def test_who_another_request_is_in_the_way_of_again_is_served_alone(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(fresh_api)
    with monkeypatch.context() as patched:
        Fault(patched, STEPS[act], Contended, times=3)
        alone = Fault(patched, ALONE[act], Contended, times=0)
        await succeeded(fresh_api, database, act, await act(fresh_api))
    assert alone.sizes == [1, 1]


@EACH
@pytest.mark.parametrize("persisted", [False, True], ids=["rolled-back", "committed"])
async def test_what_may_have_been_committed_is_not_done_again(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    *,
    persisted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection dies on the way: nobody can tell on which side of the commit."""
    await prepared(fresh_api)
    before = await contents(database)
    repository, method = STEPS[act]
    original = getattr(repository, method)
    killed: list[int] = []

    async def dying(this: Any, conn: Connection, *rest: Any) -> Any:
        killed.append(conn.get_server_pid())
        if persisted:
            await original(this, conn, *rest)
            await database.execute("SELECT pg_terminate_backend($1)", killed[0])
            raise asyncpg.ConnectionDoesNotExistError("The answer was lost.")
        async with database.transaction():
            await database.execute("LOCK TABLE tag, cas_blob IN ACCESS EXCLUSIVE MODE")
            sent = asyncio.create_task(original(this, conn, *rest))
            await asyncio.sleep(0.05)  # It was sent, and waits for the tables.
            await database.execute("SELECT pg_terminate_backend($1, 5000)", killed[0])
        return await sent

    with monkeypatch.context() as patched:
        patched.setattr(repository, method, dying)
        answers = await act(fresh_api)
    assert len(killed) == 1
    assert [answer.status_code for answer in answers] == [503] * TOGETHER
    assert {answer.json()["type"].rpartition(":")[2] for answer in answers} == {"outcome-unknown"}
    assert not any("Retry-After" in answer.headers for answer in answers)
    assert await dangling(database) == []
    if not persisted:
        assert await contents(database) == before
        await succeeded(fresh_api, database, act, await act(fresh_api))
        return
    after = await contents(database)
    again = await act(fresh_api)
    assert {answer.status_code for answer in again} <= {200, 201}
    assert {**await contents(database), "cas_lease": []} == {**after, "cas_lease": []}


@EACH
async def test_what_was_never_sent_is_told_as_not_done(
    fresh_api: Api,
    database: Connection,
    act: Callable[[Api], Awaitable[Answers]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(fresh_api)
    before = await contents(database)
    repository, method = STEPS[act]
    original = getattr(repository, method)

    async def cut_off(this: Any, conn: Connection, *rest: Any) -> Any:
        conn.terminate()
        return await original(this, conn, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(repository, method, cut_off)
        answers = await act(fresh_api)
    told = {answer.json()["type"].rpartition(":")[2] for answer in answers}
    assert told == {"storage-unavailable"}
    assert all(answer.headers["Retry-After"] for answer in answers)
    assert await contents(database) == before
    await succeeded(fresh_api, database, act, await act(fresh_api))


# ------------------------------------------------------------------ one guilty among the innocent


async def together(api: Api, *moves: tuple[str, dict[str, Any]]) -> Answers:
    return await asyncio.gather(*(api.post(f"/tags/{tag}/move", body) for tag, body in moves))


@pytest.fixture
async def watched_api(
    fresh_api: Api, monkeypatch: pytest.MonkeyPatch
) -> tuple[Api, dict[str, list[int]]]:
    """How many were at work together, each time."""
    sizes = {
        "create": watch_step(monkeypatch, WorkflowRepository, "create_new"),
        "move": watch_step(monkeypatch, TagRepository, "put_briefly"),
        "upload": watch_step(monkeypatch, CASRepository, "insert_leased"),
    }
    return fresh_api, sizes


def watch_step(monkeypatch: pytest.MonkeyPatch, repository: type, method: str) -> list[int]:
    fault = Fault(monkeypatch, (repository, method), ZeroDivisionError, times=0)
    return fault.sizes


async def test_a_move_to_nowhere_hurts_no_neighbour(
    watched_api: tuple[Api, dict[str, list[int]]], database: Connection
) -> None:
    api, sizes = watched_api
    ids = [(await api.create(f"t{number}", f"old{number}"))["artifact_id"] for number in range(3)]
    nowhere = str(uuid4())
    answers = await together(
        api,
        ("t0", {"artifact_id": ids[1]}),
        ("t1", {"artifact_id": nowhere}),
        ("t2", {"artifact_id": ids[0]}),
    )
    assert [answer.status_code for answer in answers] == [200, 404, 200]
    assert sizes["move"] == [3]
    assert nowhere in answers[1].json()["detail"]
    assert [answers[0].json()["version"], answers[2].json()["version"]] == [2, 2]
    assert await dangling(database) == []


async def test_a_move_that_is_refused_beside_others_is_not_tried_again(
    watched_api: tuple[Api, dict[str, list[int]]], database: Connection
) -> None:
    api, sizes = watched_api
    ids = [(await api.create(f"t{number}", f"old{number}"))["artifact_id"] for number in range(5)]
    answers = await together(
        api,
        ("t0", {"artifact_id": ids[1]}),
        ("t1", {"artifact_id": ids[2], "expected_version": 7}),
        ("nope", {"artifact_id": ids[2]}),
        ("t3", {"artifact_id": ids[3]}),
        ("t4", {"artifact_id": ids[0], "expected_version": 1, "message": "last"}),
    )
    assert [answer.status_code for answer in answers] == [200, 409, 404, 200, 200]
    assert sizes["move"] == [5]
    stale = answers[1].json()
    assert (stale["current_version"], stale["current_artifact_id"]) == (1, ids[1])
    assert [answers[each].json()["version"] for each in (0, 3, 4)] == [2, 1, 2]
    assert [answers[each].json()["action"] for each in (0, 3, 4)] == ["move", None, "move"]
    assert answers[4].json()["message"] == "last"
    assert await dangling(database) == []


async def test_a_blob_in_quarantine_is_healed_beside_uploads_of_others(
    watched_api: tuple[Api, dict[str, list[int]]], database: Connection
) -> None:
    api, sizes = watched_api
    first = await api.http.post("/api/v1/cas", content=b"content 1")
    await database.execute(
        "UPDATE cas_blob SET content = 'DAMAGED', size_bytes = 7, quarantined_at = now(),"
        " quarantine_reason = 'test'"
    )
    assert first.status_code == 201
    sizes["upload"].clear()
    answers = await upload(api)
    assert [answer.status_code for answer in answers] == [201, 200, *[201] * (TOGETHER - 2)]
    assert sizes["upload"] == [TOGETHER]
    healed = await database.fetchrow(
        "SELECT content, size_bytes, quarantined_at FROM cas_blob WHERE cas_id = $1",
        CasId.of(b"content 1").raw,
    )
    assert healed is not None
    assert tuple(healed) == (b"content 1", 9, None)
    assert await dangling(database) == []


async def test_a_document_whose_bytes_differ_is_healed_beside_creates_of_others(
    watched_api: tuple[Api, dict[str, list[int]]], database: Connection
) -> None:
    api, sizes = watched_api
    made = await api.create("damaged", "new2")
    await database.execute("UPDATE cas_blob SET content = overlay(content PLACING 'X' FROM 3)")
    sizes["create"].clear()
    answers = await create(api)
    assert [answer.status_code for answer in answers] == [201] * TOGETHER
    assert sizes["create"] == [TOGETHER]
    assert answers[2].json()["artifact_id"] == made["artifact_id"]
    for number in range(TOGETHER):
        found = await api.get(f"/workflows/t{number}")
        assert found.json()["workflow"] == chain(f"new{number}")
    assert await dangling(database) == []


async def test_one_whose_statement_the_database_refuses_hurts_no_neighbour(
    fresh_api: Api, database: Connection
) -> None:
    """As a foreign key does when what a tag is moved to is deleted in that moment."""
    await prepared(fresh_api)
    await database.execute(
        "ALTER TABLE tag ADD CONSTRAINT no_t3 CHECK (name <> 't3' OR version < 2)"
    )
    answers = await create(fresh_api)
    statuses = [answer.status_code for answer in answers]
    assert statuses == [201, 201, 201, 500, 201, 201]
    answers = await move(fresh_api)
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 200, 200, 500, 200, 200]
    assert await dangling(database) == []


async def test_a_create_that_is_malformed_never_comes_to_the_others(
    watched_api: tuple[Api, dict[str, list[int]]], database: Connection
) -> None:
    api, sizes = watched_api
    answers = await asyncio.gather(
        api.post("/workflows", {"tag": "a", "workflow": chain("a")}),
        api.post("/workflows", {"tag": "b", "workflow": chain("b", "b")}),
        api.post("/workflows", {"tag": "c", "workflow": chain("c")}),
    )
    assert [answer.status_code for answer in answers] == [201, 422, 201]
    assert sizes["create"] == [2]
    assert await dangling(database) == []


async def test_a_caller_that_goes_away_takes_nobody_with_him(
    fresh_api: Api, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepared(fresh_api)
    original = WorkflowRepository.create_new
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def waiting(*args: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await original(*args)

    monkeypatch.setattr(WorkflowRepository, "create_new", waiting)
    asked = [
        asyncio.create_task(
            fresh_api.post("/workflows", {"tag": f"t{number}", "workflow": chain(f"new{number}")})
        )
        for number in range(TOGETHER)
    ]
    await begun.wait()
    asked[0].cancel()
    go_on.set()
    await asyncio.wait(asked)
    assert asked[0].cancelled()
    assert [each.result().status_code for each in asked[1:]] == [201] * (TOGETHER - 1)
    for number in range(TOGETHER):
        items = (await fresh_api.get(f"/tags/t{number}/history")).json()["items"]
        assert [item["seq"] for item in items] == [2, 1], "also what was begun for him is done"
    assert await dangling(database) == []
