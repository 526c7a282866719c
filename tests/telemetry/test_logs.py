"""Lines on their way to the writer: which share a piece, and which wait for nothing."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from itertools import pairwise

import pytest
import structlog

from orchestrator.telemetry import logs
from orchestrator.telemetry.log_output import LogOutput
from orchestrator.telemetry.log_writer import LogWriter
from orchestrator.telemetry.logs import LINES_WAITING_MAX, Lines, PlainLines
from tests.conftest import logged

PIECE_BYTES_MAX = 2_000


class Written(LogWriter):
    """The pieces that a `Lines` wants written."""

    def __init__(self) -> None:
        output = LogOutput()
        output.piece_bytes_max = PIECE_BYTES_MAX
        super().__init__(output, dropped_line=lambda _: b"", bytes_max=0)
        self.pieces: list[bytes] = []

    def put(self, piece: bytes, lines: int) -> None:
        assert piece.count(b"\n") == lines
        self.pieces.append(piece)


@pytest.fixture(autouse=True)
def _configured_again() -> Iterator[None]:
    yield
    logs.configure("info")


async def test_lines_wait_for_others_and_share_a_write() -> None:
    written = Written()
    lines = Lines(written, flush_seconds=0.01)
    for text in (b"one", b"two", b"three"):
        lines.info(text)
    assert written.pieces == []
    await asyncio.sleep(0.05)
    assert written.pieces == [b"one\ntwo\nthree\n"]
    lines.info(b"four")
    await asyncio.sleep(0.05)
    assert written.pieces == [b"one\ntwo\nthree\n", b"four\n"], "also the last line"


@pytest.mark.parametrize("method", ["warning", "error", "exception", "critical"])
async def test_a_warning_waits_for_nothing_and_takes_along_what_waits_in_order(
    method: str,
) -> None:
    written = Written()
    lines = Lines(written, flush_seconds=0.01)
    lines.info(b"before")
    lines.debug(b"and before")
    getattr(lines, method)(b"now")
    assert written.pieces == [b"before\nand before\nnow\n"]
    lines.info(b"after")
    await asyncio.sleep(0.05)
    assert written.pieces[1:] == [b"after\n"]


async def test_a_full_buffer_is_written_at_once() -> None:
    written = Written()
    lines = Lines(written)
    for number in range(LINES_WAITING_MAX - 1):
        lines.info(b"%d" % number)
    assert written.pieces == []
    lines.info(b"last")
    assert b"".join(written.pieces).count(b"\n") == LINES_WAITING_MAX


def test_without_a_loop_a_line_waits_for_nothing() -> None:
    written = Written()
    lines = Lines(written)
    lines.info(b"one")
    assert written.pieces == [b"one\n"]


def test_a_loop_that_ended_before_its_lines_were_written_loses_none() -> None:
    written = Written()
    lines = Lines(written, flush_seconds=0.2)

    async def log(text: bytes, seconds: float) -> None:
        lines.info(text)
        await asyncio.sleep(seconds)

    asyncio.run(log(b"one", 0))
    assert written.pieces == []
    asyncio.run(log(b"two", 0.25))
    assert written.pieces == [b"one\ntwo\n"]


async def test_pieces_end_with_a_line_and_are_short_enough_to_stay_whole() -> None:
    written = Written()
    lines = Lines(written)
    texts = [b"%03d" % number + b"x" * (number * 97 % 1_500) for number in range(100)]
    texts[40] += b"y" * PIECE_BYTES_MAX
    texts[60] = b"z" * (PIECE_BYTES_MAX - 1)
    for text in texts:
        lines.info(text)
    lines.flush()
    assert b"".join(written.pieces) == b"".join(text + b"\n" for text in texts)
    for piece in written.pieces:
        assert piece.endswith(b"\n")
        assert len(piece) <= PIECE_BYTES_MAX or piece == texts[40] + b"\n"
    for one, two in pairwise(written.pieces):
        following = two[: two.index(b"\n") + 1]
        assert len(one) + len(following) > PIECE_BYTES_MAX, "no piece is shorter than it need be"


def test_a_library_that_logs_by_itself_uses_the_same_way(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    lines = PlainLines()
    record = logging.makeLogRecord({"msg": "Unexpected exit from worker-%d", "args": (1,)})
    lines.handle(record)
    assert logged(capfdbinary) == b"Unexpected exit from worker-1\n"
    logs.configure("info")
    assert isinstance(logging.lastResort, PlainLines)


def read(captured: pytest.CaptureFixture[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in logged(captured).splitlines()]


@pytest.mark.parametrize("correlated", [False, True])
def test_a_line_made_without_the_library_is_the_one_that_it_would_make(
    capfdbinary: pytest.CaptureFixture[bytes], *, correlated: bool
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
    ours, theirs = read(capfdbinary)
    for line in (ours, theirs):
        assert str(line.pop("timestamp")).endswith("Z")
    assert ours == theirs
    assert ours["message"] == "it happened"
    assert ours["level"] == "info"
    assert ours.get("correlation_id") == ("job-7" if correlated else None)


def test_the_line_of_a_request_is_the_one_that_the_library_would_make(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    logs.configure("info")
    token = logs.correlation_id.set("job-7")
    try:
        logs.request("GET", "/a/é", 200, 0.0123456)
        fields = {"method": "GET", "path": "/a/é", "status": 200, "duration_ms": 12.346}
        structlog.get_logger().info("request", **fields)
    finally:
        logs.correlation_id.reset(token)
    ours, theirs = read(capfdbinary)
    for line in (ours, theirs):
        assert str(line.pop("timestamp")).endswith("Z")
    assert ours == theirs


def test_an_id_among_the_fields_of_a_line_stays(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    logs.configure("info")
    logs.info("told", {"correlation_id": "another's"})
    assert [line["correlation_id"] for line in read(capfdbinary)] == ["another's"]


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
    capfdbinary: pytest.CaptureFixture[bytes], level: str, messages: list[str]
) -> None:
    logs.configure(level)
    log = structlog.get_logger()
    log.debug("d")
    log.info("i")
    logs.info("ours", {})
    logs.request("GET", "/", 200, 0.0)
    log.warning("w")
    assert [line["message"] for line in read(capfdbinary)] == messages
