"""What every blob storage keeps, sentence by sentence; nothing here is about one of them alone."""

import asyncio
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from obstore.store import MemoryStore

from orchestrator.core.digest import CasId
from orchestrator.core.threads import Threads
from orchestrator.storage.base import MissingObject, Storage, StoredObject
from orchestrator.storage.filesystem import FilesystemStorage
from orchestrator.storage.objects import ObjectStorage, open_objects

MIB = 1024 * 1024
PDF = "application/pdf"

Opener = Callable[[], Storage]


def memory(request: pytest.FixtureRequest) -> Opener:
    store = MemoryStore()
    return lambda: ObjectStorage(store)


def s3(request: pytest.FixtureRequest) -> Opener:
    url: str = request.getfixturevalue("s3_url")
    return lambda: open_objects(url)


def filesystem(request: pytest.FixtureRequest) -> Opener:
    folder: Path = request.getfixturevalue("tmp_path")
    threads = Threads(8, name="test")
    request.getfixturevalue("closing").enter_context(threads.ended_after())
    return lambda: FilesystemStorage(folder / "blobs", threads)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=[memory, s3, filesystem], ids=lambda kind: kind.__name__)
def new(request: pytest.FixtureRequest) -> Opener:
    """Opens the same place, in which nothing was written, as another server would."""
    opener: Opener = request.param(request)
    return opener


@pytest.fixture
async def opened(new: Opener) -> Opener:
    """The identity comes before all writes."""
    await new().set_identity("a storage for tests")
    return new


@pytest.fixture
def storage(opened: Opener) -> Storage:
    return opened()


