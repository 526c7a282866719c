"""Writes to pipes, sockets, terminals and files that others write to as well."""

import os
import pty
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.telemetry.log_output import (
    FILE_PIECE_BYTES_MAX,
    PIPE_PIECE_BYTES_MAX,
    LogOutput,
)

PIECE = b"x" * (PIPE_PIECE_BYTES_MAX - 1) + b"\n"


def made_pair() -> tuple[int, int]:
    one, two = socket.socketpair()
    return one.detach(), two.detach()


@pytest.mark.parametrize("pair", [os.pipe, made_pair, pty.openpty])
def test_what_nobody_reads_is_written_until_it_is_full_and_then_never_waited_for(
    pair: Callable[[], tuple[int, int]],
) -> None:
    reader, end = pair()
    output = LogOutput(end)
    assert output.piece_bytes_max == PIPE_PIECE_BYTES_MAX
    written = 0
    with pytest.raises(BlockingIOError):
        while True:
            written += output.write_now(PIECE)
    assert written > 0
    assert os.get_blocking(end), "as it was, for the others"
    read = os.read(reader, 100)
    assert read.startswith(b"xxx")
    os.close(reader)
    os.close(end)


def test_of_a_file_nobody_knows_whether_it_takes_bytes_without_waiting(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        output = LogOutput(log.fileno())
        assert output.piece_bytes_max == FILE_PIECE_BYTES_MAX
        with pytest.raises(BlockingIOError):
            output.write_now(PIECE)
        output.write(PIECE)
    assert (tmp_path / "log").read_bytes() == PIECE


def test_a_pipe_that_another_program_made_non_blocking_is_waited_for() -> None:
    reader, end = os.pipe()
    os.set_blocking(end, False)
    text = PIECE * 100
    thread = threading.Thread(target=LogOutput(end).write, args=(text,))
    thread.start()
    read = b""
    while len(read) < len(text):
        assert select.select([reader], [], [], 10)[0]
        read += os.read(reader, 1_000_000)
    thread.join()
    assert read == text
    os.close(reader)
    os.close(end)


def test_a_closed_descriptor_fails_at_the_write_and_not_before() -> None:
    output = LogOutput(1_000_000)
    with pytest.raises(OSError, match="Bad file"):
        output.write(PIECE)


def test_what_standard_error_is_matters_when_the_first_line_comes(tmp_path: Path) -> None:
    reader, end = os.pipe()
    with (tmp_path / "log").open("ab") as log:
        output = LogOutput(log.fileno())
        os.dup2(end, log.fileno())
        assert output.write_now(PIECE) == len(PIECE)
    assert os.read(reader, len(PIECE)) == PIECE
    os.close(reader)
    os.close(end)
