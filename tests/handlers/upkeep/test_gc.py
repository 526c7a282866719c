"""`POST /gc` and the schedule, on the real application: pages, storage, refusals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from orchestrator.errors import MaintenanceHeld, StorageUnavailable
from orchestrator.handlers.upkeep.gc import Collector
from orchestrator.jobs.schedule import Schedule
from orchestrator.jobs.storage_gate import StorageGate
from orchestrator.models.upkeep.maintenance import MAINTENANCE_LOCK, SCHEDULE_LOCK
from orchestrator.repository.upkeep.gc import GCRepository
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository
from orchestrator.service.upkeep.gc import GCService
from orchestrator.settings import Settings
from orchestrator.storage.filesystem import FilesystemStorage
from orchestrator.telemetry import metrics
from orchestrator.wiring.services import build
from tests.api import Api
from tests.conftest import TOKEN, settings_for

UNLOCK = "SELECT pg_advisory_unlock($1)"
#: More than is stored in the database.
LARGE = 5_000
SHARED: dict[str, object] = {"gc_grace_seconds": 0, "blob_inline_bytes_max": 1_000}


@pytest.fixture
def settings(fresh_database: str) -> Callable[..., Settings]:
    return lambda **changed: settings_for(fresh_database, **{**SHARED, **changed})


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Api]:
    async with Api.on(create_app(settings), TOKEN) as api:
        yield api


@pytest.fixture
async def api(settings: Callable[..., Settings]) -> AsyncIterator[Api]:
    async with serving(settings()) as api:
        yield api


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(fresh_database, connection_class=Connection)
    yield connection
    await connection.close()


async def upload(api: Api, database: Connection, *contents: bytes) -> list[str]:
    """Blobs whose leases are over."""
    names = []
    for content in contents:
        answer = await api.http.post("/api/v1/cas", content=content)
        assert answer.status_code == 201, answer.text
        names.append(answer.json()["cas_id"])
    await database.execute("UPDATE cas_lease SET expires_at = now()")
    return names


async def collect(api: Api, **members: Any) -> dict[str, Any]:
    """All pages in one."""
    whole: dict[str, Any] = {"deleted": [], "kept": [], "bytes_freed": 0}
    cursor = None
    while True:
        given = members if cursor is None else {**members, "cursor": cursor}
        answer = await api.post("/gc", given)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        whole["deleted"] += page["deleted"]
        whole["kept"] += page.get("kept", [])
        whole["bytes_freed"] += page["bytes_freed"]
        cursor = page["next"]
        if cursor is None:
            return whole


def objects(settings: Settings) -> list[Path]:
    folder = Path(urlsplit(settings.blob_store).path) / "objects"
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_nothing_holds_is_deleted_with_its_object(
    api: Api, database: Connection, settings: Callable[..., Settings]
) -> None:
    created = await api.create("main", "a")
    small, large = await upload(api, database, b"small", bytes(LARGE))
    assert len(objects(settings())) == 1
    predicted = await collect(api, dry_run=True)
    assert len(objects(settings())) == 1
    assert {each["id"] for each in predicted["deleted"]} == {small, large}
    answer = (await api.post("/gc", {"cursor": None})).json()
    assert answer.keys() == {"deleted", "artifacts_deleted", "blobs_deleted", "bytes_freed", "next"}
    whole = await collect(api)
    assert whole == predicted
    assert whole["deleted"][0].keys() == {"kind", "id", "size_bytes", "stored_bytes"}
    assert {each["size_bytes"] for each in whole["deleted"]} == {5, LARGE}
    assert whole["bytes_freed"] == sum(each["stored_bytes"] for each in whole["deleted"])
    assert objects(settings()) == []
    assert (await api.get(f"/cas/{small}")).status_code == 404
    assert (await api.get("/workflows/main")).json()["cas_id"] == created["cas_id"]


async def test_the_reasons_are_told_if_asked_for(api: Api, database: Connection) -> None:
    first = await api.create("main", "a")
    second = await api.create("main", "b")
    leased = (await api.http.post("/api/v1/cas", content=b"leased")).json()["cas_id"]
    kept = {each.pop("id"): each for each in (await collect(api, explain=True, limit=1))["kept"]}
    assert kept.keys() == {
        *(each[key] for each in (first, second) for key in ("artifact_id", "cas_id")),
        leased,
    }
    assert kept[first["artifact_id"]] == {
        "kind": "artifact",
        "namespace": "default",
        "reason": "was-named",
        "by": "default/main@1",
        "detail": "was named by tag default/main at version 1",
    }
    assert kept[second["artifact_id"]]["detail"] == "named by tag default/main"
    assert kept[second["cas_id"]] == {
        "kind": "blob",
        "reason": "content",
        "by": second["artifact_id"],
        "detail": f"content of artifact {second['artifact_id']}",
    }
    assert kept[leased]["reason"] == "leased"
    assert kept[leased]["detail"].startswith("leased to default until 20")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"dry": True}, ""),
        ({"dry_run": "yes"}, "/dry_run"),
        ({"limit": 0}, "/limit"),
        ({"limit": 1_001}, "/limit"),
        ({"cursor": "nonsense"}, "/cursor"),
        ({"cursor": "WyJmaXNoIl0"}, "/cursor"),
    ],
)
async def test_what_cannot_be_meant_is_refused(api: Api, body: Any, pointer: str) -> None:
    answer = await api.post("/gc", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_no_parameter_and_no_other_body_is_taken(api: Api) -> None:
    assert (await api.post("/gc?namespace=x", {})).status_code == 400
    assert (await api.http.post("/api/v1/gc", content=b"")).status_code == 415


async def test_room_is_made_on_a_full_disk(
    settings: Callable[..., Settings], api: Api, database: Connection
) -> None:
    names = await upload(api, database, bytes(LARGE))
    async with serving(settings(disk_free_bytes_min=2**60)) as full:
        assert (await full.http.post("/api/v1/cas", content=b"x")).status_code == 507
        assert [each["id"] for each in (await collect(full))["deleted"]] == names


async def test_a_storage_that_fails_keeps_the_object_as_a_leftover(
    api: Api,
    database: Connection,
    settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contents = [bytes([number]) * LARGE for number in range(20)]
    names = await upload(api, database, *contents)
    asked: list[str] = []

    async def failing(_: Any, key: str) -> None:
        asked.append(key)
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStorage, "delete", failing)
        deleted = (await collect(api))["deleted"]
    assert sorted(each["id"] for each in deleted) == sorted(names)
    assert 0 < len(asked) < len(names), "a storage that is down is not asked for every object"
    assert len(objects(settings())) == len(names)
    # What comes again is as good as new: its object has another key.
    again = await api.http.post("/api/v1/cas", content=contents[0])
    assert again.status_code == 201
    assert (await api.http.get(f"/api/v1/cas/{names[0]}")).content == contents[0]


async def test_one_object_that_cannot_be_deleted_does_not_keep_the_others(
    api: Api,
    database: Connection,
    settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await upload(api, database, *(bytes([number]) * LARGE for number in range(20)))
    original, failed = FilesystemStorage.delete, iter([True])

    async def failing_once(self: FilesystemStorage, key: str) -> None:
        if next(failed, False):
            raise OSError("defect")
        await original(self, key)

    monkeypatch.setattr(FilesystemStorage, "delete", failing_once)
    assert len((await collect(api))["deleted"]) == 20
    assert len(objects(settings())) == 1


async def test_another_storage_than_that_of_the_database_is_left_alone(
    settings: Callable[..., Settings], api: Api, database: Connection, tmp_path: Path
) -> None:
    await upload(api, database, bytes(LARGE))
    async with serving(settings(blob_store=tmp_path.as_uri())) as other:
        assert (await other.post("/gc", {})).status_code == 503
        assert (await other.post("/gc", {"dry_run": True})).status_code == 200
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_backup_holds_it_off(api: Api, database: Connection, dry_run: bool) -> None:
    names = await upload(api, database, b"garbage")
    await MaintenanceRepository().lock_exclusive(database)
    for cursor in (None, "WyJibG9icyJd"):
        refused = await api.post("/gc", {"dry_run": dry_run, "cursor": cursor})
        assert (refused.status_code, refused.json()["error"]) == (409, "maintenance held")
        assert refused.json()["type"] == "urn:orchestrator:problem:maintenance-held"
        assert "backup is running" in refused.json()["detail"]
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1
    await database.execute(UNLOCK, MAINTENANCE_LOCK)
    assert [each["id"] for each in (await collect(api, dry_run=dry_run))["deleted"]] == names


# ---------------------------------------------------------------------------- failures of a page


@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed-after-persisting"])
@pytest.mark.parametrize("step", ["delete_artifact", "delete_blobs"])
async def test_a_page_that_fails_deletes_nothing(
    api: Api,
    database: Connection,
    settings: Callable[..., Settings],
    step: str,
    persisted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await upload(api, database, b"small", bytes(LARGE))
    for tag in ("a", "b"):
        await api.create(tag, tag)
    await database.execute("DELETE FROM tag; DELETE FROM tag_move")
    original = getattr(GCRepository, step)

    async def failing(*args: Any) -> Any:
        if persisted:
            await original(*args)
        raise StorageUnavailable

    before = await counts(database)
    with monkeypatch.context() as patched:
        patched.setattr(GCRepository, step, failing)
        at = None if step == "delete_artifact" else "WyJibG9icyJd"
        answer = await api.post("/gc", {"cursor": at})
    assert answer.status_code == 503
    assert await counts(database) == before
    assert len(objects(settings())) == 1
    await collect(api)
    assert await counts(database) == (0, 0, 0)
    assert objects(settings()) == []


async def counts(database: Connection) -> tuple[int, ...]:
    tables = ("artifact", "cas_blob", "cas_lease")
    return tuple([await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables])


# ---------------------------------------------------------------------------------- the schedule


@pytest.fixture
def outcomes() -> Callable[[str], float]:
    def value(outcome: str) -> float:
        return metrics.GC_RUNS.labels(outcome).value

    before = {outcome: value(outcome) for outcome in ("done", "held", "failed")}
    return lambda outcome: value(outcome) - before[outcome]


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells of a count.
            await asyncio.sleep(0.01)


async def test_a_server_collects_by_itself_and_ends_with_its_shutdown(
    settings: Callable[..., Settings],
    api: Api,
    database: Connection,
    outcomes: Callable[[str], float],
) -> None:
    await upload(api, database, b"small", bytes(LARGE))
    async with serving(settings(gc_interval_seconds=0.05, gc_page_items=1)):
        await until(lambda: outcomes("done") >= 2)
    assert await counts(database) == (0, 0, 0)
    assert objects(settings()) == []
    done = outcomes("done")
    await asyncio.sleep(0.2)
    assert outcomes("done") == done
    assert [task for task in asyncio.all_tasks() if "Schedule" in repr(task)] == []


async def test_without_an_interval_nothing_is_collected(
    settings: Callable[..., Settings], outcomes: Callable[[str], float]
) -> None:
    async with serving(settings(gc_interval_seconds=0)):
        await asyncio.sleep(0.2)
        assert [task for task in asyncio.all_tasks() if "Schedule" in repr(task)] == []
    assert outcomes("done") == 0


async def test_the_schedule_survives_a_backup_a_dead_storage_and_a_defect(
    settings: Callable[..., Settings],
    api: Api,
    database: Connection,
    outcomes: Callable[[str], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await upload(api, database, b"garbage")
    await MaintenanceRepository().lock_exclusive(database)
    async with serving(settings(gc_interval_seconds=0.05)):
        await until(lambda: outcomes("held") >= 2)
        for fault in (StorageUnavailable, ZeroDivisionError):
            failed = outcomes("failed")

            async def failing(*_: Any, fault: type[Exception] = fault, **__: Any) -> Any:
                raise fault

            with monkeypatch.context() as patched:
                patched.setattr(GCService, "collect", failing)
                await until(lambda failed=failed: outcomes("failed") >= failed + 2)  # type: ignore[misc]
        assert outcomes("done") == 0
        await database.execute(UNLOCK, MAINTENANCE_LOCK)
        await until(lambda: outcomes("done") >= 1)
    assert await counts(database) == (0, 0, 0)


async def test_of_all_servers_one_follows_the_schedule_at_a_time(
    settings: Callable[..., Settings], api: Api, database: Connection
) -> None:
    await upload(api, database, b"garbage")
    c = build(settings())
    collector = Collector(c.database, c.gc, StorageGate(c.database, c.identity, c.disk))
    schedule = Schedule(c.database, c.gc, collector, interval_seconds=0, page_items=10)
    async with c.database.opened():
        await database.execute("SELECT pg_advisory_lock($1)", SCHEDULE_LOCK)
        assert await schedule.collect() is False
        assert await counts(database) == (0, 1, 1)
        await database.execute(UNLOCK, SCHEDULE_LOCK)
        assert await schedule.collect() is True
        assert await counts(database) == (0, 0, 0)
        assert c.database.in_use == 0
        free = "SELECT pg_try_advisory_lock($1)"
        assert await database.fetchval(free, SCHEDULE_LOCK), "the claim ends with the collection"


async def test_the_claim_of_the_schedule_ends_also_with_a_collection_that_was_held_off(
    settings: Callable[..., Settings], api: Api, database: Connection
) -> None:
    c = build(settings())
    collector = Collector(c.database, c.gc, StorageGate(c.database, c.identity, c.disk))
    schedule = Schedule(c.database, c.gc, collector, interval_seconds=0, page_items=10)
    await upload(api, database, b"garbage")
    await MaintenanceRepository().lock_exclusive(database)
    async with c.database.opened():
        with pytest.raises(MaintenanceHeld):
            await schedule.collect()
        assert await database.fetchval("SELECT pg_try_advisory_lock($1)", SCHEDULE_LOCK)