def noise(size_bytes: int) -> bytes:
    """Bytes in which no two places look the same."""
    return b"".join(i.to_bytes(8, "big") for i in range(size_bytes // 8 + 1))[:size_bytes]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def put(storage: Storage, content: bytes, *, promised: bool = True) -> str:
    cas_id = CasId.of(content)
    writer = await storage.create(cas_id if promised else None, PDF)
    for start in range(0, len(content), MIB):
        await writer.write(content[start : start + MIB])
    return await writer.commit(cas_id)


async def pieces(storage: Storage, key: str, start: int, lengths: Sequence[int]) -> list[bytes]:
    return [piece async for piece in storage.read(key, start, lengths)]


async def staged(storage: Storage, stage: str, size_bytes: int) -> bytes:
    return b"".join([piece async for piece in storage.read_stage(stage, size_bytes)])


async def keys(storage: Storage, after: str = "", limit: int = 100) -> list[str]:
    return [each.key for each in await storage.list_objects(after, limit)]


async def stages(storage: Storage, after: str = "", limit: int = 100) -> dict[str, int]:
    return {each.key: each.size_bytes for each in await storage.list_stages(after, limit)}


# ------------------------------------------------------------------------------- objects


@pytest.mark.parametrize("promised", [True, False])
async def test_an_object_is_read_as_it_was_written(storage: Storage, promised: bool) -> None:
    key = await put(storage, b"content", promised=promised)
    assert await pieces(storage, key, 0, [7]) == [b"content"]


async def test_another_server_reads_it_too(opened: Opener) -> None:
    key = await put(opened(), b"content")
    assert await pieces(opened(), key, 0, [7]) == [b"content"]


async def test_an_object_may_be_empty(storage: Storage) -> None:
    key = await put(storage, b"")
    assert await pieces(storage, key, 0, []) == []
    assert [each.size_bytes for each in await storage.list_objects("", 10)] == [0]


@pytest.mark.parametrize(
    ("start", "lengths"),
    [
        (0, [1]),
        (0, [10, 20, 30]),
        (7, [1, 1, 1]),
        (99, [1]),
        (50, [50]),
        (0, [100]),
        (3, [0, 5, 0]),
    ],
)
async def test_a_read_yields_exactly_the_pieces_asked_for(
    storage: Storage, start: int, lengths: list[int]
) -> None:
    content = noise(100)
    key = await put(storage, content)
    expected = []
    for length in lengths:
        expected.append(content[start : start + length])
        start += length
    assert await pieces(storage, key, start - sum(lengths), lengths) == expected


async def test_a_read_of_nothing_is_an_error(storage: Storage) -> None:
    with pytest.raises(MissingObject):
        await pieces(storage, f"{'ab' * 32}/{uuid4().hex}", 0, [1])


@pytest.mark.parametrize(
    ("start", "lengths"), [(0, [8]), (0, [5, 5]), (6, [2]), (7, [1]), (90, [1])]
)
async def test_a_read_beyond_the_end_is_an_error(
    storage: Storage, start: int, lengths: list[int]
) -> None:
    key = await put(storage, b"content")
    with pytest.raises(MissingObject) as caught:
        await pieces(storage, key, start, lengths)
    assert caught.value.key == key


async def test_a_read_may_be_closed_half_way(storage: Storage) -> None:
    content = noise(8 * MIB)
    key = await put(storage, content)
    for _ in range(20):
        async with aclosing(storage.read(key, 0, [MIB] * 8)) as reading:
            assert await anext(reading) == content[:MIB]
    assert await pieces(storage, key, 5, [5]) == [content[5:10]]


async def test_a_read_may_be_cancelled(storage: Storage) -> None:
    key = await put(storage, noise(8 * MIB))
    for delay in (0, 0.001, 0.005):
        task = asyncio.create_task(pieces(storage, key, 0, [MIB] * 8))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
    assert await pieces(storage, key, 0, [4]) == [bytes(4)]


async def test_objects_may_be_read_concurrently(storage: Storage) -> None:
    contents = [noise(MIB + i) for i in range(6)]
    found = await asyncio.gather(*(put(storage, content) for content in contents))
    read = [pieces(storage, key, 0, [MIB + i]) for i, key in enumerate(found)]
    assert await asyncio.gather(*read) == [[content] for content in contents]


async def test_two_writers_of_the_same_content_get_two_keys(storage: Storage) -> None:
    made = await asyncio.gather(*(put(storage, b"same") for _ in range(8)))
    assert len(set(made)) == 8
    await storage.delete(made[0])
    for key in made[1:]:
        assert await pieces(storage, key, 0, [4]) == [b"same"]


async def test_an_object_is_listed_with_its_size_and_time(storage: Storage) -> None:
    key = await put(storage, b"content")
    [listed] = await storage.list_objects("", 10)
    assert (listed.key, listed.size_bytes) == (key, 7)
    assert abs(listed.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_an_object_tells_its_size_and_a_missing_one_that_it_is_missing(
    storage: Storage,
) -> None:
    assert await storage.size(await put(storage, b"content")) == 7
    with pytest.raises(MissingObject):
        await storage.size(f"{'ab' * 32}/{uuid4().hex}")


@pytest.mark.parametrize("size_bytes", [0, 7, 6 * MIB])
async def test_an_object_tells_its_size(storage: Storage, size_bytes: int) -> None:
    assert await storage.size(await put(storage, noise(size_bytes))) == size_bytes


async def test_nothing_has_no_size(storage: Storage) -> None:
    with pytest.raises(MissingObject):
        await storage.size(f"{'ab' * 32}/{uuid4().hex}")


async def test_what_is_not_committed_has_no_key(storage: Storage) -> None:
    writer = await storage.create(None, PDF)
    await writer.write(noise(MIB))
    assert await keys(storage) == []
    await writer.abort()


@pytest.mark.parametrize("size_bytes", [0, 10, 12 * MIB])
async def test_an_aborted_object_leaves_nothing(storage: Storage, size_bytes: int) -> None:
    writer = await storage.create(CasId.of(b""), PDF)
    for _ in range(0, size_bytes, MIB):
        await writer.write(noise(min(size_bytes, MIB)))
    await writer.abort()
    await writer.abort()
    assert await keys(storage) == []
    assert await storage.sweep(datetime.now(UTC) + timedelta(minutes=1)) == 0


@pytest.mark.parametrize("delay", [0, 0.001, 0.01, 0.1])
async def test_a_cancelled_commit_leaves_nothing_or_a_whole_object_that_is_listed(
    storage: Storage, delay: float
) -> None:
    writer = await storage.create(None, PDF)
    for _ in range(7):
        await writer.write(noise(MIB))
    task = asyncio.create_task(writer.commit(CasId.of(b"")))
    await asyncio.sleep(delay)
    task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        await writer.abort()
    for key in await keys(storage):
        assert await pieces(storage, key, 0, [MIB] * 7) == [noise(MIB)] * 7
        await storage.delete(key)
    assert await keys(storage) == []


async def test_a_cancelled_write_can_be_aborted(storage: Storage) -> None:
    async def write() -> None:
        while True:
            await writer.write(noise(MIB))

    for delay in (0, 0.001, 0.02, 0.1):
        writer = await storage.create(None, PDF)
        task = asyncio.create_task(write())
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
        await writer.abort()
    assert await keys(storage) == []


async def test_a_deleted_object_is_gone(storage: Storage) -> None:
    key, other = await put(storage, b"content"), await put(storage, b"content")
    await storage.delete(key)
    with pytest.raises(MissingObject):
        await pieces(storage, key, 0, [1])
    assert await keys(storage) == [other]


async def test_deleting_what_is_not_there_is_no_error(storage: Storage) -> None:
    key = await put(storage, b"content")
    await storage.delete(key)
    await storage.delete(key)
    await storage.delete(f"{'ab' * 32}/{uuid4().hex}")


async def test_an_empty_storage_lists_nothing(storage: Storage) -> None:
    assert await storage.list_objects("", 10) == []
    assert await storage.list_stages("", 10) == []


async def test_objects_are_listed_in_the_order_of_their_keys(storage: Storage) -> None:
    made = await asyncio.gather(*(put(storage, bytes([i % 7])) for i in range(20)))
    assert await keys(storage) == sorted(made)


async def test_pages_of_a_list_follow_each_other(storage: Storage) -> None:
    made = await asyncio.gather(*(put(storage, bytes([i % 7])) for i in range(20)))
    found: list[str] = []
    while page := await keys(storage, found[-1] if found else "", 3):
        assert len(page) <= 3
        found += page
    assert found == sorted(made)
    assert await keys(storage, sorted(made)[4], 1) == [sorted(made)[5]]
    assert await keys(storage, "f" * 70) == []


async def test_a_large_object_passes_in_bounded_memory(storage: Storage) -> None:
    piece = noise(MIB)
    before = most = resident_bytes()
    writer = await storage.create(None, PDF)
    for _ in range(40):
        await writer.write(piece)
        most = max(most, resident_bytes())
    key = await writer.commit(CasId.of(b""))
    count = 0
    async for read in storage.read(key, 0, [MIB] * 40):
        assert read == piece
        count += 1
        most = max(most, resident_bytes())
    assert count == 40
    if not isinstance(getattr(storage, "_store", None), MemoryStore):
        assert most - before < 20 * MIB


async def test_a_presigned_url_is_none_or_an_address(storage: Storage) -> None:
    url = await storage.presigned_url(await put(storage, b"content"), 60)
    assert url is None or url.startswith("http")


# -------------------------------------------------------------------------------- stages


@pytest.fixture
def stage() -> str:
    return uuid4().hex


async def test_a_stage_grows_by_appends_of_any_server(opened: Opener, stage: str) -> None:
    for offset, data in [(0, b"abc"), (3, b"defg"), (7, b"h")]:
        await opened().append(stage, offset, data)
    assert await staged(opened(), stage, 8) == b"abcdefgh"
    assert await stages(opened()) == {stage: 8}


@pytest.mark.parametrize("size_bytes", [0, 1, 3, 4, 7])
async def test_the_beginning_of_a_stage_can_be_read(
    storage: Storage, stage: str, size_bytes: int
) -> None:
    await storage.append(stage, 0, b"abc")
    await storage.append(stage, 3, b"defgh")
    assert await staged(storage, stage, size_bytes) == b"abcdefgh"[:size_bytes]


async def test_reading_more_than_a_stage_has_is_an_error(storage: Storage, stage: str) -> None:
    with pytest.raises(MissingObject):
        await staged(storage, stage, 1)
    await storage.append(stage, 0, b"abc")
    with pytest.raises(MissingObject):
        await staged(storage, stage, 4)


async def test_a_second_append_at_an_offset_replaces_the_first(
    storage: Storage, stage: str
) -> None:
    await storage.append(stage, 0, b"abc")
    await storage.append(stage, 3, b"XXXXX")
    await storage.append(stage, 3, b"de")
    assert await stages(storage) == {stage: 5}
    await storage.append(stage, 5, b"f")
    assert await staged(storage, stage, 6) == b"abcdef"


async def test_an_append_forgets_later_bytes(storage: Storage, stage: str) -> None:
    for offset in (0, 4, 8):
        await storage.append(stage, offset, b"XXXX")
    await storage.append(stage, 4, b"ab")
    assert await stages(storage) == {stage: 6}
    assert await staged(storage, stage, 6) == b"XXXXab"
    with pytest.raises(MissingObject):
        await staged(storage, stage, 7)


async def test_a_large_stage_is_read_in_pieces_of_a_few_mib(storage: Storage, stage: str) -> None:
    content = noise(9 * MIB + 17)
    for start in range(0, len(content), 4 * MIB):
        await storage.append(stage, start, content[start : start + 4 * MIB])
    read = [piece async for piece in storage.read_stage(stage, len(content) - 5)]
    assert max(map(len, read)) <= 4 * MIB
    assert b"".join(read) == content[:-5]


async def test_a_stage_may_be_closed_half_way(storage: Storage, stage: str) -> None:
    await storage.append(stage, 0, noise(4 * MIB))
    async with aclosing(storage.read_stage(stage, 4 * MIB)) as reading:
        assert (await anext(reading))[:4] == bytes(4)
    assert await staged(storage, stage, 4) == bytes(4)


async def test_a_promoted_stage_is_an_object_or_is_left_as_it_was(
    storage: Storage, stage: str
) -> None:
    await storage.append(stage, 0, b"abc")
    await storage.append(stage, 3, b"def")
    key = await storage.promote(stage, 4, CasId.of(b"abcd"))
    if key is None:
        assert await staged(storage, stage, 6) == b"abcdef"
        assert await keys(storage) == []
    else:
        assert await pieces(storage, key, 0, [4]) == [b"abcd"]
        assert [each.size_bytes for each in await storage.list_objects("", 10)] == [4]
        assert await stages(storage) == {}


async def test_a_stage_that_is_not_there_cannot_be_promoted(storage: Storage, stage: str) -> None:
    try:
        assert await storage.promote(stage, 4, CasId.of(b"abcd")) is None
    except MissingObject:
        assert await keys(storage) == []


async def test_a_dropped_stage_is_gone_with_all_its_parts(storage: Storage, stage: str) -> None:
    other = uuid4().hex
    for each in (stage, other):
        await storage.append(each, 0, b"abc")
        await storage.append(each, 3, b"def")
    await storage.drop_stage(stage)
    await storage.drop_stage(stage)
    assert await stages(storage) == {other: 6}
    with pytest.raises(MissingObject):
        await staged(storage, stage, 1)
    assert await staged(storage, other, 6) == b"abcdef"


async def test_stages_are_listed_once_each_in_order_and_in_pages(storage: Storage) -> None:
    names = sorted(uuid4().hex for _ in range(7))
    for name in names:
        await storage.append(name, 0, b"abc")
        await storage.append(name, 3, b"defg")
    found: list[StoredObject] = []
    while page := await storage.list_stages(found[-1].key if found else "", 3):
        assert len(page) <= 3
        found += page
    assert [(each.key, each.size_bytes) for each in found] == [(name, 7) for name in names]
    assert abs(found[0].modified_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_stages_are_no_objects_and_objects_no_stages(storage: Storage, stage: str) -> None:
    await storage.append(stage, 0, b"abc")
    key = await put(storage, b"content")
    assert await keys(storage) == [key]
    assert list(await stages(storage)) == [stage]


# ------------------------------------------------------------------------------ the whole


async def test_a_new_storage_has_no_identity_and_keeps_what_it_gets(new: Opener) -> None:
    assert await new().identity() is None
    await new().set_identity("first")
    assert await new().identity() == "first"
    assert await keys(new()) == []


async def test_a_sweep_takes_nothing_that_is_whole(storage: Storage, stage: str) -> None:
    key = await put(storage, b"content")
    await storage.append(stage, 0, b"abc")
    assert await storage.sweep(datetime.now(UTC) + timedelta(days=1)) == 0
    assert await pieces(storage, key, 0, [7]) == [b"content"]
    assert await staged(storage, stage, 3) == b"abc"
