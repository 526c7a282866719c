"""Lines on their way to standard error: which share a write, and which wait for nothing."""

import asyncio
import json
import os
from collections.abc import Iterator
from itertools import pairwise

import pytest
import structlog

from orchestrator.telemetry import logs
from orchestrator.telemetry.logs import FLUSH_SECONDS, LINES_WAITING_MAX, WRITE_BYTES_MAX, Lines


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written to standard error, piece by piece."""
    logs.LINES.flush()
    pieces: list[bytes] = []

    def write(to: int, piece: bytes) -> int:
        assert to == logs.STDERR
        pieces.append(piece)
        return len(piece)

    monkeypatch.setattr(os, "write", write)
    return pieces


@pytest.fixture(autouse=True)
def _configured_again() -> Iterator[None]:
    yield
    logs.configure("info")


async def test_lines_wait_for_others_and_share_a_write(writes: list[bytes]) -> None:
    lines = Lines()
    for text in (b"one", b"two", b"three"):
        lines.info(text)
    assert writes == []
    await asyncio.sleep(FLUSH_SECONDS * 2)
    assert writes == [b"one\ntwo\nthree\n"]
    lines.info(b"four")
    await asyncio.sleep(FLUSH_SECONDS * 2)
    assert writes == [b"one\ntwo\nthree\n", b"four\n"], "each line is written, also the last"


@pytest.mark.parametrize("method", ["warning", "error", "exception", "critical"])
async def test_a_warning_waits_for_nothing_and_takes_along_what_waits_in_order(
    writes: list[bytes], method: str
) -> None:
    lines = Lines()
    lines.info(b"before")
    lines.debug(b"and before")
    getattr(lines, method)(b"now")
    assert writes == [b"before\nand before\nnow\n"]
    lines.info(b"after")
    await asyncio.sleep(FLUSH_SECONDS * 2)
    assert writes[1:] == [b"after\n"]


async def test_so_many_lines_are_not_kept_waiting(writes: list[bytes]) -> None:
    lines = Lines()
    for number in range(LINES_WAITING_MAX - 1):
        lines.info(b"%d" % number)
    assert writes == []
    lines.info(b"last")
    assert b"".join(writes).count(b"\n") == LINES_WAITING_MAX


def test_without_a_loop_a_line_is_written_at_once(writes: list[bytes]) -> None:
    lines = Lines()
    lines.info(b"one")
    assert writes == [b"one\n"]


def test_a_loop_that_ended_before_its_lines_were_written_loses_none(writes: list[bytes]) -> None:
    lines = Lines()

    async def log(text: bytes) -> None:
        lines.info(text)

    asyncio.run(log(b"one"))
    assert writes == []

    async def log_and_wait() -> None:
        lines.info(b"two")
        await asyncio.sleep(FLUSH_SECONDS * 2)

    asyncio.run(log_and_wait())
    assert writes == [b"one\ntwo\n"]


async def test_pieces_end_with_a_line_and_are_short_enough_to_stay_whole(
    writes: list[bytes],
) -> None:
    lines = Lines()
    texts = [b"%03d" % number + b"x" * (number * 97 % 1_500) for number in range(100)]
    texts[40] += b"y" * WRITE_BYTES_MAX
    texts[60] = b"z" * (WRITE_BYTES_MAX - 1)
    for text in texts:
        lines.info(text)
    lines.flush()
    assert b"".join(writes) == b"".join(text + b"\n" for text in texts)
    for piece in writes:
        assert piece.endswith(b"\n")
        assert len(piece) <= WRITE_BYTES_MAX or piece == texts[40] + b"\n"
    for one, two in pairwise(writes):
        following = two[: two.index(b"\n") + 1]
        assert len(one) + len(following) > WRITE_BYTES_MAX, "no piece is shorter than it need be"


async def test_a_write_that_takes_a_part_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def write(_: int, piece: bytes) -> int:
        taken.append(piece[:3])
        return len(taken[-1])

    monkeypatch.setattr(os, "write", write)
    Lines().warning(b"a long line")
    assert b"".join(taken) == b"a long line\n"


async def test_a_log_that_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(logs, "STDERR", writer)
    lines = Lines()
    lines.info(b"one")
    lines.warning(b"two")
    os.close(writer)
    lines.warning(b"three")
    assert not lines._waiting, "what cannot be written is not kept for ever"


def read(writes: list[bytes]) -> list[dict[str, object]]:
    logs.LINES.flush()
    lines = [json.loads(line) for line in b"".join(writes).splitlines()]
    writes.clear()
    return lines


@pytest.mark.parametrize("correlated", [False, True])
def test_a_line_made_without_the_library_is_the_one_that_it_would_make(
    writes: list[bytes], *, correlated: bool
) -> None:
    fields = {"text": 'é"\n', "number": 1.5, "nothing": None, "path": os, "list": [1, {"a": True}]}
    logs.configure("info")
    token = logs.correlation_id.set("job-7") if correlated else None
    try:
        logs.info("it happened", dict(fields))
        structlog.get_logger().info("it happened", **fields)
    finally:
        if token is not None:
            logs.correlation_id.reset(token)
    ours, theirs = read(writes)
    for line in (ours, theirs):
        assert str(line.pop("timestamp")).endswith("Z")
    assert ours == theirs
    assert ours["message"] == "it happened"
    assert ours["level"] == "info"
    assert ours.get("correlation_id") == ("job-7" if correlated else None)


def test_the_line_of_a_request_is_the_one_that_the_library_would_make(
    writes: list[bytes],
) -> None:
    logs.configure("info")
    token = logs.correlation_id.set("job-7")
    try:
        logs.request("GET", "/a/é", 200, 0.0123456)
        fields = {"method": "GET", "path": "/a/é", "status": 200, "duration_ms": 12.346}
        structlog.get_logger().info("request", **fields)
    finally:
        logs.correlation_id.reset(token)
    ours, theirs = read(writes)
    for line in (ours, theirs):
        assert str(line.pop("timestamp")).endswith("Z")
    assert ours == theirs


def test_an_id_that_was_given_with_a_fact_is_its_own(writes: list[bytes]) -> None:
    logs.configure("info")
    logs.info("told", {"correlation_id": "another's"})
    assert [line["correlation_id"] for line in read(writes)] == ["another's"]


@pytest.mark.parametrize(
    ("level", "messages"),
    [
        ("debug", ["d", "i", "ours", "request", "w"]),
        ("info", ["i", "ours", "request", "w"]),
        ("warning", ["w"]),
        ("error", []),
    ],
)
def test_the_level_decides_which_lines_there_are(
    writes: list[bytes], level: str, messages: list[str]
) -> None:
    logs.configure(level)
    log = structlog.get_logger()
    log.debug("d")
    log.info("i")
    logs.info("ours", {})
    logs.request("GET", "/", 200, 0.0)
    log.warning("w")
    assert [line["message"] for line in read(writes)] == messages
