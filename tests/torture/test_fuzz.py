"""The short form of the fuzzer, and that it sees what is wrong."""

import pytest

from torture.fuzz import fault, has_grown, memory_of_parts
from torture.fuzz import fuzz as run_fuzz
from torture.raw_http import RawAnswer, UnreadableError, answers
from torture.run import Run

OURS = {"x-correlation-id": "1", "content-type": "application/problem+json"}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.slow
def test_two_thousand_damaged_requests_do_no_harm(run: Run) -> None:
    run_fuzz(run)
    assert run.found == []


@pytest.mark.parametrize(
    ("sizes", "is_leak"),
    [
        ([90, 96], False),
        ([90, 130, 131], False),
        ([90, 130, 150, 152], False),
        ([90, 110, 130, 150], True),
    ],
)
def test_memory_that_grows_again_and_again_is_a_leak(sizes: list[float], *, is_leak: bool) -> None:
    left, done = iter(sizes), list[range]()
    found = memory_of_parts(done.append, lambda: next(left), 2_000)
    assert found == sizes
    assert has_grown(found) == is_leak
    assert [number for part in done for number in part] == list(range(500 + 1_500 * len(done[1:])))


def test_answers_are_read_one_after_the_other() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    found = answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + chunked + empty, may_be_head=False)
    assert [(each.status, each.body) for each in found] == [(200, b"ok"), (200, b"ok"), (204, b"")]
    assert answers(OK[:-1], may_be_head=False)[0].is_cut
    assert not answers(OK[:-2] + OK, may_be_head=True)[0].is_cut


@pytest.mark.parametrize(
    "received",
    [b"x", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/2 200\r\n\r\n", OK.replace(b"length:", b"length :")],
)
def test_what_is_no_answer_is_not_taken_for_one(received: bytes) -> None:
    with pytest.raises(UnreadableError):
        answers(received, may_be_head=False)


@pytest.mark.parametrize(
    ("answer", "is_fault"),
    [
        (RawAnswer(200, OURS, b"ok"), False),
        (RawAnswer(200, OURS, b"ok", is_cut=True), True),
        (RawAnswer(500, OURS, b""), True),
        (RawAnswer(400, OURS, b"Bad"), True),
        (RawAnswer(400, {}, b""), True),
    ],
)
def test_a_fault_is_seen(answer: RawAnswer, *, is_fault: bool) -> None:
    assert bool(fault(answer)) == is_fault
