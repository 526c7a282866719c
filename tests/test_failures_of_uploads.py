"""Uploads to storage: each step failing, each step failing after it persisted, and many at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from orchestrator.core.database import Connection
from orchestrator.errors import StorageUnavailable
from orchestrator.handlers.http.edge import Edge
from orchestrator.repository.cas import CASRepository
from orchestrator.repository.cas_visible import VisibleBlobRepository
from orchestrator.repository.idempotency import IdempotencyRepository
from orchestrator.storage.file_writing import FileWriter
from orchestrator.storage.filesystem import FilesystemStorage
from orchestrator.storage.segments import SEGMENT_BYTES
from tests.api import Api
from tests.conftest import TOKEN

CONTENT = blake3(b"content").digest(SEGMENT_BYTES * 2 + 1)
NAME = f"blake3:{blake3(CONTENT).hexdigest()}"
#: Before the transaction: what fails here is known to have no row.
BEFORE = [
    (FilesystemStorage, "create"),
    (FileWriter, "write"),
    (FileWriter, "commit"),
]
INSIDE = [
    (IdempotencyRepository, "claim"),
    (VisibleBlobRepository, "get"),
    (CASRepository, "insert"),
    (CASRepository, "put_lease"),
    (IdempotencyRepository, "remember"),
]
STEPS = [*BEFORE, *INSIDE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
async def api(
    fresh_database: str, folder: Path, make_app: Callable[..., Edge]
) -> AsyncIterator[Api]:
    app = make_app(database_url=fresh_database, blob_store=folder.as_uri(), blob_inline_bytes_max=9)
    async with Api.on(app, TOKEN) as api:
        yield api


async def upload(api: Api, key: str = "k") -> Any:
    headers = {"Idempotency-Key": key}
    return await api.http.post("/api/v1/cas", content=CONTENT, headers=headers)


def files(folder: Path, part: str = "") -> set[str]:
    return {path.name for path in (folder / part).rglob("*") if path.is_file()} - {"identity"}


async def names(database: Connection) -> set[str]:
    """The files that rows point at; every one of them must be there."""
    rows = await database.fetch("SELECT storage_key FROM cas_blob WHERE storage_key IS NOT NULL")
    return {row[0].replace("/", ".") for row in rows}


async def test_without_a_fault_every_step_of_the_table_is_taken(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []
    for owner, method in STEPS:
        original = getattr(owner, method)

        async def observed(
            *args: Any, _step: Any = (owner, method), _to: Any = original, **o: Any
        ) -> Any:
            taken.append(_step)
            return await _to(*args, **o)

        monkeypatch.setattr(owner, method, observed)
    assert (await upload(api)).status_code == 201
    assert list(dict.fromkeys(taken)) == STEPS


@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed-after-persisting"])
@pytest.mark.parametrize(("owner", "method"), STEPS, ids=[f"{o.__name__}.{m}" for o, m in STEPS])
@pytest.mark.parametrize("fault", [StorageUnavailable, ZeroDivisionError, asyncio.CancelledError])
async def test_a_fault_in_any_step_leaves_no_row_and_no_file_that_is_half_written(
    api: Api,
    database: Connection,
    folder: Path,
    owner: type,
    method: str,
    *,
    persisted: bool,
    fault: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await api.http.get("/health/ready")  # The storage has its identity.
    await api.http.post("/api/v1/cas", content=b"x" * 10)
    before = files(folder)
    original = getattr(owner, method)

    async def failing(*args: Any, **options: Any) -> Any:
        if persisted:
            await original(*args, **options)
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(owner, method, failing)
        if fault is asyncio.CancelledError:
            with pytest.raises(asyncio.CancelledError):
                await upload(api)
        else:
            assert (await upload(api)).status_code == (503 if fault is StorageUnavailable else 500)
    assert await database.fetchval("SELECT count(*) FROM cas_blob") == 1
    left = files(folder) - before
    if (owner, method) in BEFORE and not (method in {"create", "commit"} and persisted):
        assert left == set()
    # What may be left is whole, and nothing points at it: verification finds it.
    assert all(name.startswith(NAME[7:]) for name in files(folder, "objects") - before)
    assert (await upload(api)).status_code == 201, "the same request succeeds afterwards"
    assert await names(database) <= files(folder, "objects")
    assert (await api.get(f"/cas/{NAME}")).content == CONTENT


async def test_a_commit_whose_answer_was_lost_keeps_the_file(
    api: Api, database: Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is there although the caller was told otherwise: it must not point at nothing."""
    original = IdempotencyRepository.remember

    async def committed_and_lost(self: Any, conn: Connection, *args: Any) -> None:
        await original(self, conn, *args)
        await conn.execute("COMMIT")
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(IdempotencyRepository, "remember", committed_and_lost)
        assert (await upload(api)).status_code == 503
    assert await names(database) == files(folder, "objects") != set()
    assert (await api.get(f"/cas/{NAME}")).content == CONTENT
    assert (await upload(api)).status_code == 201


async def test_of_many_uploads_of_the_same_bytes_one_file_stays(
    api: Api, database: Connection, folder: Path
) -> None:
    answers = await asyncio.gather(*(upload(api, f"k{number}") for number in range(16)))
    assert Counter(answer.status_code for answer in answers) <= Counter({201: 16, 200: 16})
    assert {answer.json()["cas_id"] for answer in answers} == {NAME}
    assert await names(database) == files(folder)
    assert len(files(folder)) == 1
    assert (await api.get(f"/cas/{NAME}")).content == CONTENT


async def test_many_uploads_that_ask_for_the_second_name_do_not_block_each_other(api: Api) -> None:
    """Each holds the blob while it adds the name."""
    await api.http.post("/api/v1/cas", content=CONTENT)
    wanted = {"Want-Repr-Digest": "sha-256=1"}
    for content in (CONTENT, CONTENT + b"!"):
        answers = await asyncio.gather(
            *(api.http.post("/api/v1/cas", content=content, headers=wanted) for _ in range(12))
        )
        assert {answer.status_code for answer in answers} <= {200, 201}
        assert len({answer.json()["sha256"] for answer in answers}) == 1
