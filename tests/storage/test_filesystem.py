"""The durable file writer: in which order it asks the system, and what each failure leaves."""

import asyncio
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from orchestrator.core.digest import CasId
from orchestrator.core.threads import Threads
from orchestrator.errors import StorageFull, StorageUnavailable
from orchestrator.storage.base import MissingObject
from orchestrator.storage.file_reading import CACHED_READ_BYTES_MAX, OpenFile
from orchestrator.storage.file_writing import object_path
from orchestrator.storage.filesystem import FilesystemStorage

PIECES = (b"a" * 70_000, b"b" * 10)
CONTENT = b"".join(PIECES)
NAME = CasId.of(CONTENT)
#: What the writer may ask of the system, one way or another.
CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "rename", "mkdir")


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(8, name="test")
    with threads.ended_after():
        yield threads


@pytest.fixture
async def storage(tmp_path: Path, threads: Threads) -> FilesystemStorage:
    storage = FilesystemStorage(tmp_path / "blobs", threads)
    await storage.set_identity("the one")
    return storage


def root(storage: FilesystemStorage) -> Path:
    assert storage.folder is not None
    return storage.folder


async def put(storage: FilesystemStorage) -> str:
    writer = await storage.create(None, "text/plain")
    try:
        for piece in PIECES:
            await writer.write(piece)
        return await writer.commit(NAME)
    except BaseException:
        await writer.abort()
        raise


async def stage(storage: FilesystemStorage) -> str | None:
    await storage.append("stage", 0, PIECES[0])
    await storage.append("stage", len(PIECES[0]), PIECES[1])
    return await storage.promote("stage", len(CONTENT), NAME)


WAYS = [pytest.param(put, id="written"), pytest.param(stage, id="promoted")]


async def content(storage: FilesystemStorage, key: str) -> bytes:
    return b"".join([piece async for piece in storage.read(key, 0, [len(CONTENT)])])


class System:
    """Stands between the writer and the system: notes each call, and may fail one of them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        self.failing: tuple[int, int] | None = None
        self.dying: int | None = None
        for name in CALLS:
            patch.setattr(os, name, self._between(name, getattr(os, name)))

    def _between(self, name: str, original: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            number = len(self.calls)
            self.calls.append((name, self._subject(args[0])))
            if self.failing is not None and self.failing[0] == number:
                raise OSError(self.failing[1], os.strerror(self.failing[1]))
            if self.dying == number:
                os._exit(9)
            return original(*args, **options)

        return call

    @staticmethod
    def _subject(argument: Any) -> str:
        if not isinstance(argument, int):
            return Path(argument).name
        kind = "folder" if stat.S_ISDIR(os.fstat(argument).st_mode) else "file"
        return f"{kind} {Path(f'/proc/self/fd/{argument}').readlink().name}"


@pytest.fixture
def system(storage: FilesystemStorage) -> Iterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        yield System(patch)


def position(system: System, name: str, start: str) -> int:
    return next(n for n, (call, what) in enumerate(system.calls) if call == name and start in what)


@pytest.mark.parametrize("way", WAYS)
async def test_the_file_is_synced_before_it_has_its_name_and_its_folder_after(
    storage: FilesystemStorage, system: System, way: Any
) -> None:
    key = await way(storage)
    shard = key[:2]
    file_synced = position(system, "fsync", "file")
    shard_made = position(system, "mkdir", shard)
    parent_synced = position(system, "fsync", "folder objects")
    renamed = position(system, "rename", "")
    shard_synced = position(system, "fsync", f"folder {shard}")
    last_write = max(n for n, (call, _) in enumerate(system.calls) if call in {"write", "pwrite"})
    if way is put:
        assert last_write < file_synced
    assert max(n for n, (c, w) in enumerate(system.calls) if c == "fsync" and "file" in w) < renamed
    assert file_synced < shard_made < parent_synced < renamed < shard_synced
    assert await content(storage, key) == CONTENT


async def test_new_folders_above_the_storage_are_synced_too(
    tmp_path: Path, threads: Threads, system: System
) -> None:
    await FilesystemStorage(tmp_path / "one/two/blobs", threads).set_identity("new")
    synced = {what for call, what in system.calls if call == "fsync"}
    assert {"folder blobs", "folder two", "folder one", f"folder {tmp_path.name}"} <= synced


async def test_a_folder_above_that_cannot_be_opened_is_passed_over(
    tmp_path: Path, threads: Threads, system: System
) -> None:
    (tmp_path / "one").mkdir()
    storage = FilesystemStorage(tmp_path / "one/blobs", threads)
    original = os.open

    def opened(path: Any, *args: Any, **options: Any) -> int:
        if path in tmp_path.parents:
            raise PermissionError(errno.EACCES, "no")
        return original(path, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opened)
        await storage.set_identity("new")
    assert await storage.identity() == "new"
    assert position(system, "fsync", "folder one")


def times(system: System, name: str, what: str) -> int:
    return sum(call == (name, what) for call in system.calls)


@pytest.mark.parametrize("way", WAYS)
async def test_a_folder_that_another_writer_made_is_synced_too(
    storage: FilesystemStorage, system: System, way: Any
) -> None:
    (root(storage) / "objects" / str(NAME).partition(":")[2][:2]).mkdir()
    await way(storage)
    assert position(system, "fsync", "folder objects") < position(system, "rename", "")
    await way(storage)
    assert times(system, "fsync", "folder objects") == 1


async def test_a_folder_whose_sync_failed_is_synced_by_the_next_writer(
    storage: FilesystemStorage, system: System
) -> None:
    await put(storage)
    at = position(system, "fsync", "folder objects")
    shutil.rmtree(object_path(root(storage) / "objects", str(NAME).partition(":")[2]).parent)
    system.calls.clear()
    system.failing = at, errno.EIO
    with pytest.raises(StorageUnavailable):
        await put(storage)
    system.calls.clear()
    system.failing = None
    await put(storage)
    assert times(system, "fsync", "folder objects") == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("number", "refusal"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, StorageUnavailable)],
)
async def test_whatever_fails_is_told_and_leaves_no_object(
    storage: FilesystemStorage,
    threads: Threads,
    system: System,
    way: Any,
    number: int,
    refusal: type[Exception],
) -> None:
    await way(storage)
    total = len(system.calls)
    failed = 0
    for position_ in range(total):
        fresh = FilesystemStorage(root(storage).with_name(f"fresh-{number}-{position_}"), threads)
        await fresh.set_identity("the one")
        system.calls.clear()
        system.failing = (position_, number)
        try:
            key = await way(fresh)
        except refusal:
            failed += 1
            system.failing = None
            # A folder that could not be synced after the rename leaves an object that nobody
            # was told of; it is whole.
            for entry in await fresh.list_objects("", 10):
                assert await content(fresh, entry.key) == CONTENT
            key = await way(fresh)
        finally:
            system.failing = None
        assert await content(fresh, key) == CONTENT
        assert list((root(fresh) / "incoming").iterdir()) == []
    assert failed >= total - 2


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_process_that_dies_at_any_call_leaves_whole_objects_or_none(
    tmp_path: Path, way: Any
) -> None:
    died = 0
    for number in range(40):
        folder = tmp_path / f"{number}"
        child = os.fork()
        if child == 0:
            _die_at(folder, way, number)
        died += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        asyncio.run(_check(folder, way))
    assert 5 < died < 40, "the calls were all reached"


def _die_at(folder: Path, way: Any, number: int) -> None:
    async def run() -> None:
        storage = FilesystemStorage(folder, Threads(1, name="test"))
        await storage.set_identity("the one")
        with pytest.MonkeyPatch.context() as patch:
            System(patch).dying = number
            await way(storage)

    try:
        asyncio.run(run())
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a child must never go on as a second test run.
        os._exit(1)


async def _check(folder: Path, way: Any) -> None:
    threads = Threads(8, name="test")
    with threads.ended_after():
        storage = FilesystemStorage(folder, threads)
        for entry in await storage.list_objects("", 10):
            assert await content(storage, entry.key) == CONTENT
        assert await content(storage, await way(storage)) == CONTENT
        await storage.sweep(datetime.now(UTC) + timedelta(seconds=1))
    assert list((folder / "incoming").iterdir()) == []


async def test_cancelled_writers_never_write_into_the_files_of_others(
    storage: FilesystemStorage,
) -> None:
    """A closed file's number is given to the next one that is opened."""

    async def broken() -> None:
        writer = await storage.create(None, "text/plain")
        writing = asyncio.create_task(writer.write(b"!" * 4_000_000))
        await asyncio.sleep(0)
        writing.cancel()
        await writer.abort()

    for _ in range(30):
        *_, key = await asyncio.gather(broken(), broken(), put(storage))
        assert blake3(await content(storage, key)).digest() == NAME.raw[1:]
        await storage.delete(key)


