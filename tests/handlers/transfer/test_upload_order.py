"""Resumable uploads whose bodies are not what they say, and those of many requests at once."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from orchestrator.app import create_app
from orchestrator.jobs.upload_pace import UploadPace
from orchestrator.wiring.jobs import build_jobs
from tests.api import Api
from tests.conftest import TOKEN, settings_for
from tests.handlers.transfer.uploading import (
    LARGE,
    MIB,
    begun,
    cas_id,
    checksum,
    content_of,
    head,
    offset,
    patch,
    stages_of,
)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_body_of_another_checksum_is_thrown_away(api: Api, algorithm: str) -> None:
    where = await begun(api, len(LARGE))
    half = len(LARGE) - 7
    right = {"Upload-Checksum": checksum(algorithm, LARGE[:half])}
    wrong = await patch(api, where, 0, b"x" + LARGE[1:half], **right)
    assert (wrong.status_code, wrong.json()["error"]) == (460, "checksum mismatch")
    assert await offset(api, where) == 0
    assert (await patch(api, where, 0, LARGE[:half], **right)).status_code == 204
    rest = {"Upload-Checksum": checksum(algorithm, LARGE[half:])}
    last = await patch(api, where, half, LARGE[half:], **rest)
    assert await content_of(api, last) == LARGE


async def test_a_body_that_breaks_off_counts_only_without_a_checksum(api: Api) -> None:
    where = await begun(api, len(LARGE))
    headers = {"Content-Length": str(len(LARGE))}
    whole = {**headers, "Upload-Checksum": checksum("sha1", LARGE)}
    assert (await patch(api, where, 0, breaking(LARGE[:-1]), **whole)).status_code == 400
    assert await offset(api, where) == 0
    assert (await patch(api, where, 0, breaking(LARGE[:-1]), **headers)).status_code == 400
    assert await offset(api, where) == len(LARGE) - 1
    last = await patch(api, where, len(LARGE) - 1, LARGE[-1:])
    assert await content_of(api, last) == LARGE


async def breaking(content: bytes) -> AsyncIterator[bytes]:
    """A body that is shorter than its Content-Length."""
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


# ---------------------------------------------------------------------------------------- races


@pytest.fixture
async def brisk_api(shared_database: str, namespace: str) -> AsyncIterator[Api]:
    """It counts every small piece at once."""
    pace = UploadPace(piece_bytes=64 * 1024, advance_bytes=64 * 1024)
    settings = settings_for(shared_database, namespace_default=namespace)
    app = create_app(settings, jobs_on=partial(build_jobs, pace=pace))
    async with Api.on(app, TOKEN) as api:
        yield api


async def test_of_requests_at_one_offset_one_wins_and_the_bytes_are_its(brisk_api: Api) -> None:
    """Each sends other bytes, slowly: the content is that of one, not a mixture."""
    size = 2 * MIB
    for _ in range(3):
        where = await begun(brisk_api, size)
        answers = await asyncio.gather(
            *(patch(brisk_api, where, 0, slowly(bytes([number]) * size)) for number in range(8))
        )
        won = [at for at, answer in enumerate(answers) if answer.status_code == 204]
        assert {answer.status_code for answer in answers} == {204, 409}
        assert len(won) == 1
        assert await content_of(brisk_api, answers[won[0]]) == bytes(won) * size


async def slowly(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65_536):
        await asyncio.sleep(0)
        yield content[start : start + 65_536]


async def test_an_old_request_that_wakes_up_late_damages_nothing(
    brisk_api: Api, shared_database: str
) -> None:
    """Its bytes reach the storage after those of the new one were acknowledged."""
    where = await begun(brisk_api, len(LARGE))
    waiting, woken = asyncio.Event(), asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield LARGE[:100_000]
        yield LARGE[100_000:200_000]
        waiting.set()
        await woken.wait()
        yield b"?" * 100_000

    old = asyncio.create_task(patch(brisk_api, where, 0, stalling()))
    await waiting.wait()
    at = await offset(brisk_api, where)
    assert at == 100_000, "the second piece is not yet counted"
    assert (await patch(brisk_api, where, at, LARGE[at : at + 1_000_000])).status_code == 204
    woken.set()
    assert (await old).status_code == 409
    at = await offset(brisk_api, where)
    assert at == 1_100_000
    last = await patch(brisk_api, where, at, LARGE[at:])
    assert await content_of(brisk_api, last) == LARGE
    assert stages_of(shared_database, where) == []


async def test_of_concurrent_completions_all_tell_the_same(api: Api, namespace: str) -> None:
    for content in (namespace.encode() + LARGE, b"small" + namespace.encode()):
        where = await begun(api, None)
        await patch(api, where, 0, content)
        size = len(content)
        answers = await asyncio.gather(
            *(patch(api, where, size, b"", **{"Upload-Length": str(size)}) for _ in range(8))
        )
        # Those that took it over from each other before it was whole may be told to look again.
        assert {answer.status_code for answer in answers} <= {204, 409}
        done = [answer for answer in answers if answer.status_code == 204]
        assert done
        assert {answer.headers["etag"] for answer in done} == {f'"{cas_id(content)}"'}
        assert await content_of(api, await head(api, where)) == content
