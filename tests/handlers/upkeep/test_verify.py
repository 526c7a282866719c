"""Verification over HTTP: what it finds and what it leaves alone, and its route."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.core.digest import CasId
from orchestrator.models.transfer.upload import stage_name
from orchestrator.models.upkeep.maintenance import MAINTENANCE_LOCK
from tests.place import (
    CONTENTS,
    DAMAGES,
    DAY,
    PACKED,
    Place,
    aged,
    flip,
    kinds,
    noise,
    place_on,
    session,
    words,
)


@pytest.fixture
async def place(fresh_database: str) -> AsyncIterator[Place]:
    async with place_on(fresh_database) as place:
        yield place


# ---------------------------------------------------------------------------------- a clean store


async def test_a_store_without_damage_has_no_problems(place: Place) -> None:
    for number in range(3):
        await place.upload(noise(number))
        await place.upload(b"short %d" % number)
    await place.upload(words("w"), PACKED)
    await place.upload(b"")
    await place.api.create("main", "a")
    for wanted in ({}, {"read_data": True}, {"repair": True}, {"read_data": True, "repair": True}):
        pages = await place.pages(**wanted)
        assert [each for page in pages for each in page["problems"]] == []
        assert sum(page["checked_blobs"] for page in pages) == 9
        assert sum(page["checked_objects"] for page in pages) == 4
        assert pages[0]["total_blobs"] == 9
    stored = await place.database.fetchval("SELECT sum(size_bytes) FROM cas_blob")
    pages = await place.pages(read_data=True)
    assert sum(page["checked_bytes"] for page in pages) == stored


async def test_an_empty_store_is_one_page(place: Place) -> None:
    [page] = await place.pages()
    assert page == {
        "checked_blobs": 0,
        "checked_bytes": 0,
        "checked_objects": 0,
        "total_blobs": 0,
        "problems": [],
        "next": None,
    }


@pytest.mark.parametrize("read_data", [False, True])
async def test_pages_of_one_item_go_through_everything_once(place: Place, read_data: bool) -> None:
    for number in range(5):
        await place.upload(noise(number, 0.5))
        await place.upload(b"short %d" % number)
    extra = [place.put_object() for _ in range(3)]
    pages = await place.pages(limit=1, read_data=read_data)
    assert all(page["checked_blobs"] + page["checked_objects"] <= 1 for page in pages)
    assert sum(page["checked_blobs"] for page in pages) == 10
    assert sum(page["checked_objects"] for page in pages) == 5 + 3
    assert sum(len(page["problems"]) for page in pages) == 3
    assert all(path.exists() for path in extra)
    assert [page["total_blobs"] for page in pages] == [10] + [None] * (len(pages) - 1)


# -------------------------------------------------------------------------------- damage is found


@pytest.mark.parametrize(("make", "media_type"), CONTENTS)
@pytest.mark.parametrize(("damage", "problem"), DAMAGES)
@pytest.mark.parametrize("repair", [False, True])
async def test_damage_in_storage_is_found_and_put_away_only_if_wanted(
    place: Place,
    make: Callable[[str], bytes],
    media_type: str,
    damage: Callable[[Path], None],
    problem: str,
    repair: bool,
) -> None:
    cas_id = await place.upload(make("x"), media_type)
    await place.upload(make("whole"), media_type)
    [path] = [each for each in place.files() if each.name.startswith(cas_id[7:])]
    damage(path)
    rest = place.files()
    looked = await place.verify(repair=repair)
    assert kinds(looked) == ([] if damage is flip else [problem])
    [found] = await place.verify(read_data=True, repair=repair)
    assert (found["problem"], found["cas_id"]) == (problem, cas_id)
    assert found["storage_key"] == path.name.replace(".", "/")
    assert (found["repaired"], found["quarantined"]) == (False, repair)
    assert await place.quarantined() == ({cas_id} if repair else set())
    assert place.files() == rest, "what a row names is never deleted"
    again = await place.verify()
    assert kinds(again) == (["quarantined"] if damage is flip and repair else kinds(looked))


async def test_damage_in_the_database_is_found_by_reading(place: Place) -> None:
    cas_id = await place.upload(b"right")
    await place.upload(b"other")
    await place.database.execute("UPDATE cas_blob SET content = 'wrong' WHERE content = 'right'")
    assert await place.verify() == []
    assert kinds(await place.verify(read_data=True)) == ["damaged"]
    assert await place.quarantined() == set()
    [found] = await place.verify(read_data=True, repair=True)
    assert (found["cas_id"], found["quarantined"], found["storage_key"]) == (cas_id, True, None)
    assert await place.quarantined() == {cas_id}


@pytest.mark.parametrize(
    "change",
    [
        "segments = 'garbage'",
        "segments = substring(segments for 38)",
        "stored_bytes = stored_bytes - 1",
        "size_bytes = size_bytes + 1",
        "segments = set_byte(segments, 1, 30)",
    ],
)
async def test_a_segment_table_that_does_not_add_up_is_found_without_reading(
    place: Place, change: str
) -> None:
    cas_id = await place.upload(noise("x"))
    await place.database.execute(f"UPDATE cas_blob SET {change}")
    [found] = await place.verify(repair=True)
    assert (found["problem"], found["cas_id"], found["quarantined"]) == ("damaged", cas_id, True)


async def test_segments_that_are_whole_but_of_another_blob_are_found(place: Place) -> None:
    one, other = await place.upload(noise(1)), await place.upload(noise(2))
    await place.database.execute(
        "UPDATE cas_blob a SET segments = b.segments FROM cas_blob b"
        " WHERE a.cas_id = $1 AND b.cas_id = $2",
        CasId.parse(one).raw,
        CasId.parse(other).raw,
    )
    next(path for path in place.files() if path.name.startswith(one[7:])).write_bytes(noise(2))
    assert await place.verify() == []
    [found] = await place.verify(read_data=True)
    assert (found["problem"], found["cas_id"]) == ("damaged", one)


async def test_bytes_too_many_are_told_but_what_is_whole_stays_served(place: Place) -> None:
    content = noise("x")
    cas_id = await place.upload(content)
    with place.files()[0].open("ab") as file:
        file.write(b"more")
    for read_data in (False, True):
        [found] = await place.verify(read_data=read_data, repair=True)
        assert (found["problem"], found["quarantined"]) == ("size", False)
    assert (await place.fetch(cas_id)).content == content


async def test_a_second_name_that_is_wrong_is_forgotten(place: Place) -> None:
    for content in (noise("x"), b"short"):
        await place.api.http.post(
            "/api/v1/cas", content=content, headers={"Want-Repr-Digest": "sha-256=1"}
        )
    await place.database.execute("UPDATE cas_blob SET sha256 = substring(cas_id from 2)")
    assert await place.verify() == []
    assert kinds(await place.verify(read_data=True)) == ["second-name"] * 2
    repaired = await place.verify(read_data=True, repair=True)
    assert [each["repaired"] for each in repaired] == [True, True]
    assert await place.verify(read_data=True) == []
    assert await place.quarantined() == set()


async def test_a_blob_that_turns_out_whole_is_released_by_reading_it(place: Place) -> None:
    names = {await place.upload(noise("x")), await place.upload(b"short")}
    await place.database.execute(
        "UPDATE cas_blob SET quarantined_at = now(), quarantine_reason = 'read'"
    )
    for wanted in ({}, {"repair": True}, {"read_data": True}):
        found = await place.verify(**wanted)
        assert kinds(found) == ["quarantined"] * 2
        assert {(each["repaired"], each["quarantined"]) for each in found} == {(False, True)}
    assert await place.quarantined() == names
    found = await place.verify(read_data=True, repair=True)
    assert kinds(found) == ["released"] * 2
    assert {(each["repaired"], each["quarantined"]) for each in found} == {(True, False)}
    assert await place.quarantined() == set()
    assert await place.verify() == []


# ------------------------------------------------------------------------------------- leftovers


async def test_an_object_that_no_row_names_is_a_leftover_when_it_is_old(place: Place) -> None:
    await place.upload(noise("x"))
    named = aged(place.files()[0], 9 * DAY)
    young, old = place.put_object(age=DAY / 2), place.put_object()
    [found] = await place.verify()
    assert (found["problem"], found["repaired"]) == ("leftover", False)
    assert found["storage_key"] == old.name.replace(".", "/")
    assert old.exists()
    [found] = await place.verify(repair=True)
    assert (found["problem"], found["repaired"]) == ("leftover", True)
    assert set(place.files()) == {named, young}
    assert await place.verify() == []


async def test_stages_without_an_upload_and_uploads_that_expired_are_leftovers(
    place: Place,
) -> None:
    kept, expired, complete = uuid4(), uuid4(), uuid4()
    names = {
        "in use": stage_name(kept, uuid4()),
        "given up": stage_name(kept, uuid4()),
        "expired": stage_name(expired, uuid4()),
        "of no upload": stage_name(uuid4(), uuid4()),
        "of a completed one": stage_name(complete, uuid4()),
        "no name of ours": "x",
    }
    await session(place, kept, names["in use"], "1 hour")
    await session(place, expired, names["expired"], "-2 days")
    await session(place, complete, None, "-2 days")
    for name in names.values():
        place.put(f"stages/{name}")
    young = place.put(f"stages/{stage_name(uuid4(), uuid4())}", age=60)
    left = set(names.values()) - {names["in use"]}
    for repair in (False, True):
        stale, *stages = await place.verify(repair=repair)
        assert (stale["problem"], stale["repaired"]) == ("stale-upload", repair)
        assert str(expired) in stale["detail"]
        assert {each["storage_key"] for each in stages} == left
        assert {(each["problem"], each["repaired"]) for each in stages} == {("leftover", repair)}
        assert len(place.files("stages")) == (2 if repair else 7)
    assert {path.name for path in place.files("stages")} == {names["in use"], young.name}
    rows = await place.database.fetch("SELECT upload_id FROM cas_upload")
    assert [row["upload_id"] for row in rows] == [kept]
    assert await place.verify() == []


async def test_an_upload_that_expired_a_moment_ago_may_still_be_written_to(place: Place) -> None:
    upload_id = uuid4()
    stage = stage_name(upload_id, uuid4())
    await session(place, upload_id, stage, "-1 hour")
    place.put(f"stages/{stage}")
    assert await place.verify(repair=True) == []
    assert len(place.files("stages")) == 1


async def test_what_was_never_finished_is_swept_when_it_is_old(place: Place) -> None:
    await place.upload(noise("x"))
    old, young = place.put("incoming/old"), place.put("incoming/young", age=60)
    assert await place.verify() == []
    assert old.exists()
    [found] = await place.verify(repair=True)
    assert (found["problem"], found["repaired"]) == ("leftover", True)
    assert place.files("incoming") == [young]


async def test_nothing_is_deleted_while_somebody_needs_everything_to_stay(place: Place) -> None:
    await place.upload(noise("x"))
    old = place.put_object()
    assert kinds(await place.verify()) == ["leftover"]
    await place.database.execute(f"SELECT pg_advisory_lock({MAINTENANCE_LOCK})")
    assert kinds(await place.verify()) == ["leftover"]
    first = await place.api.post("/verify", {"repair": True})
    assert first.status_code == 200, "blobs are checked all the same"
    body = {"repair": True, "cursor": first.json()["next"]}
    refused = await place.api.post("/verify", body)
    assert (refused.status_code, refused.json()["error"]) == (409, "maintenance held")
    assert old.exists()
    await place.database.execute(f"SELECT pg_advisory_unlock({MAINTENANCE_LOCK})")
    assert kinds((await place.api.post("/verify", body)).json()["problems"]) == ["leftover"]
    assert not old.exists()


# -------------------------------------------------------------------------------------- the route


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": 1_001}, "/limit"),
        ({"cursor": "x"}, "/cursor"),
        ({"cursor": "WyJibG9icyIsInh5eiJd"}, "/cursor"),
        ({"cursor": "WyJ1cGxvYWRzIiwieHl6Il0"}, "/cursor"),
        ({"repair": 1}, "/repair"),
        ({"other": 1}, ""),
    ],
)
async def test_a_malformed_request_is_400(place: Place, body: dict[str, Any], pointer: str) -> None:
    response = await place.api.post("/verify", body)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, pointer)


async def test_the_same_request_again_is_given_the_first_answer(place: Place) -> None:
    place.put_object()
    cursor = None
    for _ in range(2):
        body = {"repair": True, "cursor": cursor}
        headers = {"Idempotency-Key": str(uuid4())}
        first = await place.api.post("/verify", body, headers=headers)
        late = place.put_object()
        again = await place.api.post("/verify", body, headers=headers)
        assert (again.status_code, again.content) == (200, first.content)
        assert late.exists(), "the work is not done again"
        other = await place.api.post("/verify", {"limit": 7}, headers=headers)
        assert (other.status_code, other.json()["error"]) == (422, "idempotency key reused")
        cursor = first.json()["next"]
        if cursor is None:
            break


async def test_it_is_served_on_a_full_disk_because_it_makes_room(fresh_database: str) -> None:
    async with place_on(fresh_database, disk_free_bytes_min=2**60) as place:
        full = await place.api.http.post("/api/v1/cas", content=b"x")
        assert full.status_code == 507
        assert (await place.api.post("/verify", {"repair": True})).status_code == 200


async def test_it_needs_a_token(place: Place) -> None:
    response = await place.api.post("/verify", {}, headers={"Authorization": "Bearer no"})
    assert response.status_code == 401


async def test_what_is_found_is_counted(place: Place) -> None:
    def counted(text: str, name: str) -> float:
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    async def metrics() -> tuple[float, float]:
        text = (await place.api.http.get("/metrics")).text
        return (
            counted(text, "orchestrator_verify_blobs_checked_total"),
            counted(text, 'orchestrator_verify_problems_total{problem="leftover"}'),
        )

    await place.upload(noise("x"))
    place.put_object()
    before = await metrics()
    await place.verify()
    after = await metrics()
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
