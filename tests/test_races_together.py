"""Many at once who share commits, on one server and on two: one winner, nothing lost or doubled."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import pytest

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from tests.api import Api, chain
from tests.conftest import TOKEN, settings_for
from tests.test_failures import dangling

pytestmark = pytest.mark.slow

CALLERS = 64


@pytest.fixture
async def two(fresh_database: str) -> AsyncIterator[list[Api]]:
    """Two servers on one database."""
    settings = settings_for(fresh_database)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Api.on(create_app(settings), TOKEN)) for _ in "ab"]


async def history(api: Api, tag: str) -> list[dict[str, Any]]:
    """Oldest first, without a gap, each move from where the one before led."""
    answer = await api.get(f"/tags/{tag}/history", params={"limit": 1000})
    items: list[dict[str, Any]] = answer.json().get("items", [])[::-1]
    assert [item["seq"] for item in items] == list(range(1, len(items) + 1))
    for older, newer in pairwise(items):
        assert newer["from_id"] == older["to_id"]
        assert newer["moved_at"] >= older["moved_at"]
    return items


async def test_of_creates_of_one_tag_one_creates_and_the_others_move_it(
    two: list[Api], database: Connection
) -> None:
    answers = await asyncio.gather(
        *(
            two[number % 2].post("/workflows", {"tag": "main", "workflow": chain(f"n{number}")})
            for number in range(CALLERS)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    bodies = [answer.json() for answer in answers]
    assert Counter(body["action"] for body in bodies) == {"create": 1, "move": CALLERS - 1}
    items = await history(two[0], "main")
    assert {item["seq"]: item["to_id"] for item in items} == {
        body["tag_version"]: body["artifact_id"] for body in bodies
    }
    assert len(items) == CALLERS
    assert await dangling(database) == []


async def test_creates_of_the_same_content_under_different_tags_share_one_version(
    two: list[Api], database: Connection
) -> None:
    answers = await asyncio.gather(
        *(
            two[number % 2].post("/workflows", {"tag": f"t{number}", "workflow": chain("same")})
            for number in range(CALLERS)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["artifact_id"] for answer in answers}) == 1
    assert [answer.json()["tag"] for answer in answers] == [f"t{n}" for n in range(CALLERS)]
    assert {answer.json()["action"] for answer in answers} == {"create"}
    assert await database.fetchval("SELECT count(*) FROM artifact") == 1
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1
    assert await database.fetchval("SELECT count(*) FROM tag") == CALLERS
    assert await dangling(database) == []


async def test_the_same_create_by_all_is_one_create_and_all_get_its_answer(
    two: list[Api], database: Connection
) -> None:
    body = {"tag": "main", "workflow": chain("same")}
    answers = await asyncio.gather(
        *(two[number % 2].post("/workflows", body) for number in range(CALLERS))
    )
    assert {answer.status_code for answer in answers} == {201}
    actions = Counter(answer.json()["action"] for answer in answers)
    assert actions == {"create": 1, None: CALLERS - 1}
    assert len(await history(two[0], "main")) == 1
    assert await dangling(database) == []


async def test_of_moves_from_one_version_exactly_one_wins_and_the_others_learn_who(
    two: list[Api], database: Connection
) -> None:
    ids = [(await two[0].create(f"s{n}", f"n{n}"))["artifact_id"] for n in range(8)]
    await two[0].put("/tags/main", {"artifact_id": ids[0]})
    for version in (1, 2, 3):
        moves = [
            (two[number % 2], ids[(version * 3 + number) % 7 + 1]) for number in range(CALLERS)
        ]
        current = (await two[0].get("/tags/main")).json()["artifact_id"]
        answers = await asyncio.gather(
            *(
                api.post("/tags/main/move", {"artifact_id": to, "expected_version": version})
                for api, to in moves
                if to != current
            )
        )
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses == {200: 1, 409: len(answers) - 1}
        won = next(answer.json() for answer in answers if answer.status_code == 200)
        assert (won["version"], won["action"]) == (version + 1, "move")
        assert {
            (answer.json()["current_version"], answer.json()["current_artifact_id"])
            for answer in answers
            if answer.status_code == 409
        } == {(version + 1, won["artifact_id"])}
        assert len(await history(two[0], "main")) == version + 1
    assert await dangling(database) == []


async def test_moves_of_different_tags_share_commits_and_each_takes_place(
    two: list[Api], database: Connection
) -> None:
    ids = [(await two[0].create(f"t{n}", f"n{n}"))["artifact_id"] for n in range(16)]
    for turn in range(1, 5):
        answers = await asyncio.gather(
            *(
                two[number % 2].post(
                    f"/tags/t{number % 16}/move",
                    {"artifact_id": ids[(number + turn) % 16], "message": str(number)},
                )
                for number in range(CALLERS)
            )
        )
        assert {answer.status_code for answer in answers} == {200}
        # Four move each tag to the same place: one of them moves it.
        moved = [answer.json()["name"] for answer in answers if answer.json()["action"]]
        assert sorted(moved) == sorted(f"t{number}" for number in range(16))
        assert {answer.json()["version"] for answer in answers} == {turn + 1}
    assert await dangling(database) == []


async def test_of_uploads_of_the_same_bytes_on_one_server_one_is_new_in_each_namespace(
    two: list[Api], database: Connection
) -> None:
    answers = await asyncio.gather(
        *(
            two[0].http.post(f"/api/v1/cas?namespace=space-{number % 3}", content=b"same bytes")
            for number in range(CALLERS)
        )
    )
    for space in range(3):
        statuses = Counter(answer.status_code for answer in answers[space::3])
        assert statuses == {201: 1, 200: len(answers[space::3]) - 1}
        bodies = {answer.text for answer in answers[space::3]}
        assert len(bodies) == 1, "all are told the same of the blob"
    assert {answer.json()["cas_id"] for answer in answers} == {str(CasId.of(b"same bytes"))}
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1
    assert await database.fetchval("SELECT count(*) FROM cas_lease") == 3


async def test_uploads_of_the_same_bytes_on_two_servers_all_succeed(
    two: list[Api], database: Connection
) -> None:
    answers = await asyncio.gather(
        *(
            two[number % 2].http.post("/api/v1/cas", content=b"same bytes")
            for number in range(CALLERS)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CALLERS - 1}
    assert len({answer.text for answer in answers}) == 1
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1


async def test_uploads_and_creates_of_the_same_bytes_do_not_get_into_each_others_way(
    two: list[Api], database: Connection
) -> None:
    """What is a document here is a blob there, and both are stored sorted by name."""
    documents = []
    for number in range(8):
        await two[0].create("probe", f"n{number}")
        found = await two[0].get("/workflows/probe")
        name = found.json()["cas_id"]
        documents.append((await two[0].get(f"/cas/{name}")).content)
    await database.execute("TRUNCATE tag, tag_move, artifact, cas_blob CASCADE")
    calls = []
    for number in range(CALLERS):
        api, which = two[number % 2], (number * 5) % 8
        calls += [
            api.http.post("/api/v1/cas", content=documents[which]),
            api.post("/workflows", {"tag": f"t{number}", "workflow": chain(f"n{which}")}),
        ]
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 8
    assert await database.fetchval("SELECT count(*) FROM artifact") == 8
    assert await dangling(database) == []


class Mixed:
    """Writers of all kinds over few tags, and what each was told that he did."""

    TAGS = ("a", "b", "c", "d", "e")

    def __init__(self, servers: list[Api], ids: list[str], seed: int) -> None:
        self.servers = servers
        self.ids = ids
        self.chosen = random.Random(seed)
        self.moves: list[tuple[str, int, str, str | None]] = []
        self.statuses: Counter[tuple[str, int]] = Counter()

    async def act(self, number: int) -> None:
        chosen = self.chosen
        api = chosen.choice(self.servers)
        tag, to = chosen.choice(self.TAGS), chosen.choice(self.ids)
        version = chosen.choice([None, None, chosen.randrange(1, 30)])
        kind = chosen.choice(["create", "move", "move", "move", "delete", "undo", "transaction"])
        if kind == "create":
            body = {"tag": tag, "workflow": chain(f"n{number % 12}")}
            answer = await api.post("/workflows", body)
        elif kind == "move":
            move: dict[str, Any] = {"artifact_id": to}
            if version is not None:
                move["expected_version"] = version
            answer = await api.post(f"/tags/{tag}/move", move)
        elif kind == "delete":
            answer = await api.delete(f"/tags/{tag}")
        elif kind == "undo":
            answer = await api.post(f"/tags/{tag}/undo")
        else:
            tags = chosen.sample(self.TAGS, 3)
            operations: list[dict[str, Any]] = [
                {"op": "create_workflow", "tag": each, "workflow": chain(f"n{number % 12}")}
                for each in tags[:2]
            ]
            operations.append({"op": "move", "tag": tags[2], "artifact_id": to})
            answer = await api.post("/transactions", {"operations": operations})
        self.statuses[kind, answer.status_code] += 1
        if answer.status_code < 300:
            self.note(kind, answer.json())

    def note(self, kind: str, body: dict[str, Any]) -> None:
        told = body["results"] if kind == "transaction" else [body]
        for each in told:
            if each.get("action") or kind == "delete":
                tag = each.get("tag") or each["name"]
                number = each.get("tag_version") or each["version"]
                action = each.get("action") or "delete"
                self.moves.append((tag, number, action, each.get("artifact_id")))


@pytest.mark.parametrize("seed", range(3))
async def test_writers_of_all_kinds_on_two_servers_lose_and_double_nothing(
    two: list[Api], database: Connection, seed: int
) -> None:
    ids = [(await two[0].create(f"s{n}", f"s{n}"))["artifact_id"] for n in range(4)]
    mixed = Mixed(two, ids, seed)
    for start in range(0, 4 * CALLERS, CALLERS):
        await asyncio.gather(*(mixed.act(start + number) for number in range(CALLERS)))
    expected = {200, 201, 404, 409}
    assert {status for _, status in mixed.statuses} <= expected, mixed.statuses
    recorded = [
        (tag, item["seq"], item["action"], item["to_id"])
        for tag in Mixed.TAGS
        for item in await history(two[1], tag)
    ]
    # Each that was acknowledged is there exactly once, and there is no other.
    assert sorted(mixed.moves, key=str) == sorted(recorded, key=str)
    assert len(recorded) > CALLERS
    assert await dangling(database) == []
