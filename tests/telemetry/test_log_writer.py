"""The thread that writes the log: its order, its bound, and what stops it."""

import os
import threading
from collections.abc import Iterator

import pytest

from orchestrator.telemetry.log_writer import STDERR, LogWriter


class Output:
    """Standard error that takes nothing before it is opened, and then so many bytes a write."""

    def __init__(self, taken_max: int = 1_000_000) -> None:
        self.text = b""
        self.opened = threading.Event()
        self.begun = threading.Event()
        self._taken_max = taken_max

    def write(self, to: int, piece: bytes) -> int:
        assert to == STDERR
        self.begun.set()
        assert self.opened.wait(10)
        self.text += piece[: self._taken_max]
        return min(len(piece), self._taken_max)


@pytest.fixture
def output() -> Iterator[Output]:
    made = Output()
    yield made
    made.opened.set()


def writer(output: Output, bytes_max: int = 1_000) -> LogWriter:
    return LogWriter(
        dropped_line=lambda lines: b"%d!" % lines, bytes_max=bytes_max, write=output.write
    )


def test_what_is_put_is_written_in_order(output: Output) -> None:
    output.opened.set()
    made = writer(output)
    for number in range(100):
        made.put(b"%d\n" % number, 1)
    assert made.drain(10)
    assert output.text == b"".join(b"%d\n" % number for number in range(100))
    made.put(b"again\n", 1)
    assert made.drain(10)
    assert output.text.endswith(b"99\nagain\n")
    assert made.dropped == 0


def test_nobody_waits_for_an_output_that_takes_nothing(output: Output) -> None:
    made = writer(output)
    made.put(b"one\n", 1)
    assert output.begun.wait(10)
    made.put(b"two\n", 1)
    assert not made.drain(0.01)
    assert output.text == b""
    output.opened.set()
    assert made.drain(10)
    assert output.text == b"one\ntwo\n"


def test_what_comes_to_a_full_queue_is_counted_in_its_place(output: Output) -> None:
    made = writer(output, bytes_max=8)
    made.put(b"one\n", 1)
    made.put(b"two\n", 1)
    made.put(b"three\nfour\n", 2)
    made.put(b"five\n", 1)
    assert made.dropped == 3
    output.opened.set()
    assert made.drain(10)
    made.put(b"six\n", 1)
    assert made.drain(10)
    assert output.text == b"one\ntwo\n3!\nsix\n"
    assert made.dropped == 3


def test_the_queue_never_grows_past_its_bound(output: Output) -> None:
    made = writer(output, bytes_max=50)
    for _ in range(1_000):
        made.put(b"0123456789\n", 1)
    assert made.dropped == 1_000 - 50 // 11
    output.opened.set()
    assert made.drain(10)
    assert output.text == b"0123456789\n" * 4 + b"996!\n"


def test_the_rest_of_a_write_that_took_a_part_is_written_too() -> None:
    output = Output(taken_max=3)
    output.opened.set()
    made = writer(output)
    made.put(b"a long line\n", 1)
    assert made.drain(10)
    assert output.text == b"a long line\n"


def test_lines_that_nobody_can_read_any_more_are_counted_and_stop_nothing() -> None:
    reader, end = os.pipe()
    os.close(reader)
    made = LogWriter(
        dropped_line=lambda lines: b"%d!" % lines,
        bytes_max=1_000,
        write=lambda _, piece: os.write(end, piece),
    )
    for _ in range(3):
        made.put(b"one\ntwo\n", 2)
        assert made.drain(10)
    os.close(end)
    assert made.dropped == 6


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    answers = iter([0, 3, 0, 1])
    taken = []

    def write(_: int, piece: bytes) -> int:
        answer = next(answers)
        if not answer:
            raise BlockingIOError
        taken.append(piece[:answer])
        return answer

    made = LogWriter(dropped_line=lambda _: b"", bytes_max=1_000, write=write)
    made.put(b"one\n", 1)
    assert made.drain(10)
    assert b"".join(taken) == b"one\n"
    assert made.dropped == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_thread_of_its_own_and_nothing_to_write_twice() -> None:
    reader, end = os.pipe()
    made = LogWriter(
        dropped_line=lambda _: b"", bytes_max=1_000, write=lambda _, piece: os.write(end, piece)
    )
    made.put(b"parent\n", 1)
    assert made.drain(10)
    child = os.fork()
    if not child:
        made.begin()
        made.put(b"child\n", 1)
        os._exit(not made.drain(10))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(end)
    assert os.read(reader, 100) == b"parent\nchild\n"
    os.close(reader)
