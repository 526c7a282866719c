"""Rules of verification without HTTP: what happens between its steps, and how pages are bounded."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from obstore.store import MemoryStore

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.jobs.verification import Verification
from orchestrator.models.upkeep.verify import (
    PageReport,
    Scope,
    Verdict,
    VerifyPhase,
    VerifyPosition,
    VerifyProblem,
)
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.upkeep.verify import VerifyRepository
from orchestrator.service.upkeep.verify import LOOKED_AT_ONCE, READ_AT_ONCE, VerifyService
from orchestrator.storage.base import StoredObject
from orchestrator.storage.checked_reading import CheckedReader
from orchestrator.storage.filesystem import FilesystemStorage
from orchestrator.storage.objects import ObjectStorage
from orchestrator.wiring.jobs import build_verification
from orchestrator.wiring.services import Container, build
from tests.api import ANN
from tests.conftest import settings_for

INLINE_BYTES_MAX = 1_024
CONNECTIONS = 2
REPAIR = Scope(repair=True, read_data=True)
LOOK = Scope()


@dataclass
class Store:
    """What a process shares, without its HTTP, and a hand in its database."""

    c: Container
    conn: Connection

    async def put(self, content: bytes) -> CasId:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        async with self.c.intake.received(chunks(), "image/png") as taken:
            async with self.c.database.transaction() as conn:
                stored = await self.c.cas.upload(conn, "team", taken.received, by=ANN)
            taken.is_used = stored.used
        return stored.blob.cas_id

    async def checked(self, scope: Scope = REPAIR) -> list[Verdict]:
        records = await self.c.verify.list_blobs(self.conn, b"", 1_000, scope, read_bytes_max=2**40)
        return await self.c.verify.check(records, scope, seconds_max=60)

    async def settled(self, verdicts: Sequence[Verdict]) -> list[VerifyProblem]:
        found = []
        for verdict in verdicts:
            async with self.c.database.transaction() as conn:
                found.append(await self.c.verify.settle(conn, verdict, REPAIR))
        return [each for each in found if each]

    async def quarantined(self) -> int:
        query = "SELECT count(*) FROM cas_blob WHERE quarantined_at IS NOT NULL"
        return int(await self.conn.fetchval(query))

    def files(self) -> list[Path]:
        assert self.c.storage.folder
        found = (self.c.storage.folder / "objects").rglob("*")
        return sorted(path for path in found if path.is_file())


@pytest.fixture
async def store(fresh_database: str) -> AsyncIterator[Store]:
    settings = settings_for(
        fresh_database,
        blob_inline_bytes_max=INLINE_BYTES_MAX,
        database_connections_max=CONNECTIONS,
    )
    c = build(settings)
    conn = await asyncpg.connect(fresh_database, connection_class=Connection)
    async with c.database.opened():
        await c.identity.confirm(conn)
        yield Store(c, conn)
    await conn.close()


def noise(seed: int, size_bytes: int = 700_000) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


async def spoil(store: Store, cas_id: CasId) -> None:
    """Wherever its bytes are."""
    await store.conn.execute(
        "UPDATE cas_blob SET content = set_byte(content, 0, 255 - get_byte(content, 0))"
        " WHERE cas_id = $1 AND content IS NOT NULL",
        cas_id.raw,
    )
    for path in store.files():
        if path.name.startswith(cas_id.raw[1:].hex()):
            path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


async def delete(store: Store, cas_id: CasId) -> None:
    await store.conn.execute("DELETE FROM cas_lease WHERE cas_id = $1", cas_id.raw)
    await store.conn.execute("DELETE FROM cas_blob WHERE cas_id = $1", cas_id.raw)


SIZES = [pytest.param(700_000, id="placed"), pytest.param(100, id="inline")]


# --------------------------------------------------------------------- between check and verdict


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_that_was_deleted_while_it_was_checked_is_no_problem(
    store: Store, size: int
) -> None:
    cas_id = await store.put(noise(1, size))
    await spoil(store, cas_id)
    verdicts = await store.checked()
    assert [verdict.problem for verdict in verdicts] == ["damaged"]
    await delete(store, cas_id)
    assert await store.settled(verdicts) == []


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_that_was_healed_while_it_was_checked_is_not_put_away(
    store: Store, size: int
) -> None:
    cas_id = await store.put(noise(1, size))
    await spoil(store, cas_id)
    late = await store.checked()
    [first] = await store.settled(await store.checked())
    assert first.quarantined
    await store.put(noise(1, size))
    assert await store.quarantined() == 0
    assert await store.settled(late) == []
    assert await store.quarantined() == 0
    assert await store.settled(await store.checked()) == []


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_that_was_put_away_while_it_was_checked_is_told_once_and_stays_there(
    store: Store, size: int
) -> None:
    cas_id = await store.put(noise(1, size))
    await spoil(store, cas_id)
    one, other = await store.checked(), await store.checked()
    told = [*await store.settled(one), *await store.settled(other)]
    assert [(each.problem, each.quarantined) for each in told] == [("damaged", True)] * 2
    assert await store.quarantined() == 1


async def test_what_was_whole_when_it_was_read_is_not_released_from_a_later_quarantine(
    store: Store,
) -> None:
    cas_id = await store.put(noise(1))
    verdicts = await store.checked()
    await store.c.cas.quarantine(store.conn, cas_id, store.files()[0].name.replace(".", "/"))
    assert await store.settled(verdicts) == []
    assert await store.quarantined() == 1


async def test_no_connection_is_held_while_bytes_are_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(noise(1))
    reads: list[str] = []
    original = FilesystemStorage.read

    async def observed(self: FilesystemStorage, key: str, *args: Any) -> AsyncIterator[bytes]:
        async with AsyncExitStack() as every, asyncio.timeout(1):
            for _ in range(CONNECTIONS):
                await every.enter_async_context(store.c.database.connection())
        reads.append(key)
        async for piece in original(self, key, *args):
            yield piece

    monkeypatch.setattr(FilesystemStorage, "read", observed)
    assert [page async for page in build_verification(store.c).pages(REPAIR)]
    assert len(reads) == 1


async def test_an_object_that_is_named_after_it_was_listed_is_not_deleted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(noise(1))
    [path] = store.files()
    os.utime(path, (0, 0))
    row = await store.conn.fetchrow("SELECT * FROM cas_blob")
    assert row is not None
    await store.conn.execute("UPDATE cas_blob SET storage_key = 'elsewhere'")
    original = FilesystemStorage.list_objects

    async def listed(*args: Any) -> list[StoredObject]:
        found = await original(*args)
        await store.conn.execute("UPDATE cas_blob SET storage_key = $1", row["storage_key"])
        return found

    monkeypatch.setattr(FilesystemStorage, "list_objects", listed)
    verification = build_verification(store.c)
    report = await verification.page(VerifyPosition(VerifyPhase.OBJECTS), Scope(repair=True))
    assert (report.checked_objects, report.problems) == (1, [])
    assert path.exists()


# ------------------------------------------------------------------------------- bounds of a page


def bounded(store: Store, **bounds: Any) -> Verification:
    c = store.c
    return Verification(c.database, c.identity, c.verify, c.verify_leftovers, **bounds)


async def pages(verification: Verification, scope: Scope) -> list[PageReport]:
    found = [page async for page in verification.pages(scope)]
    return [page for page in found if page.checked_blobs]


async def test_a_page_ends_when_so_many_bytes_were_read(store: Store) -> None:
    for seed in range(6):
        await store.put(noise(seed, 10_000))
    read = await pages(bounded(store, bytes_max=20_000), Scope(read_data=True))
    assert [page.checked_blobs for page in read] == [2, 2, 2]
    whole = await pages(bounded(store, bytes_max=1), Scope(read_data=True))
    assert [page.checked_bytes for page in whole] == [10_000] * 6, "one blob may be larger"
    assert [page.checked_blobs for page in await pages(bounded(store, bytes_max=1), LOOK)] == [6]


async def test_a_page_ends_after_so_long(store: Store) -> None:
    for seed in range(20):
        await store.put(noise(seed, 2_000))
    looked = await pages(bounded(store, seconds_max=0), LOOK)
    assert [page.checked_blobs for page in looked] == [LOOKED_AT_ONCE, 4]
    read = await pages(bounded(store, seconds_max=0), Scope(read_data=True))
    assert [page.checked_blobs for page in read] == [READ_AT_ONCE] * 5


async def test_a_page_takes_bounded_memory(store: Store) -> None:
    for seed in range(6):
        await store.put(noise(seed, 1_000))
    c = store.c
    service = VerifyService(
        VerifyRepository(),
        CASRepository(),
        c.storage,
        c.identity,
        CheckedReader(c.storage, c.threads),
        c.threads,
        page_memory_bytes_max=2_000,
    )
    verification = Verification(c.database, c.identity, service, c.verify_leftovers)
    read = await pages(verification, Scope(read_data=True))
    assert [page.checked_blobs for page in read] == [2, 2, 2]
    assert [page.checked_blobs for page in await pages(verification, LOOK)] == [6]


async def test_a_whole_verification_runs_without_http(store: Store) -> None:
    names = [await store.put(noise(seed, size)) for seed, size in enumerate((700_000, 100, 0))]
    await spoil(store, names[0])
    found = [page async for page in build_verification(store.c).pages(Scope(read_data=True))]
    assert [each.cas_id for page in found for each in page.problems] == [str(names[0])]
    assert sum(page.checked_blobs for page in found) == 3
    assert found[0].total_blobs == 3
    assert found[-1].next is None


# ------------------------------------------------------------------------------------ the storage


async def test_a_stage_that_becomes_an_object_is_as_young_as_one(store: Store) -> None:
    """Its row is not written yet, however long ago its bytes came."""
    storage = store.c.storage
    assert storage.folder
    await storage.append("stage", 0, b"content")
    os.utime(storage.folder / "stages" / "stage", (0, 0))
    key = await storage.promote("stage", 7, CasId.of(b"content"))
    [found] = await storage.list_objects("", 10)
    assert found.key == key
    assert abs(found.modified_at.timestamp() - time.time()) < 60
    report = await build_verification(store.c).page(VerifyPosition(VerifyPhase.OBJECTS), REPAIR)
    assert report.problems == []


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_text("x"), id="file"),
        pytest.param(lambda path: (path / "deep" / "er").mkdir(parents=True), id="folder"),
    ],
)
async def test_what_somebody_else_put_between_our_folders_is_left_alone(
    store: Store, make: Callable[[Path], None]
) -> None:
    await store.put(noise(1))
    assert store.c.storage.folder
    foreign = store.c.storage.folder / "objects" / ".of-somebody-else"
    make(foreign)
    found = [page async for page in build_verification(store.c).pages(REPAIR)]
    assert [page.problems for page in found if page.problems] == []
    assert foreign.exists()


async def test_a_bucket_is_verified_as_a_folder_is(fresh_database: str) -> None:
    bucket = ObjectStorage(MemoryStore())
    settings = settings_for(
        fresh_database, blob_inline_bytes_max=INLINE_BYTES_MAX, leftover_seconds=0
    )
    conn = await asyncpg.connect(fresh_database, connection_class=Connection)
    c = build(settings, lambda *_: bucket)
    async with c.database.opened():
        await c.identity.confirm(conn)
        store = Store(c, conn)
        names = [await store.put(noise(seed)) for seed in range(3)]
        assert [
            page.problems async for page in build_verification(c).pages(REPAIR) if page.problems
        ] == []
        lost, *_ = [each.key for each in await bucket.list_objects("", 10)]
        await bucket.delete(lost)
        writer = await bucket.create(None, "image/png")
        await writer.write(b"left behind")
        left = await writer.commit(names[0])
        await bucket.append("stage", 0, b"left behind")
        told = [
            each async for page in build_verification(c).pages(REPAIR) for each in page.problems
        ]
        assert [(each.problem, each.storage_key) for each in told] == [
            ("missing", lost),
            ("leftover", left),
            ("leftover", "stage"),
        ]
        assert len(await bucket.list_objects("", 10)) == 2
        assert await bucket.list_stages("", 10) == []
        assert await store.quarantined() == 1
    await conn.close()
