"""Verification while things fail or happen at the same time: it condemns and deletes nothing."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.errors import StorageUnavailable
from orchestrator.models.transfer.upload import stage_name
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.upkeep.verify import VerifyRepository
from orchestrator.storage.base import MissingObject
from orchestrator.storage.filesystem import FilesystemStorage
from tests.place import (
    Place,
    kinds,
    noise,
    place_on,
    session,
)


@pytest.fixture
async def place(fresh_database: str) -> AsyncIterator[Place]:
    async with place_on(fresh_database) as place:
        yield place


# ---------------------------------------------------- what the storage cannot say is no verdict


async def test_a_storage_that_is_not_mounted_is_503_and_condemns_nothing(place: Place) -> None:
    await place.upload(noise("x"))
    away = place.folder.with_name(place.folder.name + "-away")
    place.folder.rename(away)
    try:
        for repair in (False, True):
            refused = await place.api.post("/verify", {"repair": repair, "read_data": True})
            assert (refused.status_code, refused.json()["error"]) == (503, "storage unavailable")
        place.folder.mkdir()
        assert (await place.api.post("/verify", {"repair": True})).status_code == 503
        place.folder.rmdir()
    finally:
        away.rename(place.folder)
    assert await place.quarantined() == set()
    assert await place.verify(read_data=True) == []


@pytest.mark.parametrize("moment", ["before", "while it is listed"])
@pytest.mark.parametrize("part", ["objects", "stages"])
async def test_nothing_is_deleted_from_the_storage_of_another_database(
    place: Place, part: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = place.put_object() if part == "objects" else place.put("stages/theirs")
    mark = place.folder / "identity"
    ours = mark.read_text()
    method = f"list_{part}"
    original = getattr(FilesystemStorage, method)

    def listed(*args: Any) -> Any:
        mark.write_text("another")
        return original(*args)

    if moment == "before":
        mark.write_text("another")
    else:
        monkeypatch.setattr(FilesystemStorage, method, listed)
    refused = await place.api.post("/verify", {"repair": True})
    assert (refused.status_code, refused.json()["error"]) == (503, "storage unavailable")
    assert theirs.exists()
    monkeypatch.undo()
    mark.write_text(ours)
    assert kinds(await place.verify()) == ["leftover"]


@pytest.mark.parametrize("read_data", [False, True])
async def test_a_storage_that_vanishes_during_the_check_condemns_nothing(
    place: Place, read_data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        await place.upload(noise(number, 0.1))
    mark = place.folder / "identity"
    content = mark.read_text()

    async def size(*_: Any) -> int:
        mark.unlink(missing_ok=True)
        raise MissingObject("key")

    async def read(*args: Any) -> AsyncGenerator[bytes, None]:
        await size(*args)
        yield b""

    with monkeypatch.context() as patched:
        if read_data:
            patched.setattr(FilesystemStorage, "read", read)
        else:
            patched.setattr(FilesystemStorage, "size", size)
        refused = await place.api.post("/verify", {"repair": True, "read_data": read_data})
    assert (refused.status_code, refused.json()["error"]) == (503, "storage unavailable")
    mark.write_text(content)
    assert await place.quarantined() == set()
    assert await place.verify(read_data=True, repair=True) == []


@pytest.mark.parametrize("method", ["size", "identity", "list_objects", "list_stages"])
async def test_a_storage_that_fails_is_503_and_condemns_nothing(
    place: Place, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.upload(noise("x"))
    place.put_object()

    def failing(*args: Any) -> Any:
        raise StorageUnavailable("no")

    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStorage, method, failing)
        cursor = None
        for _ in range(5):
            page = await place.api.post("/verify", {"repair": True, "cursor": cursor})
            if page.status_code != 200:
                break
            cursor = page.json()["next"]
        assert page.status_code == 503
    assert await place.quarantined() == set()
    assert kinds(await place.verify(repair=True, read_data=True)) in (["leftover"], [])


#: Every step of a repair, in order, and whether it is one of storage.
STEPS: list[tuple[type, str]] = [
    (VerifyRepository, "get_state"),
    (CASRepository, "quarantine"),
    (VerifyRepository, "list_keys"),
    (FilesystemStorage, "delete"),
    (VerifyRepository, "delete_stale"),
    (FilesystemStorage, "drop_stage"),
    (FilesystemStorage, "sweep"),
]


@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed-after-persisting"])
@pytest.mark.parametrize(("owner", "method"), STEPS, ids=[f"{o.__name__}.{m}" for o, m in STEPS])
async def test_a_repair_that_fails_at_any_step_is_completed_by_the_next_one(
    place: Place, owner: type, method: str, persisted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {await place.upload(noise(number)): noise(number) for number in range(3)}
    named = place.files()
    lost = await place.upload(noise("lost"))
    next(path for path in place.files() if path.name.startswith(lost[7:])).unlink()
    upload_id = uuid4()
    await session(place, upload_id, stage_name(upload_id, uuid4()), "-2 days")
    place.put(f"stages/{stage_name(upload_id, uuid4())}")
    place.put("incoming/old")
    place.put_object()
    original = getattr(owner, method)
    reached = False

    async def failing(*args: Any, **options: Any) -> Any:
        nonlocal reached
        reached = True
        if persisted:
            await original(*args, **options)
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(owner, method, failing)
        cursor, status = None, 200
        while status == 200:
            page = await place.api.post("/verify", {"repair": True, "cursor": cursor})
            status = page.status_code
            cursor = page.json().get("next")
            assert status != 200 or cursor, "it must not come to its end"
    assert (status, reached) == (503, True)
    await place.verify(repair=True)
    assert await place.quarantined() == {lost}
    assert place.files() == named
    assert [*place.files("stages"), *place.files("incoming")] == []
    assert await place.database.fetchval("SELECT count(*) FROM cas_upload") == 0
    for cas_id, expected in content.items():
        assert (await place.fetch(cas_id)).content == expected


# ----------------------------------------------------------------------------------- concurrency


async def test_many_verifications_at_once_come_to_the_same_end(place: Place) -> None:
    content = {await place.upload(noise(number, 0.6)): noise(number, 0.6) for number in range(8)}
    names = sorted(content)
    for cas_id in names[:3]:
        next(path for path in place.files() if path.name.startswith(cas_id[7:])).unlink()
    left = [place.put_object() for _ in range(10)]
    await asyncio.gather(*(place.verify(repair=True, read_data=True) for _ in range(8)))
    assert await place.quarantined() == set(names[:3])
    assert not any(path.exists() for path in left)
    for cas_id in names[3:]:
        assert (await place.fetch(cas_id)).content == content[cas_id]


async def test_uploads_that_heal_are_safe_from_verifications_at_the_same_time(
    place: Place,
) -> None:
    content = [noise(number, 0.6) for number in range(6)]
    names = [await place.upload(each) for each in content]

    async def spoil_and_heal(number: int) -> None:
        for _ in range(5):
            for path in place.files():
                if path.name.startswith(names[number][7:]):
                    path.unlink(missing_ok=True)
            await place.fetch(names[number])
            await place.upload(content[number])

    async def repair() -> None:
        for _ in range(6):
            await place.verify(repair=True, read_data=True)

    await asyncio.gather(*(spoil_and_heal(number) for number in range(6)), repair(), repair())
    for name, expected in zip(names, content, strict=True):
        if name in await place.quarantined():  # Deleted again after the last upload found it.
            await place.upload(expected)
        assert (await place.fetch(name)).content == expected
    assert await place.verify(read_data=True) == []
