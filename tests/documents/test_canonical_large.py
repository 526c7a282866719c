"""What is found out about a large text without reading its values."""

import json
import threading
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.canonical import (
    DEPTH_MAX,
    parse,
)
from orchestrator.documents.canonical_count import SLICE_BYTES
from orchestrator.documents.canonical_scan import violations_in
from orchestrator.errors import InvalidInput
from tests.documents.json_texts import BYTES_MAX, VALUES, places, read, refusals

# Of this thread alone: what else the machine does is not counted.
CPU_SECONDS_MAX = 20


def values_in(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(values_in, value)) if isinstance(value, list) else 1


@given(
    VALUES | st.text('"\\,[{}]: ', max_size=30).map(lambda text: [text, {text: [text]}, {}, []]),
    st.sampled_from([None, 1, "\t"]),
    st.sampled_from([0, SLICE_BYTES - 3]),
)
def test_the_values_of_a_text_are_counted_exactly(value: Any, indent: Any, offset: int) -> None:
    # Behind a long text the rest stands on both sides of the end of a slice.
    whole = ["x" * offset, value]
    body = json.dumps(whole, indent=indent).encode()
    count = values_in(whole)
    assert parse(body, bytes_max=BYTES_MAX, values_max=count) == whole
    with pytest.raises(InvalidInput) as refused:
        parse(body, bytes_max=BYTES_MAX, values_max=count - 1)
    assert places(refused.value.errors) == [("", "values-max")]
    assert f"at most {count - 1} values" in refused.value.errors[0].message


@given(st.lists(st.text('"\\: ', max_size=9), min_size=1), st.booleans())
def test_a_repeated_key_is_found_wherever_quotes_and_colons_stand(
    keys: list[str], is_repeated: bool
) -> None:
    members = [f"{json.dumps(key)} : {json.dumps(key)}" for key in dict.fromkeys(keys)]
    body = "{" + ", ".join([*members, *members[-1:] * is_repeated]) + "}"
    if is_repeated:
        assert [violation.rule for violation in refusals(body)] == ["duplicate-key"]
    else:
        assert read(body) == {key: key for key in keys}


LARGE = 100_000
LARGE_AND_WRONG = {
    "a-nul": b'{"tag":"\\u0000","z":[%s1]}' % (b"1," * LARGE),
    "an-end-that-is-missing": b"[%s" % (b"{}," * LARGE),
    "the-last-key-repeated": b'{%s"0":1}' % b"".join(b'"%d":1,' % at for at in range(LARGE)),
    "all-keys-repeated": b'{%s"a":1}' % (b'"a":1,' * LARGE),
    "a-text-of-escapes": b'["%s\\ud800"]' % (b"\\n" * 4_000_000),
    "a-number": b"[%s.5]" % (b"9" * 8_000_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_AND_WRONG)
def test_what_is_wrong_in_a_large_text_is_found_without_reading_its_values(name: str) -> None:
    body = LARGE_AND_WRONG[name]
    tracemalloc.start()
    begun = time.thread_time()
    with suppress(InvalidInput):
        assert violations_in(body, "body", DEPTH_MAX)
    seconds = time.thread_time() - begun
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < CPU_SECONDS_MAX
    # The text as it is decoded, and the keys of one object.
    assert peak_bytes < 3 * len(body) + (20_000_000 if "last-key" in name else 1_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["an-end-that-is-missing", "the-last-key-repeated"])
def test_other_threads_get_their_turn_while_a_large_text_is_looked_at(name: str) -> None:
    turns, is_done = 0, threading.Event()

    def watch() -> None:
        nonlocal turns
        while not is_done.wait(0.001):
            turns += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    with suppress(InvalidInput):
        violations_in(LARGE_AND_WRONG[name], "body", DEPTH_MAX)
    is_done.set()
    watcher.join()
    assert turns > 10


@pytest.mark.parametrize("body", [b"[%s1]" % (b"1," * 8_000_000), b"[%s{}]" % (b"{}," * 5_500_000)])
def test_too_many_values_are_refused_before_one_is_made(body: bytes) -> None:
    tracemalloc.start()
    begun = time.thread_time()
    found = refusals(body)
    seconds = time.thread_time() - begun
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert places(found) == [("", "values-max")]
    assert seconds < CPU_SECONDS_MAX
    assert peak_bytes < 1_000_000
