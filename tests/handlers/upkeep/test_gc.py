"""`POST /gc` on the real application: pages, storage, refusals."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.database import Connection
from orchestrator.errors import StorageUnavailable
from orchestrator.repository.upkeep.gc import GCRepository
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository
from orchestrator.settings import Settings
from orchestrator.storage.filesystem import FilesystemStorage
from tests.api import Api
from tests.collecting import LARGE, UNLOCK, objects, serving, upload


@pytest.fixture
async def api(server_settings: Callable[..., Settings]) -> AsyncIterator[Api]:
    async with serving(server_settings()) as api:
        yield api


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


async def test_what_nothing_holds_is_deleted_with_its_object(
    api: Api, database: Connection, server_settings: Callable[..., Settings]
) -> None:
    created = await api.create("main", "a")
    small, large = await upload(api, database, b"small", bytes(LARGE))
    assert len(objects(server_settings())) == 1
    predicted = await collect(api, dry_run=True)
    assert len(objects(server_settings())) == 1
    assert {each["id"] for each in predicted["deleted"]} == {small, large}
    answer = (await api.post("/gc", {"cursor": None})).json()
    assert answer.keys() == {"deleted", "artifacts_deleted", "blobs_deleted", "bytes_freed", "next"}
    whole = await collect(api)
    assert whole == predicted
    assert whole["deleted"][0].keys() == {"kind", "id", "size_bytes", "stored_bytes"}
    assert {each["size_bytes"] for each in whole["deleted"]} == {5, LARGE}
    assert whole["bytes_freed"] == sum(each["stored_bytes"] for each in whole["deleted"])
    assert objects(server_settings()) == []
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
    server_settings: Callable[..., Settings], api: Api, database: Connection
) -> None:
    names = await upload(api, database, bytes(LARGE))
    async with serving(server_settings(disk_free_bytes_min=2**60)) as full:
        assert (await full.http.post("/api/v1/cas", content=b"x")).status_code == 507
        assert [each["id"] for each in (await collect(full))["deleted"]] == names


async def test_a_storage_that_fails_keeps_the_object_as_a_leftover(
    api: Api,
    database: Connection,
    server_settings: Callable[..., Settings],
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
    assert len(objects(server_settings())) == len(names)
    # What comes again is as good as new: its object has another key.
    again = await api.http.post("/api/v1/cas", content=contents[0])
    assert again.status_code == 201
    assert (await api.http.get(f"/api/v1/cas/{names[0]}")).content == contents[0]


async def test_one_object_that_cannot_be_deleted_does_not_keep_the_others(
    api: Api,
    database: Connection,
    server_settings: Callable[..., Settings],
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
    assert len(objects(server_settings())) == 1


async def test_another_storage_than_that_of_the_database_is_left_alone(
    server_settings: Callable[..., Settings], api: Api, database: Connection, tmp_path: Path
) -> None:
    await upload(api, database, bytes(LARGE))
    async with serving(server_settings(blob_store=tmp_path.as_uri())) as other:
        assert (await other.post("/gc", {})).status_code == 503
        assert (await other.post("/gc", {"dry_run": True})).status_code == 200
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1


@pytest.mark.parametrize("dry_run", [False, True])
async def test_nothing_is_collected_during_a_backup(
    api: Api, database: Connection, dry_run: bool
) -> None:
    names = await upload(api, database, b"garbage")
    await MaintenanceRepository().lock_exclusive(database)
    for cursor in (None, "WyJibG9icyJd"):
        refused = await api.post("/gc", {"dry_run": dry_run, "cursor": cursor})
        assert (refused.status_code, refused.json()["error"]) == (409, "maintenance held")
        assert refused.json()["type"] == "urn:orchestrator:problem:maintenance-held"
        assert "backup is running" in refused.json()["detail"]
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1
    await database.execute(UNLOCK)
    assert [each["id"] for each in (await collect(api, dry_run=dry_run))["deleted"]] == names


# ---------------------------------------------------------------------------- failures of a page


@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed-after-persisting"])
@pytest.mark.parametrize("step", ["delete_artifact", "delete_blobs"])
async def test_a_page_that_fails_deletes_nothing(
    api: Api,
    database: Connection,
    server_settings: Callable[..., Settings],
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
    assert len(objects(server_settings())) == 1
    await collect(api)
    assert await counts(database) == (0, 0, 0)
    assert objects(server_settings()) == []


async def counts(database: Connection) -> tuple[int, ...]:
    tables = ("artifact", "cas_blob", "cas_lease")
    return tuple([await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables])
