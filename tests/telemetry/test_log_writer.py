"""What writes the log, at once or in a thread: its order, its bound, and what stops it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.telemetry.log_output import LogOutput
from orchestrator.telemetry.log_writer import LogWriter


class Output:
    """Takes nothing before it is opened. What is written then is written by the thread, unless it
    takes so many bytes at once.
    """

    piece_bytes_max = 100

    def __init__(self, taken_now: int = 0) -> None:
        self.text = b""
        self.opened = threading.Event()
        self.begun = threading.Event()
        self.threads: set[threading.Thread] = set()
        self.taken_now = taken_now

    def write_now(self, piece: bytes) -> int:
        if not (self.taken_now and self.opened.is_set()):
            raise BlockingIOError
        self.threads.add(threading.current_thread())
        self.text += piece[: self.taken_now]
        return min(len(piece), self.taken_now)

    def write(self, piece: bytes) -> None:
        self.begun.set()
        assert self.opened.wait(10)
        self.threads.add(threading.current_thread())
        self.text += piece


@pytest.fixture
def output() -> Iterator[Output]:
    made = Output()
    yield made
    made.opened.set()


def writer(output: Output, bytes_max: int = 1_000) -> LogWriter:
    return LogWriter(output, dropped_line=lambda lines: b"%d!" % lines, bytes_max=bytes_max)


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


def test_what_is_taken_at_once_needs_no_thread() -> None:
    output = Output(taken_now=100)
    output.opened.set()
    made = writer(output)
    for number in range(100):
        made.put(b"%d\n" % number, 1)
    assert output.text == b"".join(b"%d\n" % number for number in range(100))
    assert output.threads == {threading.current_thread()}
    assert made.drain(0)


def test_nothing_overtakes_what_waits() -> None:
    output = Output(taken_now=100)
    made = writer(output, bytes_max=10_000)
    made.put(b"one\n", 1)
    assert output.begun.wait(10)
    output.opened.set()
    for number in range(1_000):
        made.put(b"%d\n" % number, 1)
    assert made.drain(10)
    assert output.text == b"one\n" + b"".join(b"%d\n" % number for number in range(1_000))
    output.threads.clear()
    made.put(b"last\n", 1)
    assert output.threads == {threading.current_thread()}, "at once again: nothing waits any more"


def test_the_rest_of_what_was_taken_in_part_is_written_before_the_next() -> None:
    output = Output(taken_now=3)
    output.opened.set()
    made = writer(output)
    made.put(b"a long line\n", 1)
    made.put(b"b\n", 1)
    assert made.drain(10)
    assert output.text == b"a long line\nb\n"


@pytest.mark.parametrize("waiting", [0, 1])
def test_lines_that_nobody_can_read_any_more_are_counted_and_stop_nothing(waiting: int) -> None:
    """Who writes at once finds out, and so does the thread that waits."""
    reader, end = os.pipe()
    made = LogWriter(LogOutput(end), dropped_line=lambda _: b"", bytes_max=1_000_000)
    for _ in range(waiting):
        made.put(b"x" * 500_000, 1)
    os.close(reader)
    for _ in range(3):
        made.put(b"one\ntwo\n", 2)
        assert made.drain(10)
    os.close(end)
    assert made.dropped == 6 + waiting


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_thread_of_its_own_and_nothing_to_write_twice(
    tmp_path: Path,
) -> None:
    with (tmp_path / "log").open("ab") as log:
        made = LogWriter(LogOutput(log.fileno()), dropped_line=lambda _: b"", bytes_max=1_000)
        made.put(b"parent\n", 1)
        assert made.drain(10)
        child = os.fork()
        if not child:
            made.begin()
            made.put(b"child\n", 1)
            os._exit(not made.drain(10))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "log").read_bytes() == b"parent\nchild\n"
