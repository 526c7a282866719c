"""Resumable uploads: each step failing, and failing after it persisted; then what must be true."""

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import pytest
from blake3 import blake3
from msgspec.structs import replace
from obstore.store import MemoryStore

from orchestrator.app import create_app
from orchestrator.core.database import Connection
from orchestrator.errors import StorageFull, StorageUnavailable
from orchestrator.handlers.http.edge import Edge
from orchestrator.jobs.upload_completion import UploadCompletion
from orchestrator.jobs.upload_pace import UploadPace
from orchestrator.models.transfer.upload import upload_of_stage
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.transfer.upload import UploadRepository
from orchestrator.storage.filesystem import FilesystemStorage
from orchestrator.storage.objects import ObjectStorage
from orchestrator.wiring.jobs import build_jobs
from orchestrator.wiring.services import build
from tests.api import Api
from tests.conftest import TOKEN, settings_for
from tests.handlers.transfer.uploading import TUS, begun, head, offset, patch

PIECE = 64 * 1024
CONTENT = random.Random(2).randbytes(10 * PIECE + 17)
CAS_ID = f"blake3:{blake3(CONTENT).hexdigest()}"
RENAMED, COPIED = "image/x-test", "text/plain"

#: Every step of the last PATCH of an upload, whose stage is renamed or whose bytes are copied.
RECEIVING: list[tuple[type, str]] = [
    (UploadRepository, "get_locked"),
    (UploadRepository, "take"),
    (FilesystemStorage, "append"),
    (UploadRepository, "advance"),
]
FINISHING: list[tuple[type, str]] = [
    (UploadRepository, "complete"),
    (CASRepository, "insert"),
    (CASRepository, "put_lease"),
]
STEPS = {
    RENAMED: [
        *RECEIVING,
        (UploadRepository, "extend"),
        (FilesystemStorage, "promote"),
        *FINISHING,
    ],
    COPIED: [*RECEIVING, (FilesystemStorage, "create"), *FINISHING],
}
CASES = [
    pytest.param(media_type, owner, method, id=f"{media_type}-{owner.__name__}.{method}")
    for media_type, steps in STEPS.items()
    for owner, method in steps
]


#: Pieces so small that there are many, and attempts without waiting.
BRISK = UploadPace(
    piece_bytes=PIECE,
    advance_bytes=2 * PIECE,
    retry_seconds=(0.0,) * 2,
    elsewhere_seconds=(0.0,) * 2,
)


def app_on(database: str, pace: UploadPace = BRISK, **changed: object) -> Edge:
    return create_app(settings_for(database, **changed), jobs_on=partial(build_jobs, pace=pace))


@pytest.fixture
async def fresh_api(fresh_database: str) -> AsyncIterator[Api]:
    async with Api.on(app_on(fresh_database), TOKEN) as api:
        yield api


