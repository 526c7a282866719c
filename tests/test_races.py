"""N concurrent callers, one winner: on the real application, with real concurrency."""

import asyncio
from collections import Counter
from itertools import pairwise
from uuid import UUID

from orchestrator.core.database import Connection, Database
from orchestrator.core.digest import CasId
from orchestrator.errors import VersionConflict
from orchestrator.models.artifact import NewVersion
from orchestrator.models.tag import Action
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.artifact_search import ArtifactSearchRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.cas_visible import VisibleBlobRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_move import TagMoveRepository
from orchestrator.repository.tag_step import TagStepRepository
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from tests.api import ANN, Api, chain
from tests.service.conftest import order

CALLERS = 64


async def seqs(api: Api, tag: str) -> list[int]:
    items = (await api.get(f"/tags/{tag}/history", params={"limit": 1000})).json()["items"]
    return sorted(item["seq"] for item in items)


async def versions(conn: Connection, namespace: str) -> list[UUID]:
    """Something that a tag can name, eight times."""
    cas = CASService(
        CASRepository(), VisibleBlobRepository(), document_bytes_max=100, lease_seconds=1
    )
    artifacts = ArtifactService(
        ArtifactRepository(), LineageRepository(), ArtifactSearchRepository()
    )
    ids = []
    for number in range(8):
        content = f"{namespace} {number}".encode()
        blob = (await cas.store_content(conn, content, "text/plain", by=ANN)).blob
        new = NewVersion(
            namespace=namespace,
            cas_id=blob.cas_id,
            name=None,
            by=ANN,
            nodes_count=0,
            edges_count=0,
        )
        artifact, _ = await artifacts.find_or_create_dag_version(conn, new)
        ids.append(artifact.artifact_id)
    return ids


async def test_of_concurrent_first_creates_one_creates_and_the_others_move(api: Api) -> None:
    answers = await asyncio.gather(
        *(
            api.post("/workflows", {"tag": "main", "workflow": chain(f"n{number}")})
            for number in range(CALLERS)
        )
    )
    actions = Counter(answer.json()["action"] for answer in answers)
    assert actions == {"create": 1, "move": CALLERS - 1}
    assert await seqs(api, "main") == list(range(1, CALLERS + 1))


async def test_of_concurrent_creates_of_an_absent_tag_exactly_one_wins(api: Api) -> None:
    answers = await asyncio.gather(
        *(
            api.post(
                "/workflows",
                {"tag": "main", "workflow": chain(f"n{number}")},
                headers={"If-None-Match": "*"},
            )
            for number in range(CALLERS)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: CALLERS - 1}
    assert await seqs(api, "main") == [1]
    assert len((await api.get("/artifacts")).json()["items"]) == 1, "losers leave nothing behind"


async def test_of_concurrent_moves_from_one_version_exactly_one_wins(api: Api) -> None:
    ids = [(await api.create(f"s{n}", f"n{n}"))["artifact_id"] for n in range(8)]
    await api.put("/tags/main", {"artifact_id": ids[0]})
    answers = await asyncio.gather(
        *(
            api.post(
                "/tags/main/move",
                {"artifact_id": ids[1 + number % 7], "expected_version": 1},
            )
            for number in range(CALLERS)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: CALLERS - 1}
    assert await seqs(api, "main") == [1, 2]


async def test_of_concurrent_compare_and_swaps_exactly_one_is_true(shared_database: str) -> None:
    database = Database(shared_database, connections_max=16)
    tags = TagService(TagRepository(), TagMoveRepository(), TagStepRepository())
    async with database.opened():
        async with database.transaction() as conn:
            ids = await versions(conn, "races")
            await tags.create(conn, order("main", ids[0], namespace="races"))

        async def swap(number: int) -> bool:
            async with database.transaction() as conn:
                target = ids[1 + number % 7]
                return await tags.compare_and_swap(
                    conn, order("main", target, expected={1}, namespace="races")
                )

        won = await asyncio.gather(*(swap(number) for number in range(CALLERS)))
        assert Counter(won) == {True: 1, False: CALLERS - 1}


async def test_concurrent_undos_each_take_one_step(api: Api) -> None:
    for number in range(10):
        await api.create("main", f"n{number}")
    answers = await asyncio.gather(*(api.post("/tags/main/undo") for _ in range(12)))
    assert Counter(answer.status_code for answer in answers) == {200: 9, 409: 3}
    assert (await api.get("/workflows/main")).json()["workflow"] == chain("n0")
    assert await seqs(api, "main") == list(range(1, 20))


async def test_moves_undos_deletes_and_creates_together_leave_a_gap_free_history(
    api: Api,
) -> None:
    ids = [(await api.create(f"s{n}", f"n{n}"))["artifact_id"] for n in range(4)]

    async def act(number: int) -> None:
        match number % 5:
            case 0:
                await api.post("/tags/main/undo")
            case 1:
                await api.delete("/tags/main")
            case 2:
                await api.post("/tags/main/redo")
            case _:
                await api.put("/tags/main", {"artifact_id": ids[number % 4]})

    await asyncio.gather(*(act(number) for number in range(100)))
    items = (await api.get("/tags/main/history", params={"limit": 1000})).json()["items"]
    assert [item["seq"] for item in items] == list(range(len(items), 0, -1))
    for newer, older in pairwise(items):
        assert newer["from_id"] == older["to_id"]
        assert newer["moved_at"] >= older["moved_at"]
    assert items[-1]["action"] == Action.CREATE


async def test_the_same_content_stored_by_many_at_once_is_one_blob(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.http.post("/api/v1/cas", content=b"same bytes") for _ in range(CALLERS))
    )
    assert {answer.json()["cas_id"] for answer in answers} == {str(CasId.of(b"same bytes"))}
    assert {answer.status_code for answer in answers} <= {200, 201}


async def test_a_hundred_requests_at_once_are_all_answered(api: Api) -> None:
    await api.create("main", "a")
    answers = await asyncio.gather(*(api.get("/workflows/main") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_move_that_is_acknowledged_has_happened(shared_database: str) -> None:
    """Also for callers that expect the version that another is just making."""
    database = Database(shared_database, connections_max=8)
    tags = TagService(TagRepository(), TagMoveRepository(), TagStepRepository())
    wrong = acknowledged = 0
    async with database.opened():
        async with database.transaction() as conn:
            ids = await versions(conn, "races-2")
            version = (
                await tags.create(conn, order("main", ids[0], namespace="races-2"))
            ).tag.version

        async def move(number: int, expected: int) -> bool | None:
            try:
                async with database.transaction() as conn:
                    change = await tags.move(
                        conn, order("main", ids[number], expected=(expected,), namespace="races-2")
                    )
            except VersionConflict:
                return None
            return change.action is Action.MOVE and change.tag.target_id == ids[number]

        for turn in range(150):
            first = 1 + turn % 2
            results = await asyncio.gather(
                move(first, version), *(move(number, version + 1) for number in range(3, 8))
            )
            acknowledged += sum(result is not None for result in results)
            wrong += sum(result is False for result in results)
            async with database.connection() as conn:
                version = (await tags.get(conn, "races-2", "main")).version
    assert acknowledged >= 150
    assert wrong == 0
