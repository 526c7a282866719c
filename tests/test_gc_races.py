"""Garbage collection beside everything that takes up the very things it deletes."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.documents.workflow_prepare import prepare
from orchestrator.models.artifact import Artifact, NewVersion
from orchestrator.models.cas import WORKFLOW
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.tag import TagRepository
from orchestrator.settings import Settings
from orchestrator.wiring.services import Container, build
from tests.api import ANN, Api, chain
from tests.conftest import TOKEN, settings_for

pytestmark = pytest.mark.slow

LARGE = 5_000
SMALL = 50


@pytest.fixture
def settings(fresh_database: str) -> Settings:
    """Everything is old at once, and what is large is in storage."""
    changed = {"gc_grace_seconds": 0, "blob_inline_bytes_max": 1_000, "gc_page_items": 7}
    return settings_for(fresh_database, database_connections_max=16, **changed)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with Api.on(create_app(settings), TOKEN) as api:
        yield api


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Container]:
    c = build(settings)
    async with c.database.opened():
        yield c


async def collect(api: Api) -> list[str]:
    """One whole collection: what it deleted."""
    deleted: list[str] = []
    cursor = None
    while True:
        answer = await api.post("/gc", {"cursor": cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        deleted += [each["id"] for each in page["deleted"]]
        cursor = page["next"]
        if cursor is None:
            return deleted


@asynccontextmanager
async def collecting(api: Api, times: int = 2) -> AsyncIterator[list[str]]:
    """So many collections after another, side by side, as long as the block lasts."""
    deleted: list[str] = []
    ending = asyncio.Event()

    async def go_on() -> None:
        while not ending.is_set():
            deleted.extend(await collect(api))

    tasks = [asyncio.create_task(go_on()) for _ in range(times)]
    try:
        yield deleted
    finally:
        ending.set()
        await asyncio.gather(*tasks)


async def untagged(c: Container, document: dict[str, Any]) -> Artifact:
    """A version that no tag names: what a compaction leaves that moves no tag."""
    workflow = prepare(document, 10_000, "")
    cas_id = workflow.cas_id
    async with c.database.transaction() as conn:
        await c.cas.store_content(conn, workflow.content, WORKFLOW, cas_id=cas_id, by=ANN)
        artifact, _ = await c.artifacts.find_or_create_dag_version(
            conn,
            NewVersion(
                namespace="default",
                cas_id=cas_id,
                name=None,
                by=ANN,
                nodes_count=workflow.nodes_count,
                edges_count=workflow.edges_count,
            ),
        )
    return artifact


async def check_bytes(database: Connection, settings: Settings) -> None:
    """Every row has its bytes, every lease its blob."""
    folder = Path(urlsplit(settings.blob_store).path) / "objects"
    for key in await database.fetch("SELECT storage_key FROM cas_blob WHERE content IS NULL"):
        name: str = key["storage_key"]
        assert (folder / name[:2] / name.replace("/", ".")).exists(), name
    loose = "SELECT count(*) FROM cas_lease l LEFT JOIN cas_blob b USING (cas_id) "
    assert await database.fetchval(loose + "WHERE b.cas_id IS NULL") == 0


async def test_uploads_of_what_is_being_deleted_are_kept(
    api: Api, database: Connection, settings: Settings
) -> None:
    contents = [bytes([number]) * (SMALL if number % 2 else LARGE) for number in range(24)]
    statuses: Counter[int] = Counter()
    deletions = 0

    async def send(content: bytes, number: int) -> bool:
        if number % 2:
            answer = await api.http.put(f"/api/v1/cas/{CasId.of(content)}", content=content)
        else:
            answer = await api.http.post("/api/v1/cas", content=content)
        statuses[answer.status_code] += 1
        return answer.status_code < 300

    for turn in range(6):
        async with collecting(api) as deleted:
            for part in range(0, len(contents), 8):
                await database.execute("UPDATE cas_lease SET expires_at = now()")
                some = contents[part : part + 8]
                sent = [send(content, turn + number) for content in some for number in range(4)]
                acknowledged = await asyncio.gather(*sent)
                for content, known in zip(some, acknowledged[::4], strict=True):
                    answer = await api.http.get(f"/api/v1/cas/{CasId.of(content)}")
                    assert not known or (answer.status_code, answer.content) == (200, content)
        deletions += len(deleted)
        await check_bytes(database, settings)
    assert statuses.keys() <= {200, 201, 503}
    assert statuses[503] <= 2, "a blob is hardly ever deleted twice while it is stored"
    assert deletions >= 50, "or nothing was raced"


async def test_creates_of_what_is_being_deleted_find_it_or_make_it_again(
    api: Api, services: Container, database: Connection, settings: Settings
) -> None:
    deletions = 0
    for turn in range(8):
        documents = [chain(f"n{turn}-{number}") for number in range(6)]
        for document in documents:
            await untagged(services, document)
        async with collecting(api) as deleted:
            sent = [
                api.post("/workflows", {"tag": f"t{turn}-{number}-{caller}", "workflow": document})
                for number, document in enumerate(documents)
                for caller in range(4)
            ]
            answers = await asyncio.gather(*sent)
        deletions += len(deleted)
        assert Counter(answer.status_code for answer in answers) == {201: len(sent)}
        for answer in answers:
            found = await api.get(f"/workflows/{answer.json()['tag']}")
            assert found.json()["artifact_id"] == answer.json()["artifact_id"]
    await check_bytes(database, settings)
    assert deletions > 0, "or nothing was raced"


async def test_a_tag_put_on_what_is_being_deleted_names_it_or_is_refused(
    api: Api, services: Container
) -> None:
    statuses: Counter[int] = Counter()
    for turn in range(8):
        ids = [
            str((await untagged(services, chain(f"n{turn}-{number}"))).artifact_id)
            for number in range(8)
        ]
        async with collecting(api):
            tags = [f"t{turn}-{number}" for number in range(len(ids))]
            answers = await asyncio.gather(
                *(
                    api.put(f"/tags/{tag}", {"artifact_id": id_})
                    for tag, id_ in zip(tags, ids, strict=True)
                )
            )
        for tag, id_, answer in zip(tags, ids, answers, strict=True):
            statuses[answer.status_code] += 1
            is_there = (await api.get(f"/artifacts/{id_}")).status_code == 200
            assert is_there == (answer.status_code == 201)
            assert (await api.get(f"/workflows/{tag}")).status_code == (200 if is_there else 404)
    assert statuses.keys() <= {201, 404}


async def test_of_collections_side_by_side_each_deletes_what_no_other_does(
    api: Api, services: Container, database: Connection, settings: Settings
) -> None:
    expected: list[str] = []
    for number in range(40):
        artifact = await untagged(services, chain(f"n{number}"))
        expected += [str(artifact.artifact_id), str(artifact.cas_id)]
        await database.execute(
            "INSERT INTO lineage (child_id, parent_id, relation) SELECT $1, artifact_id, "
            "'merged_from' FROM artifact WHERE artifact_id < $1 ORDER BY artifact_id DESC LIMIT 2",
            artifact.artifact_id,
        )
    for number in range(40):
        answer = await api.http.post("/api/v1/cas", content=bytes([number]) * LARGE)
        expected.append(answer.json()["cas_id"])
    await database.execute("UPDATE cas_lease SET expires_at = now()")
    parts = await asyncio.gather(*(collect(api) for _ in range(6)))
    # What one passed over because another was at it is left to the next collection.
    found = [each for part in parts for each in part] + await collect(api)
    assert sorted(found) == sorted(expected)
    assert await database.fetchval("SELECT count(*) FROM artifact") == 0
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 0
    folder = Path(urlsplit(settings.blob_store).path) / "objects"
    assert [path for path in folder.rglob("*") if path.is_file()] == []


# -------------------------------------------- the deletion commits while the request waits for it


Beaten = Callable[..., Awaitable[Any]]


@pytest.fixture
async def beaten(fresh_database: str) -> AsyncIterator[Beaten]:
    """The answer to a request that saw what it refers to, and then it is deleted."""
    deleter, watcher = [
        await asyncpg.connect(fresh_database, connection_class=Connection) for _ in range(2)
    ]

    async def beat(request: Callable[[], Awaitable[Any]], *statements: tuple[str, Any]) -> Any:
        async with deleter.transaction():
            for statement, value in statements:
                await deleter.execute(statement, value)
            task = asyncio.ensure_future(request())
            waiting = (
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            async with asyncio.timeout(10):
                while not task.done() and not await watcher.fetchval(waiting):  # noqa: ASYNC110 - the database tells nobody.
                    await asyncio.sleep(0.01)
            assert not task.done(), (await task).text
        return await task

    yield beat
    await deleter.close()
    await watcher.close()


DELETE_ARTIFACT = "DELETE FROM artifact WHERE artifact_id = $1"
DELETE_BLOB = "DELETE FROM cas_blob WHERE cas_id = $1"
OPERATION = {"tag": "main", "expected_version": 1}


@pytest.mark.parametrize(
    "request_of",
    [
        lambda api, id_, _: api.put("/tags/new", {"artifact_id": id_}),
        lambda api, id_, _: api.put("/tags/main", {"artifact_id": id_}),
        lambda api, _, hash_: api.put("/tags/new", {"from": hash_}),
        lambda api, id_, _: api.post("/tags/main/move", {"artifact_id": id_}),
        lambda api, id_, _: api.post(
            "/transactions", {"operations": [{"op": "create", "tag": "new", "artifact_id": id_}]}
        ),
        lambda api, id_, _: api.post(
            "/transactions", {"operations": [{"op": "move", **OPERATION, "artifact_id": id_}]}
        ),
    ],
    ids=["put-new", "put", "put-from", "move", "transaction-create", "transaction-move"],
)
async def test_a_tag_that_comes_too_late_is_told_that_the_artifact_is_gone(
    api: Api, services: Container, beaten: Beaten, request_of: Callable[..., Awaitable[Any]]
) -> None:
    await api.create("main", "a")
    garbage = await untagged(services, chain("garbage"))
    id_, hash_ = str(garbage.artifact_id), str(garbage.version_hash)
    answer = await beaten(
        lambda: request_of(api, id_, hash_), (DELETE_ARTIFACT, garbage.artifact_id)
    )
    assert (answer.status_code, answer.json()["error"]) == (404, "artifact not found")
    assert (await api.get("/tags/new")).status_code == 404
    assert (await api.get("/tags/main")).json()["version"] == 1


@pytest.mark.parametrize("is_transaction", [False, True])
async def test_a_create_that_comes_too_late_makes_it_again(
    api: Api, services: Container, beaten: Beaten, is_transaction: bool
) -> None:
    document = chain("garbage")
    garbage = await untagged(services, document)

    async def create() -> Any:
        body: dict[str, Any] = {"tag": "new", "workflow": document}
        if is_transaction:
            operations = [{"op": "create_workflow", **body}]
            return await api.post("/transactions", {"operations": operations})
        return await api.post("/workflows", body)

    answer = await beaten(
        create,
        (DELETE_ARTIFACT, garbage.artifact_id),
        (DELETE_BLOB, garbage.cas_id.raw),
    )
    assert answer.status_code in {200, 201}, answer.text
    found = (await api.get("/workflows/new")).json()
    assert found["workflow"] == document
    assert found["artifact_id"] != str(garbage.artifact_id)


@pytest.mark.parametrize(
    ("repository", "method"),
    [
        (CASRepository, "list_locked"),
        (ArtifactRepository, "insert"),
        (ArtifactRepository, "list_dag_versions_locked"),
        (TagRepository, "put"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_collection_before_any_step_of_a_create_takes_nothing_from_it(
    api: Api,
    services: Container,
    database: Connection,
    repository: type,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the create has found by then is locked; what it has not, it makes again."""
    document = chain("garbage")
    garbage = await untagged(services, document)
    original = getattr(repository, method)
    deleted: list[str] = []

    async def after_a_collection(*args: Any, **options: Any) -> Any:
        deleted.extend(await asyncio.wait_for(collect(api), 5))
        return await original(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(repository, method, after_a_collection)
        answer = await api.post("/workflows", {"tag": "new", "workflow": document})
    assert answer.status_code == 201, answer.text
    found = (await api.get("/workflows/new")).json()
    assert found["workflow"] == document
    is_old = method == "put" or str(garbage.artifact_id) not in deleted
    assert (found["artifact_id"] == str(garbage.artifact_id)) == is_old
    assert (str(garbage.artifact_id) in deleted) == (method != "put")


@pytest.mark.parametrize(
    ("path", "body", "ours"),
    [
        ("merge", {"from": "{}"}, None),
        ("merge", {"from": "{}"}, ("/nodes/1/timeout_ms", 2)),
        ("cherry-pick", {"version": "{}"}, ("/nodes/1/timeout_ms", 2)),
        ("revert", {"version": "{}"}, ("/nodes/0/timeout_ms", 1)),
    ],
    ids=["fast-forward", "merge", "cherry-pick", "revert"],
)
async def test_a_change_made_from_what_is_gone_is_refused(
    api: Api,
    database: Connection,
    beaten: Beaten,
    path: str,
    body: dict[str, str],
    ours: tuple[str, int] | None,
) -> None:
    await api.create("main", "a", "b")
    await api.put("/tags/feature", {"from": "main"})
    garbage = await patch(api, "feature", "/nodes/0/timeout_ms", 1)
    if ours is not None:
        await patch(api, "main", *ours)
    await database.execute("DELETE FROM tag WHERE name = 'feature'")
    await database.execute("DELETE FROM tag_move WHERE name = 'feature'")
    before = (await api.get("/workflows/main")).json()
    given = json.loads(json.dumps(body).replace("{}", str(garbage)))
    answer = await beaten(
        lambda: api.post(f"/workflows/main/{path}", given), (DELETE_ARTIFACT, garbage)
    )
    assert (answer.status_code, answer.json()["error"]) == (404, "artifact not found")
    assert (await api.get("/workflows/main")).json() == before


async def patch(api: Api, tag: str, pointer: str, value: int) -> UUID:
    answer = await api.http.patch(
        f"/api/v1/workflows/{tag}",
        content=json.dumps([{"op": "add", "path": pointer, "value": value}]),
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert answer.status_code == 200, answer.text
    return UUID(answer.json()["artifact_id"])


async def test_an_upload_that_only_prolongs_a_lease_is_stored_if_the_blob_is_gone(
    api: Api, services: Container, database: Connection, settings: Settings, beaten: Beaten
) -> None:
    """Else it would be acknowledged, and its lease deleted with the blob."""
    content = bytes(LARGE)
    await api.http.post("/api/v1/cas", content=content)
    cas_id = CasId.of(content)
    garbage = await untagged(services, chain("garbage"))
    await database.execute(
        "INSERT INTO artifact_blob (artifact_id, role, position, cas_id)"
        " VALUES ($1, 'reference', 0, $2)",
        garbage.artifact_id,
        cas_id.raw,
    )
    await database.execute("UPDATE cas_lease SET expires_at = now()")
    answer = await beaten(
        lambda: api.http.put(f"/api/v1/cas/{cas_id}", content=content),
        (DELETE_ARTIFACT, garbage.artifact_id),
        (DELETE_BLOB, cas_id.raw),
    )
    assert answer.status_code == 201
    assert (await api.http.get(f"/api/v1/cas/{cas_id}")).content == content
    await check_bytes(database, settings)


async def test_what_somebody_is_referring_to_is_passed_over_without_waiting(
    api: Api, services: Container, database: Connection
) -> None:
    busy, free = [await untagged(services, chain(text)) for text in ("busy", "free")]
    async with database.transaction():
        for table, column, value in (
            ("artifact", "artifact_id", busy.artifact_id),
            ("cas_blob", "cas_id", busy.cas_id.raw),
        ):
            lock = f"SELECT FROM {table} WHERE {column} = $1 FOR KEY SHARE"
            await database.execute(lock, value)
        deleted = await asyncio.wait_for(collect(api), 5)
        assert deleted == [str(free.artifact_id), str(free.cas_id)]
    assert await collect(api) == [str(busy.artifact_id), str(busy.cas_id)]
