"""Damaged blobs over HTTP: never served, put away, and mended by the next upload."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from orchestrator.storage.filesystem import FilesystemStorage
from tests.api import chain
from tests.bad_sector import unreadable
from tests.place import (
    CONTENTS,
    DAMAGES,
    Place,
    flip,
    kinds,
    noise,
    place_on,
)


@pytest.fixture
async def place(fresh_database: str) -> AsyncIterator[Place]:
    async with place_on(fresh_database) as place:
        yield place


@pytest.mark.parametrize("is_read_first", [True, False])
async def test_a_blob_that_the_disk_cannot_read_is_damage_of_that_blob_alone(
    fresh_database: str, is_read_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place_on(fresh_database, leftover_seconds=0) as place:
        lost, changed, whole = [await place.upload(noise(number)) for number in range(3)]
        [path] = [each for each in place.files() if each.name.startswith(lost[7:])]
        flip(next(each for each in place.files() if each.name.startswith(changed[7:])))
        unreadable(path, monkeypatch)
        if is_read_first:
            read = await place.fetch(lost)
            assert (read.status_code, read.json()["error"]) == (500, "corrupt blob")
            assert await place.quarantined() == {lost}
        found = await place.verify(read_data=True, repair=True)
        assert {each["cas_id"]: each["problem"] for each in found} == {
            lost: "damaged",
            changed: "damaged",
        }
        assert await place.quarantined() == {lost, changed}
        assert (await place.fetch(whole)).content == noise(2)
        for number, cas_id in enumerate((lost, changed)):
            assert await place.upload(noise(number)) == cas_id
            assert (await place.fetch(cas_id)).content == noise(number)
        assert kinds(await place.verify(read_data=True)) == ["leftover", "leftover"]


@pytest.mark.parametrize(("make", "media_type"), CONTENTS)
@pytest.mark.parametrize(("damage", "_problem"), DAMAGES)
async def test_a_damaged_blob_is_never_served_and_heals_when_it_is_uploaded_again(
    fresh_database: str,
    make: Callable[[str], bytes],
    media_type: str,
    damage: Callable[[Path], None],
    _problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = make("x")
    async with place_on(fresh_database, leftover_seconds=0) as place:
        cas_id = await place.upload(content, media_type)
        [path] = place.files()
        damage(path)
        read = await place.fetch(cas_id)
        assert (read.status_code, read.json()["error"]) == (500, "corrupt blob")
        assert await place.quarantined() == {cas_id}
        with monkeypatch.context() as patched:
            for method in ("read", "size", "identity"):
                patched.setattr(FilesystemStorage, method, None)
            for method in ("GET", "HEAD"):
                for headers in ({}, {"Range": "bytes=0-0"}, {"If-None-Match": f'"{cas_id}"'}):
                    response = await place.fetch(cas_id, method, **headers)
                    assert response.status_code == 500
                    if method == "GET":
                        assert response.json()["error"] == "corrupt blob"
            assert await place.missing(cas_id) == [cas_id]
        assert await place.upload(content, media_type) == cas_id
        assert await place.missing(cas_id) == []
        assert (await place.fetch(cas_id)).content == content
        old = [path] if path.exists() else []
        left = await place.verify(read_data=True)
        assert [(each["problem"], each["repaired"]) for each in left] == [
            ("leftover", False) for _ in old
        ]
        swept = await place.verify(repair=True)
        assert [(each["problem"], each["repaired"]) for each in swept] == [
            ("leftover", True) for _ in old
        ]
        assert not path.exists()
        assert await place.verify(read_data=True) == []
        assert (await place.fetch(cas_id)).content == content


async def test_a_damaged_blob_in_the_database_heals_too(place: Place) -> None:
    cas_id = await place.upload(b"right")
    await place.database.execute("UPDATE cas_blob SET content = 'wrong'")
    for method in ("GET", "GET", "HEAD"):
        response = await place.fetch(cas_id, method)
        assert response.status_code == 500
        assert b"wrong" not in response.content
    assert await place.quarantined() == {cas_id}
    assert await place.missing(cas_id) == [cas_id]
    await place.upload(b"right")
    assert (await place.fetch(cas_id)).content == b"right"
    assert await place.missing(cas_id) == []
    assert await place.verify(read_data=True) == []


async def test_a_damaged_workflow_heals_when_it_is_created_again(place: Place) -> None:
    await place.api.create("main", "a")
    await place.database.execute("UPDATE cas_blob SET content = set_byte(content, 3, 0)")
    assert (await place.api.get("/workflows/main")).status_code == 500
    [found] = await place.verify(read_data=True, repair=True)
    assert found["quarantined"]
    again = await place.api.post("/workflows", {"tag": "main", "workflow": chain("a")})
    assert again.status_code < 300, again.text
    assert (await place.api.get("/workflows/main")).json()["workflow"] == chain("a")
    assert await place.verify(read_data=True) == []


async def test_a_part_that_is_whole_is_served_until_damage_elsewhere_is_found(
    place: Place,
) -> None:
    content = noise("x")
    cas_id = await place.upload(content)
    [path] = place.files()
    damaged = bytearray(content)
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    whole = await place.fetch(cas_id, Range="bytes=100-199")
    assert (whole.status_code, whole.content) == (206, content[100:200])
    broken = await place.fetch(cas_id, Range="bytes=-1")
    assert (broken.status_code, broken.json()["error"]) == (500, "corrupt blob")
    assert (await place.fetch(cas_id, Range="bytes=100-199")).status_code == 500
    assert await place.quarantined() == {cas_id}