async def body(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


async def upload_of(api: Api, media_type: str) -> str:
    """One that has its first bytes."""
    metadata = f"filetype {b64encode(media_type.encode()).decode()}"
    where = await begun(api, len(CONTENT), headers={"Upload-Metadata": metadata})
    assert (await patch(api, where, 0, CONTENT[:100])).status_code == 204
    return where


async def continued(api: Api, where: str) -> httpx2.Response:
    """As a client does it: ask, and send the rest."""
    asked = await head(api, where)
    if asked.status_code != 200 or asked.headers["upload-offset"] == str(len(CONTENT)):
        return asked
    at = int(asked.headers["upload-offset"])
    return await patch(api, where, at, body(CONTENT[at:]))


def folder_of(database: str) -> Path:
    return Path(urlsplit(settings_for(database).blob_store).path)


async def check(api: Api, database: Connection, where: str, folder: Path) -> None:
    """No row without its bytes, and no session that says more than is durable."""
    for row in await database.fetch("SELECT storage_key FROM cas_blob WHERE content IS NULL"):
        key = row["storage_key"]
        assert (folder / "objects" / key[:2] / key.replace("/", ".")).read_bytes() == CONTENT
    query = "SELECT offset_bytes, parts, cas_id FROM cas_upload WHERE cas_id IS NULL"
    for row in await database.fetch(query):
        parts = json.loads(row["parts"])
        ends = [*(part["start"] for part in parts[1:]), row["offset_bytes"]]
        for part, end in zip(parts, ends, strict=True):
            if end == part["start"]:
                continue
            path = folder / "stages" / part["stage"]
            if not path.exists():
                assert (await head(api, where)).status_code == 404, "nobody is told of lost bytes"
                continue
            stored = path.read_bytes()[: end - part["start"]]
            assert stored == CONTENT[part["start"] : end]


@pytest.mark.parametrize("media_type", STEPS)
async def test_without_a_fault_every_step_of_the_table_is_taken(
    fresh_api: Api, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = await upload_of(fresh_api, media_type)
    taken: list[tuple[type, str]] = []
    for owner, method in STEPS[media_type]:
        observe(monkeypatch, owner, method, taken)
    assert (await continued(fresh_api, where)).status_code == 204
    assert list(dict.fromkeys(taken)) == STEPS[media_type]


def observe(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str, taken: list[tuple[type, str]]
) -> None:
    original = getattr(owner, method)

    async def observed(*args: Any, **options: Any) -> Any:
        taken.append((owner, method))
        return await original(*args, **options)

    monkeypatch.setattr(owner, method, observed)


@pytest.mark.parametrize(
    ("fault", "calls"),
    [(StorageUnavailable, 1), (StorageUnavailable, 100), (ZeroDivisionError, 1)],
    ids=["storage-once", "storage", "bug"],
)
@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed-after-persisting"])
@pytest.mark.parametrize(("media_type", "owner", "method"), CASES)
async def test_after_a_fault_in_any_step_the_client_comes_to_an_end(
    fresh_api: Api,
    fresh_database: str,
    database: Connection,
    media_type: str,
    owner: type,
    method: str,
    fault: type[Exception],
    calls: int,
    *,
    persisted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = await upload_of(fresh_api, media_type)
    original, called = getattr(owner, method), 0

    async def failing(*args: Any, **options: Any) -> Any:
        nonlocal called
        called += 1
        result = await original(*args, **options) if called > calls or persisted else None
        if called <= calls:
            raise fault
        return result

    with monkeypatch.context() as patched:
        patched.setattr(owner, method, failing)
        failed = await continued(fresh_api, where)
    assert called
    # A commit is tried again by the server itself.
    fine = {204} if calls == 1 and (owner, method) in FINISHING else set()
    if persisted and method == "promote":
        fine = {404}
    assert failed.status_code in fine | {503 if fault is StorageUnavailable else 500}
    await check(fresh_api, database, where, folder_of(fresh_database))
    done = await continued(fresh_api, where)
    if done.status_code == 404:
        # The stage was an object already, and the commit did not succeed: the one loss there is.
        assert media_type == RENAMED
        assert (owner, method) in {*FINISHING, (FilesystemStorage, "promote")}
        done = await continued(fresh_api, await upload_of(fresh_api, media_type))
    assert done.is_success, done.text
    found = await fresh_api.http.get(done.headers["content-location"])
    assert found.content == CONTENT
    await check(fresh_api, database, where, folder_of(fresh_database))


@pytest.mark.parametrize("media_type", STEPS)
async def test_a_commit_whose_answer_was_lost_is_found_to_have_succeeded(
    fresh_api: Api,
    fresh_database: str,
    database: Connection,
    media_type: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second attempt must not take its own object for one that nobody needs."""
    where = await upload_of(fresh_api, media_type)
    original = CASRepository.put_lease
    lost = False

    async def losing(self: Any, conn: Connection, *args: Any) -> Any:
        nonlocal lost
        result = await original(self, conn, *args)
        if not lost:
            lost = True
            # What the transaction does at its end, and then no answer comes.
            await conn.execute("COMMIT")
            raise StorageUnavailable
        return result

    monkeypatch.setattr(CASRepository, "put_lease", losing)
    done = await continued(fresh_api, where)
    assert lost
    assert done.status_code == 204
    assert (await fresh_api.http.get(done.headers["content-location"])).content == CONTENT
    await check(fresh_api, database, where, folder_of(fresh_database))


async def test_a_full_disk_keeps_what_came_before(
    fresh_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = await upload_of(fresh_api, RENAMED)
    original, called = FilesystemStorage.append, 0

    async def filling(*args: Any) -> None:
        nonlocal called
        called += 1
        if called > 5:
            raise StorageFull
        await original(*args)

    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStorage, "append", filling)
        assert (await continued(fresh_api, where)).status_code == 507
    assert await offset(fresh_api, where) == 100 + 5 * PIECE
    assert (await continued(fresh_api, where)).status_code == 204


async def test_an_append_that_failed_and_takes_effect_late_damages_nothing(
    fresh_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage across a network may do what it said it could not."""
    where = await upload_of(fresh_api, RENAMED)
    original, late = FilesystemStorage.append, list[Any]()

    async def failing(*args: Any) -> None:
        late.extend(args)
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStorage, "append", failing)
        assert (await continued(fresh_api, where)).status_code == 503
    assert (await patch(fresh_api, where, 100, CONTENT[100:300_000])).status_code == 204
    await original(*late)
    done = await continued(fresh_api, where)
    assert done.status_code == 204
    assert (await fresh_api.http.get(done.headers["content-location"])).content == CONTENT


async def test_a_stage_of_which_nothing_counts_is_dropped_by_the_next_request(
    fresh_api: Api, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = await begun(fresh_api, len(CONTENT))
    original = FilesystemStorage.append

    async def failing(*args: Any) -> None:
        await original(*args)
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStorage, "append", failing)
        assert (await continued(fresh_api, where)).status_code == 503
    stages = folder_of(fresh_database) / "stages"
    (left,) = stages.iterdir()
    assert (await patch(fresh_api, where, 0, CONTENT[:100])).status_code == 204
    (current,) = stages.iterdir()
    assert current != left


async def test_the_request_that_took_the_last_byte_and_died_is_made_up_for(
    fresh_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real clients take an offset equal to the length for the end, and send nothing more."""
    where = await upload_of(fresh_api, RENAMED)

    async def dying(*_: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(UploadCompletion, "complete", dying)
        assert (await continued(fresh_api, where)).status_code == 500
    told = (await fresh_api.http.get(where)).json()
    assert (told["offset_bytes"], told["complete"]) == (len(CONTENT), False)
    asked = await head(fresh_api, where)
    assert asked.headers["upload-offset"] == str(len(CONTENT))
    assert (await fresh_api.http.get(asked.headers["content-location"])).content == CONTENT


async def test_lost_bytes_are_told_as_an_upload_that_is_gone(
    fresh_api: Api, fresh_database: str
) -> None:
    """An append would leave a hole in the place of them."""
    where = await upload_of(fresh_api, RENAMED)
    for path in (folder_of(fresh_database) / "stages").iterdir():
        path.unlink()
    assert (await head(fresh_api, where)).status_code == 404
    assert (await patch(fresh_api, where, 100, CONTENT[100:])).status_code == 404


async def test_a_storage_that_is_not_there_is_not_taken_for_lost_bytes(
    fresh_api: Api, fresh_database: str
) -> None:
    where = await upload_of(fresh_api, RENAMED)
    folder = folder_of(fresh_database)
    folder.rename(folder.with_suffix(".away"))
    assert (await head(fresh_api, where)).status_code == 503
    assert (await patch(fresh_api, where, 100, CONTENT[100:])).status_code == 503
    folder.with_suffix(".away").rename(folder)
    assert (await continued(fresh_api, where)).status_code == 204


async def test_an_upload_that_is_ended_while_it_is_written_leaves_no_stage(
    fresh_api: Api, fresh_database: str
) -> None:
    where = await upload_of(fresh_api, RENAMED)
    waiting, woken = asyncio.Event(), asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield CONTENT[100 : 100 + PIECE]
        waiting.set()
        await woken.wait()
        yield CONTENT[100 + PIECE :]

    running = asyncio.create_task(patch(fresh_api, where, 100, stalling()))
    await waiting.wait()
    assert (await fresh_api.http.delete(where, headers=TUS)).status_code == 204
    woken.set()
    assert (await running).status_code == 409
    assert list((folder_of(fresh_database) / "stages").iterdir()) == []


async def test_two_servers_finish_one_upload_together(
    fresh_database: str, database: Connection
) -> None:
    """One of them finds that the stage is an object already, and waits for the other's commit."""
    waiting = replace(BRISK, elsewhere_seconds=(0.05,) * 40)
    async with (
        Api.on(app_on(fresh_database, waiting), TOKEN) as first,
        Api.on(app_on(fresh_database, waiting), TOKEN) as second,
    ):
        for number in range(10):
            where = await begun(first, None)
            content = bytes([number]) + CONTENT
            await patch(first, where, 0, content)
            size = {"Upload-Length": str(len(content))}
            await database.execute(
                "UPDATE cas_upload SET size_bytes = offset_bytes WHERE cas_id IS NULL"
            )
            answers = await asyncio.gather(
                *(patch(each, where, len(content), **size) for each in (first, second))
            )
            assert [answer.status_code for answer in answers] == [204, 204]
            found = await second.http.get(answers[0].headers["content-location"])
            assert found.content == content
    objects = list((folder_of(fresh_database) / "objects").glob("*/*"))
    assert len(objects) == 10, "what the loser wrote is gone"


async def test_an_upload_heals_a_damaged_blob_that_is_in_the_database(
    fresh_api: Api, fresh_database: str, database: Connection
) -> None:
    content = CONTENT[:100_000]
    inline = await fresh_api.http.post("/api/v1/cas", content=content)
    damage = "UPDATE cas_blob SET content = $1, quarantined_at = now(), quarantine_reason = 'read'"
    await database.execute(damage, bytes(100_000))
    async with Api.on(app_on(fresh_database, blob_inline_bytes_max=10), TOKEN) as api:
        where = await begun(api, len(content))
        done = await patch(api, where, 0, content)
        assert done.status_code == 204
        assert (await api.http.get(done.headers["content-location"])).content == content
    assert inline.json()["cas_id"] in done.headers["etag"]
    assert await database.fetchval("SELECT content FROM cas_blob") == content
    assert list((folder_of(fresh_database) / "objects").glob("*/*")) == []


async def test_a_bucket_gets_the_bytes_of_many_requests(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of one that failed and was taken over from; nothing else is left of them."""
    bucket = ObjectStorage(MemoryStore())
    app = create_app(
        settings_for(fresh_database),
        services=partial(build, storage_at=lambda *_: bucket),
        jobs_on=partial(build_jobs, pace=BRISK),
    )
    original, failed = ObjectStorage.append, False

    async def failing(*args: Any) -> None:
        nonlocal failed
        await original(*args)
        if args[2] and not failed:
            failed = True
            raise StorageUnavailable

    async with Api.on(app, TOKEN) as api:
        for media_type in (RENAMED, COPIED):
            where, failed = await upload_of(api, media_type), False
            monkeypatch.setattr(ObjectStorage, "append", failing)
            assert (await continued(api, where)).status_code == 503
            at = await offset(api, where)
            assert (await patch(api, where, at, CONTENT[at : at + PIECE])).status_code == 204
            done = await continued(api, where)
            assert done.status_code == 204
            assert (await api.http.get(done.headers["content-location"])).content == CONTENT
            assert await bucket.list_stages("", 10) == []
    objects = await bucket.list_objects("", 10)
    assert len(objects) == 1, "the second time the bytes were there"


def test_names_of_stages_say_whose_they_are() -> None:
    upload, writer = UUID(int=7), UUID(int=8)
    assert upload_of_stage(f"{upload.hex}-{writer.hex}") == upload
    for name in ("", "x", upload.hex, f"{'z' * 32}-{writer.hex}", f"{'0' * 31}-{writer.hex}"):
        assert upload_of_stage(name) is None