async def test_files_and_folders_are_ours_alone(storage: FilesystemStorage) -> None:
    await put(storage)
    for path in root(storage).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_a_folder_that_nobody_made_is_not_written_to(
    tmp_path: Path, threads: Threads
) -> None:
    storage = FilesystemStorage(tmp_path / "not mounted", threads)
    with pytest.raises(StorageUnavailable):
        await put(storage)
    with pytest.raises(StorageUnavailable):
        await storage.append("stage", 0, b"x")
    with pytest.raises(MissingObject):
        await content(storage, "ab/cd")
    assert await storage.identity() is None
    assert not root(storage).exists()


LONG = blake3(b"long").digest(8 * CACHED_READ_BYTES_MAX + 5)
LENGTHS = [CACHED_READ_BYTES_MAX + 1, *[CACHED_READ_BYTES_MAX] * 7, 4]


async def put_long(storage: FilesystemStorage) -> str:
    writer = await storage.create(None, "text/plain")
    await writer.write(LONG)
    return await writer.commit(NAME)


@pytest.mark.parametrize("kept_bytes", [0, 3 * CACHED_READ_BYTES_MAX + 9_000, len(LONG)])
async def test_bytes_are_the_same_from_the_disk_and_from_the_page_cache(
    storage: FilesystemStorage, kept_bytes: int
) -> None:
    key = await put_long(storage)
    file = os.open(object_path(root(storage) / "objects", key), os.O_RDONLY)
    os.posix_fadvise(file, kept_bytes, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
    read = [piece async for piece in storage.read(key, 0, LENGTHS)]
    assert [len(piece) for piece in read] == LENGTHS
    assert b"".join(read) == LONG


async def test_what_is_in_the_page_cache_is_read_without_a_thread(
    storage: FilesystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await put_long(storage)
    preadv = os.preadv

    def read(*_: object) -> bytes:
        raise AssertionError("a thread was asked")

    monkeypatch.setattr(OpenFile, "read", read)
    # Not every file system that tests run on can say at once.
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at, _: preadv(file, buffers, at))
    lengths = [CACHED_READ_BYTES_MAX] * 8
    assert b"".join([piece async for piece in storage.read(key, 0, lengths)]) == LONG[:-5]


async def test_a_reader_that_waits_for_nothing_lets_others_have_a_turn(
    storage: FilesystemStorage,
) -> None:
    key = await put_long(storage)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    reading = storage.read(key, 0, [CACHED_READ_BYTES_MAX] * 8)
    await anext(reading)
    running = asyncio.create_task(other())
    try:
        async for _ in reading:
            pass
    finally:
        running.cancel()
    assert turns >= 1
